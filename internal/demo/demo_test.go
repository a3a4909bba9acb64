package demo

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"weir/client"
	"weir/examples/github"
)

func TestEachDeliveryHasAnIDOfItsOwnThatStays(t *testing.T) {
	t.Parallel()
	payloads, err := fs.Sub(github.Files, "payloads")
	if err != nil {
		t.Fatal(err)
	}

	list, err := deliveries(payloads)
	again, _ := deliveries(payloads)

	if err != nil || len(list) < 40 {
		t.Fatalf("%d deliveries, %v, want about forty", len(list), err)
	}
	seen := map[string]bool{}
	for i, d := range list {
		if seen[d.id] || d.id != again[i].id || d.event == "" || strings.Contains(d.event, "/") || len(d.body) == 0 {
			t.Errorf("delivery %d: %s %s, %d bytes", i, d.event, d.id, len(d.body))
		}
		seen[d.id] = true
	}
}

func TestTheReceiverFailsAsItsPathsSay(t *testing.T) {
	t.Parallel()
	r, err := startReceiver()
	if err != nil {
		t.Fatal(err)
	}
	defer r.stop()
	answers := func(path, key string, n int) string {
		var list []string
		for range n {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Idempotency-Key", key)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			list = append(list, resp.Status[:3])
		}
		return strings.Join(list, " ")
	}
	for _, c := range []struct {
		path, key string
		want      string
	}{
		{"/team", "a", "200 200"},
		{"/digest", "a", "200"},
		{"/flaky", "a", "503 503 200 200"},
		{"/flaky", "b", "503 503 200"},
		{"/broken", "a", "503 503 503"},
	} {
		if got := answers(c.path, c.key, len(strings.Fields(c.want))); got != c.want {
			t.Errorf("%s with the key %s answers %s, want %s", c.path, c.key, got, c.want)
		}
	}
	r.mend()
	if got := answers("/broken", "a", 1); got != "200" {
		t.Errorf("mended it answers %s", got)
	}
}

func TestAReportForPeopleHasEveryIDAndTheNextCommands(t *testing.T) {
	t.Parallel()
	r := &Report{
		Delivered: 3,
		Events:    map[string]int{"github.push": 2, "github.star": 1},
		Firings:   map[string]int{"busy": 1},
		Fired:     Found{Run: "run_1", Group: "grp_1", Key: `{"repo":"a/b"}`, Events: []string{"evt_1", "evt_2"}},
		Expired:   Found{Run: "run_2", Group: "grp_2", Key: `{"repo":"c/d"}`, Events: []string{"evt_3"}},
		Retried:   Found{Run: "run_3", Tries: []string{"retrying", "retrying", "succeeded"}},
		Redriven:  Found{Run: "run_4", Tries: []string{"died", "redriven", "succeeded"}},
	}
	var out bytes.Buffer

	r.write(&out)

	for _, want := range []string{
		"github.push", "busy", "run_1", "run_2", "run_3", "run_4", `{"repo":"a/b"}`, "retrying, retrying, succeeded", "died, redriven, succeeded",
		"weir runs", "weir groups", "weir events",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

// What goes wrong ends the demo with that error, whatever was seen before.
func TestADemoThatIsStoppedOrFailsSaysSo(t *testing.T) {
	t.Parallel()
	broken := errors.New("not as it should be")
	stopped, stop := context.WithCancel(t.Context())
	for name, c := range map[string]struct {
		ctx  context.Context
		o    Options
		want string
	}{
		"a look that finds fault": {t.Context(), Options{
			Looked: func(context.Context, *Report, *client.Client) error { return broken },
		}, broken.Error()},
		"a project file that is wrong": {t.Context(), Options{ProjectFile: []byte("triggers: {a: {macht: {}}}")}, "weir.yaml:1:"},
		"a stop while it looks": {stopped, Options{
			Looked: func(ctx context.Context, _ *Report, c *client.Client) error {
				stop()
				_, err := c.Events(ctx, client.EventFilter{}, client.Paging{})
				return err
			},
		}, "cancel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.o.Once, c.o.JSON, c.o.Out = true, true, &bytes.Buffer{}
			if err := Run(c.ctx, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
