package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/dispatch"
	"weir/internal/enginetest"
	"weir/internal/fold"
)

var slow = weir.Pipeline{Name: "p", Steps: []weir.Step{{HTTP: &weir.HTTPStep{Method: "POST", URL: "http://far.example/x"}}}}

// fleet is a state that keeps leases as one for many nodes does, and the nodes
// that take them. Only who has the newest token may flush.
type fleet struct {
	*disk

	mu      sync.Mutex // guards all below
	token   int
	nodes   []weir.Node
	rows    map[weir.RunID]fold.LeaseRow
	until   map[weir.RunID]time.Time // zero: as long as its dispatcher has the shard
	told    []string                 // nodes for which leases were written
	revoked []string                 // nodes from which some were taken
	silent  error                    // what Nodes answers
}

func newFleet(d *disk) *fleet {
	return &fleet{disk: d, rows: map[weir.RunID]fold.LeaseRow{}, until: map[weir.RunID]time.Time{}}
}

const runLease = 30 * time.Second

// tenure is the fleet as a dispatcher with a token sees it.
type tenure struct {
	*fleet
	token int
}

func (f *fleet) begin() tenure {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token++
	return tenure{f, f.token}
}

func (t tenure) held() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fleet.token == t.token
}

var errFenced = errors.New("another has the shard")

func (t tenure) Flush(ctx context.Context, l *fold.Layer) error {
	if !t.held() {
		return errFenced
	}
	if err := t.disk.Flush(ctx, l); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := map[weir.RunID]fold.LeaseRow{}
	for _, row := range l.Leases {
		if old, ok := t.rows[row.Run]; ok && old.Began == row.Began {
			kept[row.Run] = old
			continue
		}
		if row.Written { // removed by its node since
			continue
		}
		kept[row.Run] = row
		t.until[row.Run] = time.Time{}
		if !row.Begun {
			t.until[row.Run] = time.Now().Add(runLease)
		}
	}
	t.rows = kept
	return nil
}

func (t tenure) Load(ctx context.Context) (*fold.Checkpoint, error) {
	cp, err := t.disk.Load(ctx)
	if err != nil {
		return nil, err
	}
	cp.Leases, err = t.Leases(ctx)
	return cp, err
}

func (f *fleet) Leases(context.Context) ([]fold.LeaseRow, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rows := slices.Collect(maps.Values(f.rows))
	for i := range rows {
		rows[i].Written = false
		rows[i].Over = !f.until[rows[i].Run].After(time.Now())
	}
	return rows, nil
}

func (f *fleet) Nodes(context.Context) ([]weir.Node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes, f.silent
}

func (f *fleet) Granted(nodes []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, nodes...)
}

func (f *fleet) Revoked(nodes []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked = append(f.revoked, nodes...)
}

func (f *fleet) know(nodes ...weir.Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = nodes
}

// granted returns the leases that a node was given and has not begun.
func (f *fleet) granted(node string) []fold.LeaseRow {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.grantedLocked(node)
}

func (f *fleet) grantedLocked(node string) (rows []fold.LeaseRow) {
	for id, row := range f.rows {
		if row.Node == node && !row.Begun && f.until[id].After(time.Now()) {
			rows = append(rows, row)
		}
	}
	return rows
}

// take makes a node begin its leases, and renews them.
func (f *fleet) take(node string) (rows []fold.LeaseRow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rows = f.grantedLocked(node)
	for _, row := range rows {
		row.Begun = true
		f.rows[row.Run] = row
		f.until[row.Run] = time.Now().Add(runLease)
	}
	return rows
}

// giveBack removes a lease.
func (f *fleet) giveBack(run weir.RunID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.rows, run)
}

func (f *fleet) has(run weir.RunID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.rows[run]
	return ok
}

// inFleet runs a test on fresh stores with a fleet, in fake time.
func inFleet(t *testing.T, test func(t *testing.T, r *rig, f *fleet)) {
	t.Helper()
	inBubbleOn(t, enginetest.Embedded, func(t *testing.T, r *rig) { test(t, r, newFleet(r.state)) })
}

// startIn starts a dispatcher of a node with so many workers of its own, which
// has the shard until another is started.
func (r *rig) startIn(f *fleet, node string, free int) {
	r.t.Helper()
	r.workers = &workers{free: free}
	mine := f.begin()
	r.startWith(dispatch.Options{
		Journal: r.refuse, State: mine, Held: mine.held, Nodes: f, Grace: 5 * time.Second, Newer: errNewer,
		Logger: slog.New(slog.NewTextHandler(r.t.Output(), nil)), Node: node, Slots: free,
	})
	r.wait(time.Millisecond)
}

