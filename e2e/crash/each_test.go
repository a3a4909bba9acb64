package crash

import (
	"fmt"
	"sync"
	"testing"

	"weir"
)

// TestEachGoesOnFromWhatIsOnRecordAfterAKill: the first try ends at the third
// event, and keeps the first two; the second is killed at the fourth, and what
// it had done is repeated, under the same keys.
func TestEachGoesOnFromWhatIsOnRecordAfterAKill(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	killed := make(chan struct{})
	var once sync.Once
	to := newReceiver(t, func(path, _ string, n int) bool {
		if path == "/4" {
			once.Do(func() {
				s.process.kill()
				close(killed)
			})
		}
		return path == "/3" && n == 1
	})
	s.start(t)
	s.apply(t, fmt.Sprintf(`
triggers:
  two: {match: {type: two}, fire: [{count: 5}], expire: opened + 1h, run: two}
pipelines:
  two:
    steps: [{http: {url: "%s/${data.n}", each: true}}]
    retry: %s
`, to.url, quickRetry))
	events := make([]*weir.Event, 5)
	for i := range events {
		events[i] = &weir.Event{ID: fmt.Sprint(i), Source: source, Type: "two", Data: fmt.Appendf(nil, `{"n":%d}`, i+1)}
	}

	if _, err := s.Publish(t.Context(), events...); err != nil && weir.CodeOf(err) != weir.Unavailable {
		t.Fatal(err)
	}
	await(t, killed)
	s.start(t)
	run := s.theRun(t)

	if run.State != "succeeded" {
		t.Errorf("the run is %s: %s", run.State, run.Error)
	}
	for path, n := range map[string]int{"/1": 1, "/2": 1, "/3": 3, "/4": 2, "/5": 1} {
		wantCalls(t, to, path, n)
	}
	s.process.stop(t)
}
