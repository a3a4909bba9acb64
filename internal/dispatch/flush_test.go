package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"weir"
	"weir/internal/fold"
)

func TestSettleAnswersOnlyAfterTheFlush(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		r.apply(each, p)
		r.settle()
		release := r.state.hold()
		item := r.event("a")
		answered := make(chan error, 1)
		go func() { answered <- r.d.Settle(t.Context(), item.Seq) }()

		r.wait(time.Minute)
		select {
		case err := <-answered:
			t.Fatalf("answered %v before the flush", err)
		default:
		}
		release()
		r.wait(0)

		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		if got := r.checkpoint().Cursor; got < item.Seq {
			t.Errorf("the cursor is %d, want %d", got, item.Seq)
		}
	})
}

func TestSettleForAPlaceThatDoesNotComeIsBehind(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()

		err := r.d.Settle(ctx, r.journal.Head()+1)

		if weir.CodeOf(err) != weir.Behind {
			t.Errorf("error %v, want one with the code behind", err)
		}
	})
}

func TestAReaderMakesAFlushWhileRunsAreTried(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		r.wantTaken(1)
		r.event("b")
		before := time.Now()

		r.settle()

		if d := time.Since(before); d > 0 {
			t.Errorf("the flush came after %s, want at once", d)
		}
	})
}

func TestUnderLoadAFlushComesOnceASecond(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a") // a run that goes on, so that the loop is not idle
		r.settle()
		before := r.state.flushes()

		for range 50 {
			r.event("b")
			r.wait(100 * time.Millisecond)
		}

		if n := r.state.flushes() - before; n < 4 || n > 5 {
			t.Errorf("%d flushes in five seconds, want one a second", n)
		}
	})
}

func TestAFlushThatFailsForAWhileIsTriedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		r.state.failNext(weir.E("", weir.DiskFull, "no room"), weir.E("", weir.Unavailable, "busy"))
		r.apply(each, p)
		item := r.event("a")

		r.settle()

		cp := r.checkpoint()
		if cp.Cursor != item.Seq || len(cp.Runs) != 1 {
			t.Errorf("flushed up to %d with %d runs, want %d with 1", cp.Cursor, len(cp.Runs), item.Seq)
		}
	})
}

func TestADispatcherWhoseCursorWasMovedEnds(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		r.apply(each, p)
		r.settle()
		cp := r.checkpoint()
		other := &fold.Layer{From: cp.Cursor, To: cp.Cursor + 1, At: cp.At}
		if err := r.stored.Flush(t.Context(), other); err != nil {
			t.Fatal(err)
		}

		r.event("a")
		r.event("a")
		r.wait(time.Second)

		select {
		case err := <-r.ended:
			r.ended = nil
			if err == nil {
				t.Error("it ended without an error")
			}
		default:
			t.Error("it goes on though somebody else writes the state")
		}
	})
}

func TestAStopDuringAFlushThatHangsEnds(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		r.apply(each, p)
		r.settle()
		release := r.state.hold()
		item := r.event("a")
		r.wait(time.Second)

		time.AfterFunc(time.Second, release)
		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		if got := r.checkpoint(); got.Cursor != item.Seq || len(got.Runs) != 1 {
			t.Errorf("flushed up to %d with %d runs, want %d with 1", got.Cursor, len(got.Runs), item.Seq)
		}
	})
}

func TestAStopWritesWhatIsAtHand(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(1)
		r.apply(each, p)
		r.event("a")
		item := r.event("a")

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		cp := r.checkpoint()
		if cp.Cursor != item.Seq || len(cp.Runs) != 2 {
			t.Errorf("flushed up to %d with %d runs, want %d with 2", cp.Cursor, len(cp.Runs), item.Seq)
		}
	})
}

func TestATickComesWhenAGroupIsDueAndNotBefore(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(weir.Trigger{Name: "g", Match: []weir.Criterion{{Types: []string{"a"}}}, Expire: "opened + 1h", OnExpire: "p"}, p)
		last := r.event("a").Seq

		r.wait(time.Hour - time.Millisecond)
		if n := len(r.records(last)); n != 0 {
			t.Fatalf("%d records before the group is due", n)
		}
		r.wait(time.Millisecond)

		if l := r.wantTaken(1)[0]; l.Run.Firing.Reason != weir.Expired {
			t.Errorf("the run's reason is %s, want expired", l.Run.Firing.Reason)
		}
		r.wait(time.Hour)
		if records := r.records(last); len(records) != 1 || !records[0].IsTick() {
			t.Errorf("%d records in all, want one tick", len(records))
		}
	})
}

func TestNoTickComesForAGroupWhoseTimeMovedOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(weir.Trigger{Name: "g", Match: []weir.Criterion{{Types: []string{"a"}}}, Expire: "joined + 1m"})
		for range 10 {
			r.event("a")
			r.wait(50 * time.Second)
		}

		for _, rec := range r.records(0) {
			if rec.IsTick() {
				t.Errorf("a tick at %s, and nothing was due", rec.At)
			}
		}
	})
}

func TestTicksComeAtMostEachTenMilliseconds(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(1000)
		r.apply(weir.Trigger{
			Name: "g", Match: []weir.Criterion{{}}, Expire: "opened + 1m", GroupBy: []weir.KeyPart{{Name: "type", Of: "event.type"}},
		})
		var last weir.Seq
		for i := range 100 {
			last = r.event(fmt.Sprint("t", i)).Seq
			r.wait(time.Millisecond)
		}

		for range 2 * 60 * 1000 { // woken each millisecond, for no reason
			r.d.Finish(nil)
			r.wait(time.Millisecond)
		}

		records := r.records(last)
		for i := 1; i < len(records); i++ {
			if gap := records[i].At.Sub(records[i-1].At); gap < 10*time.Millisecond {
				t.Errorf("two ticks with %s between them", gap)
			}
		}
		if n := len(records); n < 10 || n > 11 {
			t.Errorf("%d ticks for groups that are due over 100 ms, want 10", n)
		}
		r.wantTaken(100)
	})
}

func TestARecordWakesTheLoopHoweverLongItSlept(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		for i := range 10 {
			r.wait(time.Duration(i) * 20 * time.Minute)
			r.event("a")
			r.wantTaken(i + 1)
		}
	})
}

// Whoever waited for an apply to be shown finds that others were told of it.
func TestAnApplyIsToldOnceStateHasIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		var told []weir.ProjectID
		r.applied = func(project weir.ProjectID) { told = append(told, project) }
		r.start(10)
		release := r.state.hold()
		r.apply(matching(""), steps())
		r.wait(2 * time.Second)
		if len(told) > 0 {
			t.Error("it was told before it was written")
		}
		release()

		r.settle()

		if len(told) != 1 || told[0] != 1 {
			t.Errorf("told %v", told)
		}
	})
}
