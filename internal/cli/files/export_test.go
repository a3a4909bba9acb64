package files

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir"
	"weir/client"
)

// moving is a project whose revision grows at each list, until it stands.
func moving(t *testing.T, lists int) *client.Client {
	t.Helper()
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		items := ""
		if strings.HasSuffix(r.URL.Path, "/pipelines") {
			items = fmt.Sprintf(`{"kind":"pipeline","name":"p","revision":1,"body":{"steps":[{"log":{"message":"%d"}}],"retry":{"attempts":0}}}`,
				min(asked, lists))
		}
		fmt.Fprintf(w, `{"items":[%s],"revision":%d}`, items, min(asked, lists))
	}))
	t.Cleanup(srv.Close)
	return &client.Client{URL: srv.URL, Token: "weir_token"}
}

func TestAnExportIsOfOneRevision(t *testing.T) {
	t.Parallel()
	var out strings.Builder

	if err := (&Export{}).Run(t.Context(), moving(t, 7), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `message: "7"`) {
		t.Errorf("exported\n%s", out.String())
	}

	err := (&Export{}).Run(t.Context(), moving(t, 1000), &out)
	if weir.CodeOf(err) != weir.Conflict {
		t.Errorf("a project that never stands: %v", err)
	}
}
