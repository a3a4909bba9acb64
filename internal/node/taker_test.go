package node

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/fold"
)

// workers are those of one node: they try what they get until told otherwise.
type workers struct {
	mu        sync.Mutex
	free      int
	taken     []weir.Lease
	cancelled map[weir.RunID]time.Time
}

func (w *workers) Take(leases []weir.Lease) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken = append(w.taken, leases...)
	w.free -= len(leases)
}

func (w *workers) Free() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.free
}

func (w *workers) Cancel(run weir.RunID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancelled[run] = time.Now()
}

func (w *workers) got() []weir.Lease {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]weir.Lease(nil), w.taken...)
}

func (w *workers) when(run weir.RunID) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cancelled[run]
}

// rig is a taker of node "b" at work.
type rig struct {
	*Taker
	db      *database
	workers *workers
	stop    func()
	stopped atomic.Int64 // how long the process was
}

const target = "https://x.example:443"

func newRig(t testing.TB, free int) *rig {
	r := &rig{db: newDatabase(), workers: &workers{free: free, cancelled: map[weir.RunID]time.Time{}}}
	r.db.define(t, weir.KindPipeline, "p", weir.Pipeline{Steps: []weir.Step{{HTTP: &weir.HTTPStep{URL: target + "/a"}}}})
	began := time.Now()
	r.Taker = NewTaker(TakerOptions{
		Rows: r.db, Maker: NewMaker(r.db), Workers: r.workers, Node: "b", Logger: logger(t),
		Clock: func() time.Duration { return time.Since(began) + time.Duration(r.stopped.Load()) },
	})
	r.stop = start(t, r.Run)
	return r
}

func newRun(n byte) weir.Run {
	return weir.Run{
		ID: weir.RunID{15: n}, Project: weir.DefaultProject, State: weir.RunPending, Pipeline: "p",
		Lane:   weir.Lane{Project: weir.DefaultProject, Pipeline: "p", Origin: target},
		Firing: weir.Firing{PipeRev: 1},
	}
}

// pass lets time go by, and all that follows from it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestGrantedRunIsTakenWithAllThatATryNeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		r.db.define(t, weir.KindDestination, target, weir.Destination{Limit: 3})
		run := newRun(1)
		run.Tries = 2
		run.Firing.Group, run.Firing.Chunks = weir.GroupID{15: 1}, 1
		run.Firing.Members = []weir.Member{{Time: 2, Seq: 2}}
		r.db.chunks = []weir.Chunk{{Group: run.Firing.Group, Members: []weir.Member{{Time: 5, Seq: 1}, {Time: 1, Seq: 3}}}}

		l := r.db.grant(run, "b")
		other := r.db.grant(newRun(2), "c")
		pass(idleEvery)

		got := r.workers.got()
		if len(got) != 1 {
			t.Fatalf("took %d", len(got))
		}
		if got[0].Try != 3 || got[0].Began != l.Began || got[0].Pipe.Steps[0].HTTP == nil || got[0].Destinations[target].Limit != 3 {
			t.Errorf("got %+v", got[0])
		}
		members := []weir.Member{{Time: 1, Seq: 3}, {Time: 2, Seq: 2}, {Time: 5, Seq: 1}}
		if diff := cmp.Diff(members, got[0].Run.Firing.Members); diff != "" {
			t.Error(diff)
		}
		if l, _ := r.db.lease(other.Run); l.Begun {
			t.Error("took what another node was granted")
		}
	})
}

func TestNoMoreIsTakenThanTheWorkersHavePlacesFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		for n := range byte(5) {
			r.db.grant(newRun(n), "b")
		}

		pass(time.Second)

		if n := len(r.workers.got()); n != 2 {
			t.Errorf("took %d", n)
		}
	})
}

func TestLeaseIsRenewedForAsLongAsItsRunIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		l := r.db.grant(newRun(1), "b")

		pass(10 * lease)

		if kept, _ := r.db.lease(l.Run); time.Until(kept.until) < lease/2 || r.db.renews > 40 {
			t.Errorf("lasts %v more, renewed %d times", time.Until(kept.until), r.db.renews)
		}
		r.finish(weir.Finish{Run: l.Run, Began: l.Began})
		pass(2 * lease)
		if kept, ok := r.db.lease(l.Run); !ok || time.Now().Before(kept.until) {
			t.Error("the row of a try that ended does not wait for the flush that has its change")
		}
		if !r.workers.when(l.Run).IsZero() {
			t.Error("was cancelled")
		}
	})
}

func TestTryStopsWhenItsRowIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		gone, stays := r.db.grant(newRun(1), "b"), r.db.grant(newRun(2), "b")
		pass(time.Second)

		r.db.set(func() { delete(r.db.leases, gone.Run) })
		pass(lease / 3)

		if r.workers.when(gone.Run).IsZero() || !r.workers.when(stays.Run).IsZero() {
			t.Errorf("cancelled %v", r.workers.cancelled)
		}
		if r.enter(gone.Run, target) || !r.enter(stays.Run, target) {
			t.Error("who lost its lease goes on sending, or the other does not")
		}
	})
}

func TestTryStopsAtOnceWhereItsNodeIsToldThatItsRowIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		gone := r.db.grant(newRun(1), "b")
		pass(time.Second)

		r.db.set(func() { delete(r.db.leases, gone.Run) })
		r.Revoked()
		synctest.Wait()

		if r.workers.when(gone.Run).IsZero() {
			t.Error("goes on")
		}
	})
}

func TestTryStopsAMarginBeforeItsLeaseIsOverForOthers(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*database){
		"the database is away": func(db *database) { db.away = weir.E("", weir.Unavailable, "away") },
		"it does not answer":   func(db *database) { db.hang = make(chan struct{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2)
				l := r.db.grant(newRun(1), "b")
				pass(45 * time.Second)
				r.db.set(func() { breaks(r.db) })
				kept, _ := r.db.lease(l.Run)

				pass(2 * lease)

				early := kept.until.Sub(r.workers.when(l.Run))
				if early < time.Second || early > 2*time.Second {
					t.Errorf("stopped %v before the end", early)
				}
				r.db.set(func() {
					if r.db.hang != nil {
						close(r.db.hang)
					}
					r.db.hang, r.db.away = nil, nil
				})
				r.stop()
			})
		})
	}
}

func TestNodeWithNothingToDoSeldomAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)

		pass(time.Minute)

		if r.db.takes > 61 {
			t.Errorf("asked %d times in a minute", r.db.takes)
		}
	})
}

func TestWhatWasNotBegunIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		refused := r.db.grant(newRun(1), "b")
		ended := r.db.grant(newRun(2), "b")
		pass(time.Second)
		waits := r.db.grant(newRun(3), "b") // finds no place
		vanished := r.db.grant(newRun(4), "b")
		r.db.set(func() { delete(r.db.runs, vanished.Run) })

		r.finish(weir.Finish{Run: refused.Run, Began: refused.Began, Unbegun: true})
		r.finish(weir.Finish{Run: ended.Run, Began: ended.Began})
		pass(time.Second)

		has := func(l fold.LeaseRow) bool { _, ok := r.db.lease(l.Run); return ok }
		if has(refused) || !has(ended) || !has(waits) {
			t.Error("not just the refused one was given back")
		}
		r.workers.mu.Lock()
		r.workers.free = 2
		r.workers.mu.Unlock()
		pass(idleEvery + lookEvery)
		if has(vanished) {
			t.Error("the row of a run that is not there stays")
		}
		late := r.db.grant(newRun(5), "b")
		r.Drain()
		synctest.Wait()
		if has(late) {
			t.Error("a node that drains keeps what it was granted")
		}
		r.Resume()
		r.db.grant(newRun(6), "b")
		r.workers.mu.Lock()
		r.workers.free, r.workers.taken = 5, nil
		r.workers.mu.Unlock()
		pass(time.Second)
		if len(r.workers.got()) == 0 {
			t.Error("takes nothing after it resumed")
		}
	})
}

func TestNothingIsSentWhenAProcessThatWasStoppedGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		l := r.db.grant(newRun(1), "b")
		pass(time.Second)

		r.stopped.Store(int64(lease))

		if r.enter(l.Run, target) {
			t.Error("sends after the time of its lease")
		}
	})
}

func TestTryElsewhereAsksNobodyForTheOriginOfItsLaneUnlessThatHasARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		l := r.db.grant(newRun(1), "b")
		pass(time.Second)
		if !r.enter(l.Run, target) || r.enter(l.Run, "https://y.example:443") || r.enter(weir.RunID{15: 9}, target) {
			t.Error("enters elsewhere, or not where its lane leads")
		}

		r.db.define(t, weir.KindDestination, target, weir.Destination{Rate: weir.Rate{N: 1, Per: time.Second}})
		r.Maker.Applied(weir.DefaultProject)
		limited := r.db.grant(newRun(2), "b")
		pass(time.Second)

		if r.enter(limited.Run, target) {
			t.Error("sends uncounted where there is a rate")
		}
	})
}
