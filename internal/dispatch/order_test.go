package dispatch_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir"
	"weir/internal/dispatch"
	"weir/internal/lane"
)

var (
	ordered = weir.Pipeline{Name: "p", Steps: p.Steps, Concurrency: &weir.Concurrency{Limit: 1, Ordered: true}}
	single  = weir.Pipeline{Name: "p", Steps: p.Steps, Concurrency: &weir.Concurrency{Limit: 1, WhenFull: "skip"}}
)

// newest returns the last lease that the workers got, of n in all.
func (r *rig) newest(n int) weir.Lease {
	r.t.Helper()
	return r.wantTaken(n)[n-1]
}

func TestAnOrderedKeyIsHeldOverARestart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, ordered)
		r.event("a")
		r.event("a")
		first := r.newest(1)
		r.change(first, weir.Retrying, time.Minute)
		r.finish(first)
		r.settle()

		r.restart(10)
		r.wait(59 * time.Second)
		r.wantTaken(0)
		r.wait(time.Second)
		r.settle()
		r.wait(time.Second)

		again := r.newest(1)
		if again.Run.ID != first.Run.ID || again.Try != 2 {
			t.Errorf("try %d of %s after the restart, want the second of %s", again.Try, again.Run.ID, first.Run.ID)
		}
		r.change(again, weir.Succeeded, 0)
		r.finish(again)
		r.wait(time.Second)
		if second := r.newest(2); second.Run.ID == first.Run.ID {
			t.Error("the first was tried again")
		}
	})
}

func TestWhatARunWaitsForIsTold(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, ordered)
		r.event("a")
		r.event("a")
		first := r.newest(1)
		rec := r.records(r.journal.Head() - 1)[0]
		origin := weir.Origin{At: rec.At, Seq: rec.Seq, Trigger: each.Name, Purpose: "match"}
		second := origin.RunID()

		if got, want := r.d.Why(t.Context(), second), "for "+first.Run.ID.String()+", which comes before it"; got != want {
			t.Errorf("the second waits %q, want %q", got, want)
		}
		if got := r.d.Why(t.Context(), first.Run.ID); got != "" {
			t.Errorf("the first is being tried, and waits %q", got)
		}
		r.change(first, weir.Retrying, time.Minute)
		r.finish(first)
		if got := r.d.Why(t.Context(), first.Run.ID); !strings.HasPrefix(got, "until ") {
			t.Errorf("the first waits %q, want until its next try", got)
		}
	})
}

func TestWhoAsksALoopThatDoesNotAnswerIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()

		got := dispatch.New(dispatch.Options{}).Why(t.Context(), weir.RunID{1})

		if took := time.Since(began); got != "" || took > time.Second {
			t.Errorf("%q after %v", got, took)
		}
	})
}

func TestARedrivenRunActsAtItsNewPlace(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, ordered)
		for range 3 {
			r.event("a")
		}
		first := r.newest(1)
		r.change(first, weir.Died, 0)
		r.finish(first)
		second := r.newest(2)
		r.wait(time.Millisecond)
		redrive := &weir.Change{Run: first.Run.ID, N: 2, Kind: weir.Redriven}
		r.append(weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Change: redrive}}})
		r.event("a")
		r.settle()
		r.restart(10) // the second was being tried: it goes first again
		r.wait(time.Minute)

		var order []weir.RunID
		for n := 1; n <= 4; n++ {
			l := r.newest(n)
			order = append(order, l.Run.ID)
			r.change(l, weir.Succeeded, 0)
			r.finish(l)
			r.wait(time.Second)
		}
		if order[0] != second.Run.ID || order[2] != first.Run.ID {
			t.Errorf("acted in the order %v, want %s first and %s third", order, second.Run.ID, first.Run.ID)
		}
	})
}

// The request of a cancelled try may still be under way.
func TestTheNextOfAKeyStartsOnlyWhenACancelledTryHasEnded(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, ordered)
		r.event("a")
		r.event("a")
		l := r.newest(1)

		r.change(l, weir.Cancelled, 0)
		r.wait(time.Second)
		r.wantTaken(1)
		r.finish(l)

		r.wantTaken(2)
	})
}

