package api

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/auth"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

// TestCalls makes the calls in testdata, one world per file, and compares the
// answers. A call is: METHOD path=PATH [token=NAME] [type=CONTENT-TYPE]
// [header=(NAME,VALUE)] [sign], with the body below it.
func TestCalls(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/calls", func(t *testing.T, path string) {
		a, w := newAPI(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "set" {
				w.set(t, d.CmdArgs[0].Key)
				return ""
			}
			recorder := httptest.NewRecorder()
			a.ServeHTTP(recorder, call(t, d))
			return answerText(recorder.Result())
		})
	})
}

// set puts the world into a state that a test needs.
func (w *world) set(t *testing.T, what string) {
	t.Helper()
	switch what {
	case "disk-full":
		w.appendErr = weir.E("append", weir.DiskFull, "no space is left for the journal")
	case "orders-behind":
		w.orderErr = weir.E("settle", weir.Behind, "not yet")
	case "a-warning":
		w.warning = "no node dispatches"
	case "a-rival":
		w.rivals = 1
	default:
		t.Fatalf("set %s: unknown", what)
	}
}

func call(t *testing.T, d *datadriven.TestData) *http.Request {
	t.Helper()
	var path, token, kind string
	d.ScanArgs(t, "path", &path)
	d.MaybeScanArgs(t, "token", &token)
	d.MaybeScanArgs(t, "type", &kind)
	body := strings.TrimSuffix(d.Input, "\n")
	body = strings.ReplaceAll(body, "LONG", strings.Repeat("x", 100))
	r := httptest.NewRequestWithContext(t.Context(), d.Cmd, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer weir_"+token)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "header":
			r.Header.Set(arg.Vals[0], arg.Vals[1])
		case "sign":
			mac := hmac.New(sha256.New, []byte("It's a Secret to Everybody"))
			mac.Write([]byte(body))
			r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		}
	}
	return r
}

var requestID = regexp.MustCompile(`request [0-9a-f]{32}`)

func answerText(r *http.Response) string {
	var b bytes.Buffer
	fmt.Fprintln(&b, r.StatusCode, r.Header.Get("Content-Type"))
	for _, name := range []string{"Allow", "Retry-After", "Weir-Seq", "WWW-Authenticate"} {
		if value := r.Header.Get(name); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	body, _ := io.ReadAll(r.Body)
	b.Write(requestID.ReplaceAll(body, []byte("request ID")))
	return b.String()
}

func TestTheOpenAPIDocumentIsCheckedIn(t *testing.T) {
	t.Parallel()
	const path = "../../docs/openapi.json"
	got, err := New(Options{}).Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/openapi.json differs from the handlers; go test ./internal/api -update writes it anew:\n%s", diff)
	}
}

// TestEveryCallNeedsItsRole makes each call of the document with each role: it
// is forbidden to the lesser ones and to nobody else.
func TestEveryCallNeedsItsRole(t *testing.T) {
	t.Parallel()
	a, _ := newAPI(t)
	needs := map[string]auth.Role{
		"POST /v1/events": auth.Publisher, "POST /v1/apply": auth.Editor, "POST /v1/runs/{id}/retry": auth.Editor,
		"POST /v1/runs/{id}/redrive": auth.Editor, "POST /v1/runs/{id}/cancel": auth.Editor, "POST /v1/runs/{id}/purge": auth.Editor,
		"GET /v1/secrets": auth.Admin, "PUT /v1/secrets/{name}": auth.Admin, "DELETE /v1/secrets/{name}": auth.Admin,
		"GET /v1/erasures": auth.Admin, "POST /v1/erasures": auth.Admin,
	}
	for _, kind := range []string{"triggers", "pipelines", "sources", "destinations", "event-types", "settings"} {
		needs["PUT /v1/"+kind+"/{name}"], needs["DELETE /v1/"+kind+"/{name}"] = auth.Editor, auth.Editor
	}
	servers := []string{
		"GET /v1/nodes", "GET /v1/nodes/{name}", "POST /v1/nodes/{name}/drain", "DELETE /v1/nodes/{name}/drain", "GET /v1/backup",
		"GET /v1/projects", "GET /v1/projects/{name}", "PUT /v1/projects/{name}", "DELETE /v1/projects/{name}",
	}
	for _, pattern := range servers {
		needs[pattern] = auth.Admin
	}
	public := []string{"GET /healthz", "GET /readyz"}
	for _, method := range hookMethods {
		public = append(public, method+" /hooks/{source}", method+" /hooks/{project}/{source}")
	}
	for pattern := range operations(a) {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{id}", runID.String(), "{name}", "x", "{project}", "default", "{source}", "x").Replace(path)
		ask := func(token string) int {
			r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
			if token != "" {
				r.Header.Set("Authorization", "Bearer weir_"+token)
			}
			recorder := httptest.NewRecorder()
			a.ServeHTTP(recorder, r)
			return recorder.Code
		}

		if got := ask("") == http.StatusUnauthorized; got == slices.Contains(public, pattern) {
			t.Errorf("%s without a token: unauthorized is %v", pattern, got)
		}
		if slices.Contains(public, pattern) {
			continue
		}
		for _, role := range []auth.Role{auth.Viewer, auth.Publisher, auth.Editor, auth.Admin} {
			need := max(needs[pattern], auth.Viewer)
			if got := ask(role.String()) == http.StatusForbidden; got != (role < need) {
				t.Errorf("%s as %s: forbidden is %v", pattern, role, got)
			}
		}
		if got := ask("shop-admin") == http.StatusForbidden; got != slices.Contains(servers, pattern) {
			t.Errorf("%s as the admin of one project: forbidden is %v", pattern, got)
		}
	}
}

// TestANodeWithoutTheDutyAnswersOnlyForItself has health and metrics, and nothing else.
func TestANodeWithoutTheDutyAnswersOnlyForItself(t *testing.T) {
	t.Parallel()
	a, _ := newAPI(t)
	a.Metrics = http.NotFoundHandler()
	health := NewHealth(a.Options)
	for path, want := range map[string]int{"/healthz": 204, "/readyz": 204, "/metrics": 401, "/v1/events": 404, "/v1/version": 404, "/hooks/x": 404} {
		recorder := httptest.NewRecorder()

		health.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))

		if recorder.Code != want {
			t.Errorf("%s is answered %d, want %d", path, recorder.Code, want)
		}
	}
}

// operations returns "METHOD path" of every call in the document.
func operations(a *API) map[string]bool {
	all := map[string]bool{}
	for path, item := range a.huma.OpenAPI().Paths {
		for method, there := range map[string]bool{
			"GET": item.Get != nil, "POST": item.Post != nil, "PUT": item.Put != nil, "DELETE": item.Delete != nil,
		} {
			if there {
				all[method+" "+path] = true
			}
		}
	}
	return all
}

// endless is a body that counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	e.read += len(b)
	return len(b), nil
}

func TestABodyOverTheLimitIsAnsweredBeforeItIsRead(t *testing.T) {
	t.Parallel()
	a, _ := newAPI(t)
	body := &endless{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events?type=t", body)
	r.ContentLength = 1 << 30
	r.Header.Set("Authorization", "Bearer weir_publisher")
	r.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()

	a.ServeHTTP(recorder, r)

	if recorder.Code != http.StatusRequestEntityTooLarge || body.read != 0 {
		t.Errorf("status %d after %d bytes", recorder.Code, body.read)
	}
}
