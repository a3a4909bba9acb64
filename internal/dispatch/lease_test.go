package dispatch_test

import (
	"log/slog"
	"testing"
	"time"

	"weir"
	"weir/internal/dispatch"
)

var (
	each = weir.Trigger{Name: "each", Match: []weir.Criterion{{Types: []string{"a"}}}, Run: "p"}
	p    = weir.Pipeline{Name: "p", Steps: []weir.Step{{Log: &weir.LogStep{Message: "hello"}}}}
	once = weir.Pipeline{Name: "p", Steps: p.Steps, Retry: weir.Retry{None: true}}
)

func TestARunStartsAsSoonAsItsRecordIsFolded(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		release := r.state.hold()
		defer release()

		item := r.event("a")

		l := r.wantTaken(1)[0]
		if l.Try != 1 || l.Pipe == nil || len(l.Events) != 1 || l.Events[0].Seq != item.Seq {
			t.Errorf("try %d, pipeline %v, events %v; want the first, p, the event", l.Try, l.Pipe, l.Events)
		}
		if !r.d.Running(t.Context(), l.Run.ID) {
			t.Error("the run is not running")
		}
	})
}

func TestStartsNothingBeforeTheHeadFoundIsFolded(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		r.apply(each, p)
		r.event("a")
		r.event("a")
		r.settle()
		runs := r.checkpoint().Runs
		r.crash()
		cancel := &weir.Change{Run: runs[0].ID, N: 1, Kind: weir.Cancelled}
		r.append(weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Change: cancel}}})

		r.start(10)
		r.wait(time.Second)

		if l := r.wantTaken(1)[0]; l.Run.ID != runs[1].ID {
			t.Errorf("%s was started, which the journal says is cancelled", l.Run.ID)
		}
	})
}

func TestARunIsTriedAgainWhenItIsDue(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]
		r.change(l, weir.Retrying, time.Minute)
		r.finish(l)

		r.wait(time.Minute - time.Millisecond)
		r.wantTaken(1)
		r.wait(time.Millisecond)

		if l := r.wantTaken(2)[1]; l.Try != 2 || l.Run.N != 1 {
			t.Errorf("try %d after change %d, want 2 after 1", l.Try, l.Run.N)
		}
	})
}

func TestAFinishBeforeOrAfterTheFoldOfItsChangeQueuesTheRunOnce(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig, weir.Lease){
		"after": func(r *rig, l weir.Lease) {
			r.change(l, weir.Retrying, 0)
			r.wantTaken(1)
			r.finish(l)
		},
		"before": func(r *rig, l weir.Lease) {
			r.finish(l)
			r.wantTaken(1)
			r.change(l, weir.Retrying, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *rig) {
				r.start(10)
				r.apply(each, p)
				r.event("a")

				end(r, r.wantTaken(1)[0])
				r.wait(time.Hour)

				if l := r.wantTaken(2)[1]; l.Try != 2 {
					t.Errorf("try %d, want 2", l.Try)
				}
			})
		})
	}
}

func TestACancelReachesTheWorker(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]

		r.change(l, weir.Cancelled, 0)
		if got := r.workers.cancelled; len(got) != 1 || got[0] != l.Run.ID {
			t.Errorf("cancelled %v, want %s", got, l.Run.ID)
		}
		if r.change(l, weir.Succeeded, 0) {
			t.Error("the journal took the outcome of a cancelled run")
		}
		r.finish(l)
		r.wait(time.Hour)

		r.wantTaken(1)
		if r.d.Running(t.Context(), l.Run.ID) {
			t.Error("the run is still running")
		}
	})
}

func TestARunWithoutRetryIsHandedOverOnlyWhenItsLeaseIsFlushed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, once)
		r.settle()
		release := r.state.hold()

		r.event("a")
		r.wait(time.Second)
		r.wantTaken(0)
		release()
		r.wait(0)

		l := r.wantTaken(1)[0]
		if got := r.checkpoint().Leases; len(got) != 1 || got[0].Run != l.Run.ID || got[0].Try != 1 {
			t.Errorf("leases in state: %v, want the run's first try", got)
		}
	})
}

func TestARunThatIsCancelledWhileItsLeaseWaitsIsNotTried(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, once)
		r.settle()
		release := r.state.hold()
		item := r.event("a")
		r.wait(time.Second)
		id := weir.Origin{At: item.At, Seq: item.Seq, Trigger: "each", Purpose: "match"}.RunID()

		r.append(weir.Batch{Bound: true, Records: []*weir.Record{
			{Project: 1, Change: &weir.Change{Run: id, N: 1, Kind: weir.Cancelled}},
		}})
		release()
		r.wait(time.Second)

		r.wantTaken(0)
		if r.d.Running(t.Context(), id) {
			t.Error("the run is running, and nobody has it")
		}
	})
}

func TestLeasesThatWaitForAFlushCountAsTaken(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(2)
		r.apply(each, once)
		r.settle()
		release := r.state.hold()
		for range 5 {
			r.event("a")
		}
		r.wait(time.Second)

		release()
		r.wait(0)
		r.wait(time.Second)

		r.wantTaken(2)
	})
}

func TestAfterDrainNothingIsLeasedAndFoldingGoesOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		r.wantTaken(1)

		r.d.Drain()
		item := r.event("a")
		r.wait(time.Hour) // a loop that spins would not let time pass

		r.wantTaken(1)
		if cp := r.checkpoint(); cp.Cursor < item.Seq || len(cp.Runs) != 2 {
			t.Errorf("flushed up to %d with %d runs, want %d with 2", cp.Cursor, len(cp.Runs), item.Seq)
		}
	})
}

func TestAfterDrainLeasesThatWaitForAFlushAreNotHandedOver(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, once)
		r.settle()
		release := r.state.hold()
		r.event("a")
		r.wait(time.Second)

		r.d.Drain()
		release()
		r.wait(time.Second)

		r.wantTaken(0)
		if id := r.checkpoint().Runs[0].ID; r.d.Running(t.Context(), id) {
			t.Error("the run is running, and nobody has it")
		}
	})
}

func TestEnterIsShutForARunThatIsNotRunning(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]

		if _, ok := r.d.Enter(t.Context(), l.Run.ID, "https://x.example"); !ok {
			t.Error("an open gate was shut for a run that is being tried")
		}
		r.change(l, weir.Succeeded, 0)
		r.finish(l)

		if _, ok := r.d.Enter(t.Context(), l.Run.ID, "https://x.example"); ok {
			t.Error("a gate opened for a run that has ended")
		}
	})
}

func TestRunsAreDueByTheClockOfTheJournalNotOfThisMachine(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(1)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]
		r.change(l, weir.Retrying, time.Hour)
		r.finish(l)
		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		r.workers = &workers{free: 1}
		r.startWith(dispatch.Options{
			Journal: r.refuse, State: r.state, Blobs: r.blobs, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Node: "n1",
			Clock: func() time.Time { return time.Now().Add(59 * time.Minute) },
		})
		r.wait(30 * time.Second)
		r.wantTaken(0)
		r.wait(31 * time.Second)
		r.wantTaken(1)
	})
}