func TestARunThatFindsNoPlaceIsCancelledWhereThePipelineSkips(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, single)
		r.event("a")
		l := r.newest(1)

		item := r.event("a")
		r.wait(time.Second)

		skipped := weir.Origin{At: item.At, Seq: item.Seq, Trigger: "each", Purpose: "match"}.RunID()
		records := r.records(item.Seq)
		if len(records) != 1 || records[0].Change == nil {
			t.Fatalf("%d records after the event, want one change", len(records))
		}
		c := records[0].Change
		if c.Run != skipped || c.N != 1 || c.Kind != weir.Cancelled || c.By != "concurrency" || c.Firing == nil ||
			len(c.Firing.Members) != 1 || !strings.Contains(c.Error, "pipeline p") {
			t.Errorf("the end of the skipped run is %+v", c)
		}
		r.change(l, weir.Retrying, time.Minute)
		r.finish(l)
		r.event("a") // a run that waits for its next try takes no place
		r.wantTaken(2)
	})
}

func TestTheEndOfASkippedRunIsAppendedWhenThereIsRoomAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, single)
		r.event("a")
		r.refuse.failAppends(3, weir.E("append", weir.DiskFull, "no room"))

		item := r.event("a")
		r.wait(time.Second)

		if records := r.records(item.Seq); len(records) != 1 || records[0].Change.Kind != weir.Cancelled {
			t.Errorf("%d records after the event, want the run's end", len(records))
		}
		r.wantTaken(1)
	})
}

// Its reference in state does not say that it was tried.
func TestARunThatWasTriedBeforeARestartIsNotSkipped(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, single)
		r.event("a")
		old := r.newest(1)
		r.change(old, weir.Retrying, time.Minute)
		r.finish(old)
		r.settle()
		r.restart(10)
		r.event("a")
		r.newest(1)

		r.wait(2 * time.Minute)

		if got := r.changesOf(old.Run.ID); len(got) != 1 {
			t.Errorf("changes %v, want only its first try's", got)
		}
		l := r.newest(1)
		r.change(l, weir.Succeeded, 0)
		r.finish(l)
		if l := r.newest(2); l.Run.ID != old.Run.ID {
			t.Errorf("%s was started, want the one that waits", l.Run.ID)
		}
	})
}

func TestAPipelinesRunsStartAtItsRate(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(100)
		slow := p
		slow.Rate = weir.Rate{N: 20, Per: time.Second}
		r.apply(each, slow)
		r.wait(time.Second)
		for range 30 {
			r.event("a")
		}

		r.wantTaken(2) // a tenth of a second's worth
		r.wait(time.Second - time.Millisecond)
		r.wantTaken(21)
		r.wait(time.Second)
		r.wantTaken(30)
	})
}

func TestARateIsUsedUpByARestartButNotByTheFirstStart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(100)
		slow := p
		slow.Rate = weir.Rate{N: 1, Per: time.Hour}
		r.apply(each, slow)
		r.event("a")
		r.event("a")
		first := r.newest(1)
		r.change(first, weir.Succeeded, 0)
		r.finish(first)
		r.settle()

		r.restart(100)
		r.wait(time.Hour - time.Second)
		r.wantTaken(0)
		r.wait(2 * time.Second)
		r.settle() // the lease of a run that was due at the start

		r.wantTaken(1)
	})
}

func TestABreakerStaysOpenOverARestart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, weir.Pipeline{Name: "p", Steps: []weir.Step{{HTTP: &weir.HTTPStep{URL: "https://dead.example/"}}}})
		r.event("a")
		for n := 1; n <= lane.BreakerFailures; n++ {
			l := r.newest(n)
			r.change(l, weir.Retrying, 0)
			r.d.Finish([]weir.Finish{{Run: l.Run.ID, Began: l.Began, Verdict: weir.Unreached}})
			r.workers.freed(1)
			r.wait(0)
		}
		r.settle()

		r.restart(10)
		r.event("a")

		r.wait(lane.BreakerWait - time.Second)
		r.wantTaken(0)
		r.wait(time.Minute)
		r.wantTaken(1) // the probe
	})
}
