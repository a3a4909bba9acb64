package whole

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"weir/client"
)

// turnstile is a receiver whose requests each wait to be let go.
type turnstile struct {
	*receiver
	gate chan struct{}
}

func newTurnstile(t *testing.T) *turnstile {
	t.Helper()
	ts := &turnstile{gate: make(chan struct{})}
	ts.receiver = receive(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		select {
		case <-ts.gate:
		case <-r.Context().Done():
		}
	})
	return ts
}

// inside returns how many requests wait to be let go.
func (ts *turnstile) inside() int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.open
}

// letGo lets n requests go.
func (ts *turnstile) letGo(n int) {
	for range n {
		ts.gate <- struct{}{}
	}
}

func gated(concurrency string) string {
	return `
triggers: {all: {match: {type: x}, run: send}}
pipelines: {send: {steps: [{http: {url: "RECEIVER/${event.id}"}}], concurrency: ` + concurrency + `}}
`
}

// A run that waits for its next try holds no place: others go on.
func TestARunThatWaitsForItsNextTryHoldsNoPlace(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	s.define(`
triggers: {all: {match: {type: x}, run: send}}
pipelines:
  send:
    steps: [{http: {url: "RECEIVER/${event.id}"}}]
    concurrency: {limit: 1}
    retry: {attempts: 3, backoff: 1h, max: 2h}
`, r)

	s.publish("x", "bad", `{}`)
	s.publish("x", "good", `{}`)

	s.await("all", "succeeded", 1)
	if waiting := s.await("all", "pending", 1)[0]; waiting.Tries != 1 || waiting.Error == "" {
		t.Errorf("the bad one is %+v", waiting)
	}
}

// Runs of a lane start in the order in which they were made.
func TestAPlaceThatIsFreeGoesToTheOldestRun(t *testing.T) {
	t.Parallel()
	s, r := start(t), newTurnstile(t)
	s.define(gated("{limit: 1}"), r.receiver)
	var made []string // runs, in the order of their events
	for i := range 4 {
		s.publish("x", fmt.Sprint(i+1), `{}`)
		for _, run := range s.runs(client.RunFilter{}) {
			if !slices.Contains(made, run.ID) {
				made = append(made, run.ID)
			}
		}
	}
	s.until("one is tried", func() bool { return r.inside() == 1 })
	if run := s.run(made[3]); run.Waits != "for a place: 1 of 1 of pipeline send are taken" {
		t.Errorf("the fourth waits %q", run.Waits)
	}
	if run := s.run(made[0]); run.State != "running" || run.Waits != "" {
		t.Errorf("the first is %s and waits %q", run.State, run.Waits)
	}

	// A waiting one that is cancelled gives its turn on, and one that is tried its place.
	for _, i := range []int{1, 0} {
		if _, err := s.Cancel(t.Context(), made[i]); err != nil {
			t.Fatal(err)
		}
	}
	s.until("the third is tried", func() bool { return len(r.got("/3")) == 1 })
	// One that is made due now is still one of a lane that is full.
	if _, err := s.Retry(t.Context(), made[3]); err != nil {
		t.Fatal(err)
	}
	if run := s.run(made[3]); run.State != "pending" || len(r.got("/4")) != 0 {
		t.Errorf("the fourth is %s while the third is tried", run.State)
	}
	r.letGo(2)

	s.await("all", "succeeded", 2)
	var paths []string
	for _, c := range r.got("") {
		paths = append(paths, c.path)
	}
	if !slices.Equal(paths, []string{"/1", "/3", "/4"}) {
		t.Errorf("requests came as %v", paths)
	}
}

// A limit holds from the apply on, for runs that wait already, too.
func TestALimitThatChangesHoldsForRunsThatWait(t *testing.T) {
	t.Parallel()
	s, r := start(t), newTurnstile(t)
	s.define(gated("{limit: 1}"), r.receiver)
	for i := range 10 {
		s.publish("x", fmt.Sprint(i), `{}`)
	}
	s.until("one is tried", func() bool { return r.inside() == 1 })

	s.define(gated("{limit: 4}"), r.receiver)
	s.until("four are tried", func() bool { return r.inside() == 4 })
	s.define(gated("{limit: 2}"), r.receiver)
	r.letGo(4)
	s.until("the four have left and two are tried", func() bool { return len(r.got("")) >= 6 && r.inside() == 2 })
	if n := len(r.got("")); n != 6 {
		t.Errorf("%d requests came, want the first four and two", n)
	}
	r.letGo(6)

	s.await("all", "succeeded", 10)
	if r.atOnce() != 4 {
		t.Errorf("%d requests at once, want 4", r.atOnce())
	}
}
