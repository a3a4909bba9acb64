package crash

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/client"
)

// twoSteps runs http A, then http B, for each event.
func twoSteps(receiver, retry string) string {
	return fmt.Sprintf(`
triggers:
  two: {match: {type: two}, run: two}
pipelines:
  two:
    steps:
      - http: {url: "%[1]s/a"}
      - http: {url: "%[1]s/b"}
    retry: %[2]s
`, receiver, retry)
}

const quickRetry = "{attempts: 10, backoff: 20ms}"

// publishTwo publishes the event that the pipeline two acts on. The receiver may
// kill the server before it answers.
func (s *server) publishTwo(t *testing.T) {
	t.Helper()
	if _, err := s.Publish(t.Context(), &weir.Event{ID: "1", Source: source, Type: "two"}); err != nil && weir.CodeOf(err) != weir.Unavailable {
		t.Fatal(err)
	}
}

// theRun returns the only run of the trigger two, shown alone, when it has ended.
// Lists are as of what was flushed, so after a kill they may not have it yet.
func (s *server) theRun(t *testing.T) client.Run {
	t.Helper()
	var runs client.Page[client.Run]
	until(t.Context(), t, "the run to end", func() (ended bool, err error) {
		runs, err = s.Runs(t.Context(), client.RunFilter{Trigger: "two"}, client.Paging{})
		return err == nil && len(runs.Items) > 0 && runs.Items[0].Ended != 0, err
	})
	if len(runs.Items) != 1 {
		t.Fatalf("runs of the trigger: %v; want one", runs.Items)
	}
	run, err := s.Run(t.Context(), runs.Items[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func wantState(t *testing.T, run client.Run, state, outcomes string) {
	t.Helper()
	var seen []string
	for _, a := range run.Attempts {
		seen = append(seen, a.Outcome)
	}
	if got := strings.Join(seen, " "); run.State != state || got != outcomes {
		t.Errorf("the run is %s after %q, want %s after %q", run.State, got, state, outcomes)
	}
}

// wantCalls compares how often a path was called, and that it was with one key.
func wantCalls(t *testing.T, to *receiver, path string, n int) {
	t.Helper()
	var keys []string
	calls := to.at(path)
	for _, c := range calls {
		keys = append(keys, c.key)
	}
	if keys = slices.Compact(keys); len(calls) != n || len(keys) != 1 || keys[0] == "" {
		t.Errorf("%s was called %d times with the keys %q, want %d times with one", path, len(calls), keys, n)
	}
}

func TestAStepThatHadItsEffectIsNotRepeatedWhenALaterOneFails(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, func(path, _ string, n int) bool { return path == "/b" && n <= 2 })
	s := newServer(t)
	s.start(t)
	s.apply(t, twoSteps(to.url, quickRetry))

	s.publishTwo(t)
	run := s.theRun(t)

	wantState(t, run, "succeeded", "retrying retrying succeeded")
	wantCalls(t, to, "/a", 1)
	wantCalls(t, to, "/b", 3)
	s.process.stop(t)
}

// TestAnEffectWithoutARecordIsRepeatedUnderItsKey kills the server at a request
// of the run's first try. Steps are recorded at the end of a try, so whatever
// was done in it is not on record.
func TestAnEffectWithoutARecordIsRepeatedUnderItsKey(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		path string
		a, b int // calls in the end
	}{
		{"/a", 2, 1}, // A has its effect, and gets no answer through
		{"/b", 2, 2}, // A has had its answer
	} {
		t.Run("killed_at_"+at.path[1:], func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			killed := make(chan struct{})
			var once sync.Once
			to := newReceiver(t, func(path, _ string, _ int) bool {
				if path == at.path {
					once.Do(func() {
						s.process.kill()
						close(killed)
					})
				}
				return false
			})
			s.start(t)
			s.apply(t, twoSteps(to.url, quickRetry))

			s.publishTwo(t)
			await(t, killed)
			if r := s.start(t).caughtUp(t); r.Due != 1 || r.Changes != 0 {
				t.Errorf("restart: %v; want one run due and no change on record", r)
			}
			run := s.theRun(t)

			wantState(t, run, "succeeded", "succeeded")
			wantCalls(t, to, "/a", at.a)
			wantCalls(t, to, "/b", at.b)
			s.process.stop(t)
		})
	}
}

// TestARunWithoutRetriesIsTriedOnceThoughTheServerWasKilled: its lease is
// written before its try begins, and a try of unknown outcome was one.
func TestARunWithoutRetriesIsTriedOnceThoughTheServerWasKilled(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	killed := make(chan struct{})
	to := newReceiver(t, func(string, string, int) bool {
		s.process.kill()
		close(killed)
		return false
	})
	s.start(t)
	s.apply(t, twoSteps(to.url, "none"))

	s.publishTwo(t)
	await(t, killed)
	if r := s.start(t).caughtUp(t); r.Lost != 1 {
		t.Errorf("restart: %v; want one try lost", r)
	}
	run := s.theRun(t)

	wantState(t, run, "dead", "died")
	wantCalls(t, to, "/a", 1)
	s.process.stop(t)
}

// TestARunThatKillsTheServerDiesOfIt: after an unclean stop a try begins only
// when its lease is written, so from the second on each of them counts.
func TestARunThatKillsTheServerDiesOfIt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	killed := make(chan struct{}, 8)
	to := newReceiver(t, func(string, string, int) bool {
		s.process.kill()
		killed <- struct{}{}
		return false
	})
	s.start(t)
	s.apply(t, twoSteps(to.url, "{attempts: 2, backoff: 20ms}"))

	s.publishTwo(t)
	for lost := 0; lost < 2; {
		await(t, killed)
		lost += s.start(t).caughtUp(t).Lost
	}
	run := s.theRun(t)

	wantState(t, run, "dead", "lost died")
	wantCalls(t, to, "/a", 3)
	s.process.stop(t)
}

func await(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the receiver got no request")
	}
}