var errNewer = errors.New("written by a newer version")

// outcome appends how a run's try on another node ended.
func (r *rig) outcome(row fold.LeaseRow, kind weir.ChangeKind, verdict weir.Verdict) bool {
	r.t.Helper()
	n, firing := uint32(1), (*weir.Firing)(nil)
	for _, rec := range r.records(0) {
		if rec.Change != nil && rec.Change.Run == row.Run {
			n = rec.Change.N + 1
		}
	}
	if n == 1 {
		firing = &weir.Firing{Trigger: "each"}
	}
	receipts := r.append(weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Change: &weir.Change{
		Run: row.Run, N: n, Kind: kind, Firing: firing, Attempt: &weir.Attempt{Try: row.Try, Node: row.Node, Verdict: verdict},
	}}}})
	r.wait(time.Millisecond)
	return !receipts[0].Refused
}

func TestRunsGoToTheWorkersHereFirstAndThenToOtherNodesOnceThatIsWritten(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "n1", Slots: 2}, weir.Node{Name: "n2", Slots: 3})
		r.startIn(f, "n1", 2)
		r.apply(each, slow)
		r.settle()
		release := f.hold()
		for range 6 {
			r.event("a")
		}
		r.wait(10 * time.Millisecond)
		r.wantTaken(2)
		if n := len(f.granted("n2")); n != 0 {
			t.Fatalf("%d leases of n2 are there before they are written", n)
		}

		release()
		r.wait(10 * time.Millisecond)

		rows := f.granted("n2")
		if len(rows) != 3 || !slices.Contains(f.told, "n2") {
			t.Fatalf("n2 has %d leases, and %v were told; want 3, and n2", len(rows), f.told)
		}
		for _, row := range rows {
			if row.Try != 1 || !r.d.Running(t.Context(), row.Run) {
				t.Errorf("row %+v, running %v; want the first try, running", row, r.d.Running(t.Context(), row.Run))
			}
		}
		r.wantTaken(2)
	})
}

func TestQuickRunsStayHereWhileThereAreSlots(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "n2", Slots: 100})
		r.startIn(f, "n1", 32)
		quick := weir.Pipeline{Name: "q", Steps: p.Steps}
		r.apply(each, slow, quick, weir.Trigger{Name: "quick", Match: []weir.Criterion{{Types: []string{"b"}}}, Run: "q"})
		for range 40 {
			r.event("a")
		}
		r.wait(time.Second)
		r.wantTaken(30) // two slots are left

		r.event("b")
		r.wait(time.Second)

		if l := r.newest(31); l.Run.Pipeline != "q" {
			t.Errorf("the workers got a run of %s", l.Run.Pipeline)
		}
		if n := len(f.granted("n2")); n != 10 {
			t.Errorf("n2 has %d leases, want 10", n)
		}
	})
}

func TestDeadDrainingAndIdleNodesGetNothing(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "dead", Slots: 9, Dead: true}, weir.Node{Name: "leaves", Slots: 9, Draining: true}, weir.Node{Name: "api"})
		r.startIn(f, "n1", 0)
		r.apply(each, slow)
		r.event("a")
		r.wait(time.Minute)
		if n := len(f.rows); n != 0 {
			t.Fatalf("%d leases are written", n)
		}

		f.know(weir.Node{Name: "n2", Slots: 1})
		r.wait(2 * time.Second)

		if n := len(f.granted("n2")); n != 1 {
			t.Errorf("n2 has %d leases, want 1", n)
		}
	})
}

func TestAnOutcomeOnRecordEndsTheTryOnAnotherNode(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "n2", Slots: 1})
		r.startIn(f, "n1", 0)
		r.apply(each, slow)
		r.event("a")
		r.event("a")
		r.wait(time.Second)
		first := f.take("n2")

		r.outcome(first[0], weir.Succeeded, weir.Reached)
		r.wait(time.Second)

		second := f.take("n2")
		if len(second) != 1 || second[0].Run == first[0].Run {
			t.Errorf("n2 was then given %v, want the other run", second)
		}
		if f.has(first[0].Run) {
			t.Error("the lease of the first is still there")
		}
	})
}

