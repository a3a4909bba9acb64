package node

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir"
)

// local is a dispatcher in this process.
type local struct {
	flushed chan struct{} // closed: all is
	over    chan struct{} // closed: it ended
	asked   chan weir.Seq
	ended   []weir.Finish
}

func newLocal() *local {
	return &local{flushed: make(chan struct{}), over: make(chan struct{}), asked: make(chan weir.Seq, 10)}
}

func (l *local) Enter(context.Context, weir.RunID, string) (time.Duration, bool) {
	return time.Second, true
}

func (l *local) Finish(ended []weir.Finish)               { l.ended = append(l.ended, ended...) }
func (l *local) Running(context.Context, weir.RunID) bool { return true }
func (l *local) Why(context.Context, weir.RunID) string   { return "for a test" }

func (l *local) Settle(ctx context.Context, seq weir.Seq) error {
	l.asked <- seq
	select {
	case <-l.flushed:
		return nil
	case <-l.over:
	case <-ctx.Done():
	}
	return weir.E("", weir.Behind, "behind")
}

// many is a node of several, with all of its loops.
type many struct {
	*Dispatch
	rig     *rig
	applied []weir.ProjectID
	wanted  []weir.Seq
}

func newMany(t testing.TB) *many {
	m := &many{rig: newRig(t, 4)}
	afar := NewAfar(AfarOptions{
		State: m.rig.db, Logger: logger(t),
		Applied: []func(weir.ProjectID){func(p weir.ProjectID) { m.applied = append(m.applied, p) }},
		Want:    func(_ context.Context, seq weir.Seq) { m.wanted = append(m.wanted, seq) },
	})
	m.Dispatch = NewDispatch(afar, m.rig.Taker)
	start(t, afar.Run)
	start(t, m.Run)
	return m
}

// within is a wait of a reader.
func (m *many) settle(t testing.TB, seq weir.Seq, d time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return m.Settle(ctx, seq)
}

func TestReaderElsewhereWaitsForTheStoredCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMany(t)
		if err := m.settle(t, 5, 2*time.Second); weir.CodeOf(err) != weir.Behind {
			t.Errorf("without a dispatcher: %v", err)
		}
		time.AfterFunc(time.Second, func() { m.rig.db.set(func() { m.rig.db.cursor = 5 }) })

		began := time.Now()
		err := m.settle(t, 5, 2*time.Second)

		if took := time.Since(began); err != nil || took > time.Second+2*waitedEvery {
			t.Errorf("after %v: %v", took, err)
		}
		if len(m.wanted) != 2 || m.wanted[0] != 5 {
			t.Errorf("asked for %v", m.wanted)
		}
		m.rig.db.set(func() { m.rig.db.away = weir.E("", weir.Unavailable, "away") })
		if err := m.settle(t, 6, 2*time.Second); weir.CodeOf(err) != weir.Unavailable {
			t.Errorf("without the database: %v", err)
		}
	})
}

func TestADatabaseThatIsAwayIsLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logged := newRig(t, 4), &bytes.Buffer{}
		start(t, NewAfar(AfarOptions{State: r.db, Logger: slog.New(slog.NewTextHandler(logged, nil))}).Run)
		for range 2 {
			r.db.set(func() { r.db.away = weir.E("", weir.Unavailable, "away") })
			time.Sleep(10 * watchEvery)
			r.db.set(func() { r.db.away = nil })
			time.Sleep(2 * watchEvery)
		}
		synctest.Wait()

		if n := strings.Count(logged.String(), "\n"); n != 2 {
			t.Errorf("two outages are %d lines:\n%s", n, logged)
		}
	})
}

func TestWhatWasAppliedIsInForceHereBeforeItsReaderIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMany(t)
		pass(watchEvery)
		m.applied = nil

		m.rig.db.define(t, weir.KindSetting, "strict", true)
		m.rig.db.set(func() { m.rig.db.cursor = 7 })

		if err := m.settle(t, 7, time.Second); err != nil {
			t.Fatal(err)
		}
		if len(m.applied) != 1 || m.applied[0] != weir.DefaultProject {
			t.Errorf("told %v", m.applied)
		}
	})
}

func TestReaderWaitsOnWhenTheShardGoesToAnotherNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, here := newMany(t), newLocal()
		m.Begin(here)
		answer := make(chan error, 1)
		go func() { answer <- m.settle(t, 3, 5*time.Second) }()
		<-here.asked

		close(here.over)
		m.End()
		synctest.Wait()
		m.rig.db.set(func() { m.rig.db.cursor = 3 })

		if err := <-answer; err != nil {
			t.Error(err)
		}
	})
}

func TestFlushThatAnotherNodeWantsIsAskedForWhereTheDispatcherIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, here := newMany(t), newLocal()
		close(here.flushed)
		m.Wanted(4) // nobody here can
		synctest.Wait()
		m.Begin(here)

		m.Wanted(5)
		m.Wanted(3)

		if seq := <-here.asked; seq != 5 {
			t.Errorf("asked for %d", seq)
		}
		m.End()
	})
}

func TestEndOfATryGoesToWhoGaveItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, here := newMany(t), newLocal()
		far := m.rig.db.grant(newRun(1), "b")
		pass(time.Second)
		m.Begin(here)
		defer m.End()

		mine := weir.Finish{Run: weir.RunID{15: 2}, Began: 1}
		stale := weir.Finish{Run: far.Run, Began: far.Began - 1} // of a tenure before
		m.Finish([]weir.Finish{{Run: far.Run, Began: far.Began}, mine, stale})

		if len(here.ended) != 2 || here.ended[0] != mine || here.ended[1] != stale {
			t.Errorf("the dispatcher here was told %+v", here.ended)
		}
		if m.rig.has(far.Run) {
			t.Error("the lease of the other is still renewed")
		}
		if m.Share() != 3 {
			t.Errorf("share %d", m.Share())
		}
	})
}

func TestRunIsSeenRunningOnWhateverNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMany(t)
		l := m.rig.db.grant(newRun(1), "c")
		if !m.Running(t.Context(), l.Run) || m.Running(t.Context(), weir.RunID{15: 9}) {
			t.Error("not as the rows say")
		}
		m.rig.db.set(func() { delete(m.rig.db.leases, l.Run) })
		pass(2 * leasedFor)
		if m.Running(t.Context(), l.Run) {
			t.Error("runs on without a lease")
		}
	})
}
