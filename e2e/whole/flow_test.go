package whole

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/config"
)

// publishNumbered publishes n events of a type, with data that numbers them.
func (s *server) publishNumbered(kind string, n int) {
	s.t.Helper()
	batch := make([]*weir.Event, n)
	for i := range batch {
		batch[i] = &weir.Event{ID: fmt.Sprint(kind, i), Source: "/t", Type: kind, Data: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	if _, err := s.Publish(s.t.Context(), batch...); err != nil {
		s.t.Fatal(err)
	}
}

func TestARunThatFindsNoPlaceIsListedAsSkipped(t *testing.T) {
	t.Parallel()
	s := start(t)
	hold := make(chan struct{})
	r := holding(t, hold)
	s.define(`
triggers: {one: {match: {type: x}, run: one}}
pipelines: {one: {steps: [{http: {url: RECEIVER/}}], concurrency: {limit: 1, when_full: skip}}}
`, r)

	s.publishNumbered("x", 3)

	for _, run := range s.await("one", "cancelled", 2) {
		shown := s.run(run.ID)
		want := "skipped: the only place of pipeline one is taken"
		if last := shown.Attempts[len(shown.Attempts)-1]; last.Error != want || last.By != "concurrency" || len(shown.Events) != 1 {
			t.Errorf("a skipped run is shown as %+v", shown)
		}
	}
	close(hold)
	s.await("one", "succeeded", 1)
	if got := len(r.got("")); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestADeadRunIsFollowedByWhatItsPipelineSays(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path != "/alert" {
			w.WriteHeader(http.StatusGone)
		}
	})
	s.define(`
triggers: {bill: {match: {type: x}, group_by: {k: data.n}, fire: [], expire: opened + 1h, run: bill}}
pipelines:
  bill: {steps: [{http: {url: RECEIVER/bill}}], on_failure: alert}
  alert:
    steps:
      - log: {message: "dead: ${run.error}"}
      - http: {url: RECEIVER/alert, headers: {of: "${run.of}"}, body: {of: "${run.of}", why: "${run.error}", n: "${group.key.k}", tries: "${data.tries}"}}
`, r)

	s.publishNumbered("x", 1)

	dead := s.await("bill", "dead", 1)[0]
	alert := s.await("bill", "succeeded", 1)[0]
	got := r.got("/alert")
	if len(got) != 1 || !strings.Contains(got[0].body, dead.ID) || !strings.Contains(got[0].body, "410") || !strings.Contains(got[0].body, `"tries":1`) {
		t.Errorf("the alert is %+v", got)
	}
	if alert.Pipeline != "alert" || alert.Reason != "failed" || string(alert.Key) != `{"k":0}` {
		t.Errorf("what follows is %+v", alert)
	}
	group := must(s.Group(t.Context(), dead.Group))
	ended := must(s.Groups(t.Context(), client.GroupFilter{State: "ended"}, client.Paging{})).Items
	if group.Run != dead.ID || group.State != "fired" || len(ended) != 1 || ended[0].Run != dead.ID {
		t.Errorf("the group is shown as %+v, listed as %+v; its run is %s", group, ended, dead.ID)
	}
}

func TestTheDeathOfWhatFollowsADeathIsNotFollowed(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusGone) })
	s.define(`
triggers: {all: {match: {type: x}, run: first}}
pipelines:
  first: {steps: [{http: {url: RECEIVER/1}}], on_failure: second}
  second: {steps: [{http: {url: RECEIVER/2}}], on_failure: third}
  third: {steps: [{http: {url: RECEIVER/3}}]}
`, r)

	s.publishNumbered("x", 1)

	s.await("all", "dead", 2)
	if len(r.got("/3")) != 0 {
		t.Error("the death of a run that follows a death was followed")
	}
}

// TestRatesAreKept measures at the receiver: of a pipeline's starts, and of the
// requests to a destination, those of one run included.
func TestRatesAreKept(t *testing.T) {
	t.Parallel()
	const events, perSecond = 30, 40
	for name, c := range map[string]struct{ steps, pipeline, destination string }{
		"pipeline":    {"{http: {url: RECEIVER/}}", "rate: 40/s", ""},
		"destination": {"{http: {url: RECEIVER/}}", "", `destinations: {"RECEIVER": {rate: 40/s}}`},
		"requests of a run": {
			"{http: {url: RECEIVER/}}, {http: {url: RECEIVER/}}, {http: {url: RECEIVER/}}", "",
			`destinations: {"RECEIVER": {rate: 40/s}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			r := receive(t, nil)
			s.define(fmt.Sprintf(`
triggers: {all: {match: {type: x}, run: send}}
pipelines: {send: {steps: [%s], %s}}
%s
`, c.steps, c.pipeline, c.destination), r)
			began := time.Now()

			requests := strings.Count(c.steps, "http:") * events
			s.publishNumbered("x", events)

			s.await("all", "succeeded", events)
			took := time.Since(began)
			if got := len(r.got("")); got != requests {
				t.Errorf("%d requests, want %d", got, requests)
			}
			if least := time.Duration(requests-perSecond/10-1) * time.Second / perSecond; took < least {
				t.Errorf("took %v, at least %v keeps to the rate", took, least)
			}
		})
	}
}

func TestQuickRunsPassThoseThatHang(t *testing.T) {
	t.Parallel()
	s := startIn(t, t.TempDir(), func(c *config.Config) { c.Limits.WorkerSlots = 16 })
	hold := make(chan struct{})
	a, b := holding(t, hold), holding(t, hold)
	text := strings.ReplaceAll(`
triggers:
  hang: {match: {type: x}, run: a}
  hang-too: {match: {type: x}, run: b}
  quick: {match: {type: y}, run: quick}
pipelines:
  a: {steps: [{http: {url: A/}}]}
  b: {steps: [{http: {url: RECEIVER/}}]}
  quick: {steps: [{log: {message: hello}}]}
`, "A/", a.URL)
	s.define(text, b)
	s.publishNumbered("x", 20)
	s.until("no more may hang", func() bool { return len(a.got(""))+len(b.got("")) >= 15 })

	s.publishNumbered("y", 100)

	s.await("quick", "succeeded", 100)
	s.until("lists show what hangs", func() bool { return len(s.runs(client.RunFilter{State: "running"})) >= 15 })
	if hang := len(a.got("")) + len(b.got("")); hang != 15 {
		t.Errorf("%d runs hang, want 15: one slot of 16 is kept", hang)
	}
	close(hold)
	s.await("hang", "succeeded", 20)
	s.await("hang-too", "succeeded", 20)
}