func TestABreakerLearnsFromTriesOnOtherNodes(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "n2", Slots: 1})
		r.startIn(f, "n1", 0)
		r.apply(each, slow)
		for range 20 {
			r.event("a")
		}
		tries := 0
		for range 15 {
			r.wait(100 * time.Millisecond)
			for _, row := range f.take("n2") {
				tries++
				r.outcome(row, weir.Died, weir.Unreached)
			}
		}
		if tries != 10 {
			t.Errorf("%d tries at a destination that nobody reached, want 10", tries)
		}
	})
}

func TestALeaseGivenBackIsNoTry(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*rig, *fleet, fold.LeaseRow){
		"removed":     func(r *rig, f *fleet, row fold.LeaseRow) { f.giveBack(row.Run) },
		"never taken": func(r *rig, f *fleet, row fold.LeaseRow) { r.wait(runLease) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFleet(t, func(t *testing.T, r *rig, f *fleet) {
				f.know(weir.Node{Name: "n2", Slots: 1})
				r.startIn(f, "n1", 0)
				r.apply(each, slow)
				r.event("a")
				r.wait(time.Second)
				row := f.granted("n2")[0]
				f.know(weir.Node{Name: "n3", Slots: 1})
				r.wait(2 * time.Second)

				leave(r, f, row)
				r.wait(2 * time.Second)

				again := f.granted("n3")
				if len(again) != 1 || again[0].Run != row.Run || again[0].Try != 1 || len(r.changesOf(row.Run)) != 0 {
					t.Errorf("n3 has %+v after changes %v, want the first try after none", again, r.changesOf(row.Run))
				}
			})
		})
	}
}

func TestATryWhoseLeaseRanOutIsLostAndCounts(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "n2", Slots: 1})
		r.startIn(f, "n1", 0)
		r.apply(each, slow)
		r.event("a")
		r.wait(time.Second)
		row := f.take("n2")[0]

		r.refuse.failAppends(2, weir.E("append", weir.DiskFull, "no room"))
		r.wait(runLease + 5*time.Minute)

		if got := r.changesOf(row.Run); len(got) != 1 || got[0] != weir.Lost {
			t.Fatalf("changes %v, want one lost", got)
		}
		if again := f.granted("n2"); len(again) != 1 || again[0].Try != 2 {
			t.Errorf("n2 has %+v, want the second try", again)
		}
	})
}

func TestACancelTakesTheLeaseFromAnotherNodeAtOnce(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "n2", Slots: 1})
		r.startIn(f, "n1", 0)
		r.apply(each, slow)
		r.event("a")
		r.wait(time.Second)
		row := f.take("n2")[0]

		r.outcome(row, weir.Cancelled, weir.Unasked)

		if f.has(row.Run) {
			t.Error("the lease is still there")
		}
		if diff := cmp.Diff([]string{"n2"}, f.revoked); diff != "" {
			t.Errorf("nodes that were told: %s", diff)
		}
		if r.d.Running(t.Context(), row.Run) {
			t.Error("it is still running")
		}
	})
}

func TestANewDispatcherKeepsLeasesOfOtherNodesAndLosesThoseOfTheLastOne(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "n2", Slots: 1}, weir.Node{Name: "n3", Slots: 9})
		limited := slow
		limited.Concurrency = &weir.Concurrency{Limit: 2}
		r.startIn(f, "n1", 1)
		r.apply(each, limited)
		for range 4 {
			r.event("a")
		}
		r.wait(2 * time.Second)
		own := r.wantTaken(1)[0]
		other := append(f.take("n2"), f.take("n3")...)
		if len(other) != 1 {
			t.Fatalf("other nodes have %v, want one", other)
		}

		r.state.fail(errors.New("the process is gone"))
		_ = r.end()
		r.state.fail(nil)
		r.startIn(f, "n4", 5)
		r.wait(time.Second)

		if got := r.changesOf(own.Run.ID); len(got) != 1 || got[0] != weir.Lost {
			t.Errorf("changes of the run that died with the dispatcher: %v, want lost", got)
		}
		r.wantTaken(1) // with that of the other node the pipeline's places are taken
		r.outcome(other[0], weir.Succeeded, weir.Reached)
		r.wait(time.Second)
		r.wantTaken(2)
		if got := r.changesOf(other[0].Run); len(got) != 1 || got[0] != weir.Succeeded {
			t.Errorf("changes of the run that goes on: %v, want only its outcome", got)
		}
	})
}

func TestWhenTheShardIsLostTriesAreCancelledAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		r.startIn(f, "n1", 5)
		r.apply(each, slow)
		r.event("a")
		l := r.wantTaken(1)[0]
		r.settle()
		flushes := f.flushes()

		f.begin()
		r.event("a")
		err := r.ends()
		if err != nil {
			t.Errorf("error %v, want none: it is told by who took the shard", err)
		}
		r.wantTaken(1)
		if got := r.workers.cancelled; len(got) != 1 || got[0] != l.Run.ID {
			t.Errorf("cancelled %v, want %s", got, l.Run.ID)
		}
		if n := f.flushes() - flushes; n != 0 {
			t.Errorf("%d flushes after the shard was lost", n)
		}
	})
}

func TestAtACleanEndTriesHereAreWaitedForAndThenLost(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		r.startIn(f, "n1", 5)
		r.apply(each, slow)
		r.event("a")
		r.event("a")
		leases := slices.Clone(r.wantTaken(2))
		r.stop()
		r.wait(time.Second)
		r.event("a")
		r.change(leases[0], weir.Succeeded, 0)
		r.finish(leases[0])
		time.AfterFunc(5*time.Second, func() { r.d.Finish([]weir.Finish{{Run: leases[1].Run.ID, Began: leases[1].Began}}) })
		if err := r.ends(); err != nil {
			t.Fatal(err)
		}
		r.wantTaken(2)
		if got := r.workers.cancelled; len(got) != 1 || got[0] != leases[1].Run.ID {
			t.Errorf("cancelled %v, want the one that did not end", got)
		}

		r.startIn(f, "n2", 5)
		r.wait(10 * time.Millisecond)

		if got := r.changesOf(leases[0].Run.ID); len(got) != 1 || got[0] != weir.Succeeded {
			t.Errorf("changes of the run that ended: %v", got)
		}
		if got := r.changesOf(leases[1].Run.ID); len(got) != 1 || got[0] != weir.Lost {
			t.Errorf("changes of the run that did not: %v, want lost", got)
		}
		r.wantTaken(1) // that of the third event
	})
}

func TestOtherNodesGetRunsWhileTriesHereAreWaitedForAtTheEnd(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		f.know(weir.Node{Name: "n2", Slots: 1})
		r.startIn(f, "n1", 2)
		r.apply(each, slow)
		r.event("a")
		l := r.wantTaken(1)[0]

		r.wait(time.Second / 10)
		r.stop()
		r.event("a")
		r.wait(10 * time.Millisecond)

		if n := len(f.granted("n2")); n != 1 {
			t.Errorf("n2 has %d leases, want 1", n)
		}
		r.wantTaken(1)
		r.change(l, weir.Succeeded, 0)
		r.finish(l)
		if err := r.ends(); err != nil {
			t.Error(err)
		}
	})
}

func TestAJournalThatIsAwayIsWaitedForAndOneThatIsNewerIsNot(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, r *rig, f *fleet) {
		r.startIn(f, "n1", 5)
		r.apply(each, slow)
		r.refuse.breakReads(weir.E("read", weir.Unavailable, "away"))
		r.event("a")
		r.wait(time.Minute)
		r.wantTaken(0)
		r.refuse.breakReads(nil)
		r.wait(time.Second)
		r.wantTaken(1)

		r.refuse.breakReads(weir.E("read", weir.Unavailable, "format 9: %w", errNewer))
		r.event("a")

		if err := r.ends(); !errors.Is(err, errNewer) {
			t.Errorf("error %v, want that the record is newer", err)
		}
	})
}

// ends waits for the dispatcher to end by itself.
func (r *rig) ends() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		r.ended = nil
		r.stop()
		return err
	case <-time.After(time.Minute):
		r.t.Fatal("the dispatcher goes on")
		return nil
	}
}

func TestALeaseThatWorkersGiveBackIsHandedOutAgainALittleLater(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(1)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]

		r.workers.freed(1)
		r.d.Finish([]weir.Finish{{Run: l.Run.ID, Began: l.Began, Unbegun: true}})
		synctest.Wait()
		r.wantTaken(1)
		r.wait(time.Second)

		if again := r.newest(2); again.Run.ID != l.Run.ID || again.Try != 1 {
			t.Errorf("try %d of %s, want the first of the same", again.Try, again.Run.ID)
		}
	})
}

func TestTheEndOfAnOlderTryIsNotThatOfANewOne(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(1)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]

		r.d.Finish([]weir.Finish{{Run: l.Run.ID, Began: l.Began - 1}})
		synctest.Wait()

		if !r.d.Running(t.Context(), l.Run.ID) {
			t.Error("the run is not running any more")
		}
	})
}
