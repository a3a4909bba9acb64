package statetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

func newState(t *testing.T, s suite) {
	e := s.new(t)

	p := must(e.Load(t.Context()))(t)

	want := &fold.Checkpoint{Projects: []weir.Project{{ID: weir.DefaultProject, Name: "default"}}}
	if diff := cmp.Diff(want, p, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// everything is a layer that writes into every table.
func everything(n int) fold.Layer {
	run, group := fullRun(n), fullGroup(n)
	return fold.Layer{
		Groups: []weir.Group{group},
		Chunks: []weir.Chunk{{Group: group.ID, Index: 0, Members: members(n, weir.ChunkSize)}},
		Runs:   []weir.Run{run},
		Installed: []fold.Installed{{Project: weir.DefaultProject, Definition: weir.Definition{
			Kind: weir.KindTrigger, Name: "usage", Revision: uint64(n), Body: []byte(`{}`),
		}}},
		Counters: []fold.Counter{{Project: weir.DefaultProject, Trigger: "usage", What: "matched", N: 1}},
		Leases:   []fold.LeaseRow{{Run: run.ID, Node: "here", Try: 1, Began: start}},
	}
}

func reopened(t *testing.T, s suite) {
	place := t.TempDir()
	e := s.at(t, place)
	flush(t, e, everything(1))
	before := must(e.Load(t.Context()))(t)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	after := must(s.at(t, place).Load(t.Context()))(t)

	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("(-before +after reopening):\n%s", diff)
	}
	if after.Cursor != 1 || after.At != start+1 {
		t.Errorf("cursor %d of %v", after.Cursor, after.At)
	}
}

// wholeOrNothing flushes layers whose last part cannot be written.
func wholeOrNothing(t *testing.T, s suite) {
	e := s.new(t)
	flush(t, e, everything(1))
	before, rows := image(t, e), e.RowsWritten()

	for name, spoil := range map[string]func(*fold.Layer){
		"a lease of no try":     func(l *fold.Layer) { l.Leases[0].Try = 0 },
		"a definition twice":    func(l *fold.Layer) { l.Installed = append(l.Installed, l.Installed[0]) },
		"a run in no state":     func(l *fold.Layer) { l.Runs[0].State = weir.RunSucceeded },
		"no such project":       func(l *fold.Layer) { l.Installed[0].Project = 99 },
		"a chunk before all":    func(l *fold.Layer) { l.Chunks[0].Index = -1 },
		"a group of no project": func(l *fold.Layer) { l.Groups[0].Project = 0 },
	} {
		l := everything(2)
		l.From, l.To, l.At = 1, 2, start+2
		spoil(&l)
		wantCode(t, e.Flush(t.Context(), &l), weir.Internal)
		if diff := cmp.Diff(before, image(t, e)); diff != "" {
			t.Errorf("%s left something (-before +after):\n%s", name, diff)
		}
	}
	if e.RowsWritten() != rows {
		t.Errorf("counts %d rows of flushes that failed", e.RowsWritten()-rows)
	}
}

func fenced(t *testing.T, s suite) {
	e := s.new(t)
	flush(t, e, everything(1))
	before := image(t, e)

	for _, from := range []weir.Seq{0, 2, 100} {
		l := everything(2)
		l.From, l.To, l.At = from, 200, start+2
		if err := e.Flush(t.Context(), &l); !errors.Is(err, state.ErrCursorMoved) {
			t.Errorf("from %d: %v", from, err)
		}
	}

	if diff := cmp.Diff(before, image(t, e)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func notTwice(t *testing.T, s suite) {
	e := s.new(t)
	l := everything(1)
	l.From, l.To, l.At = 0, 7, start

	first, second := e.Flush(t.Context(), &l), e.Flush(t.Context(), &l)

	if first != nil || !errors.Is(second, state.ErrCursorMoved) {
		t.Errorf("first %v, second %v", first, second)
	}
	if n := must(e.Counters(t.Context(), weir.DefaultProject))(t)["usage"]["matched"]; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func racing(t *testing.T, s suite) {
	e := s.new(t)
	const flushes, rounds = 4, 10
	for round := range weir.Seq(rounds) {
		var won, moved int
		var mu sync.Mutex
		var all sync.WaitGroup
		for k := range flushes {
			all.Go(func() {
				l := &fold.Layer{From: round, To: round + 1, Runs: []weir.Run{plainRun(int(round)*flushes + k)}}
				err := e.Flush(t.Context(), l)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case errors.Is(err, state.ErrCursorMoved):
					moved++
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won != 1 || moved != flushes-1 {
			t.Errorf("%d won, %d were refused", won, moved)
		}
	}
	if n := len(must(e.Load(t.Context()))(t).Runs); n != rounds {
		t.Errorf("%d runs", n)
	}
}

// manyRows crosses every size of statement.
func manyRows(t *testing.T, s suite) {
	e := s.new(t)
	next := 1
	for _, n := range []int{0, 1, 9, 10, 11, 49, 50, 51, 99, 101, 263} {
		l := fold.Layer{}
		var runs []weir.RunID
		var groups []weir.GroupID
		for range n {
			l.Runs, l.Groups = append(l.Runs, plainRun(next)), append(l.Groups, plainGroup(next))
			runs, groups = append(runs, runID(next)), append(groups, groupID(next))
			next++
		}
		flush(t, e, l)
		if got := must(e.Runs(t.Context(), runs))(t); len(got) != n {
			t.Errorf("%d runs of %d", len(got), n)
		}
		if got := must(e.Groups(t.Context(), groups))(t); len(got) != n {
			t.Errorf("%d groups of %d", len(got), n)
		}

		flush(t, e, fold.Layer{RunsGone: runs, GroupsGone: groups})
		p := must(e.Load(t.Context()))(t)
		if len(p.Runs)+len(p.Groups) != 0 {
			t.Errorf("%d runs and %d groups are left of %d", len(p.Runs), len(p.Groups), n)
		}
	}
}

func rowsWritten(t *testing.T, s suite) {
	e := s.new(t)
	before := e.RowsWritten()

	flush(t, e, fold.Layer{})
	if n := e.RowsWritten() - before; n != 1 {
		t.Errorf("an empty flush wrote %d rows, not the cursor only", n)
	}

	before = e.RowsWritten()
	flush(t, e, everything(1))
	if n := e.RowsWritten() - before; n != 1+6+1 { // cursor, one in each table, the project's revision
		t.Errorf("wrote %d rows", n)
	}

	before = e.RowsWritten()
	flush(t, e, fold.Layer{RunsGone: []weir.RunID{runID(1), runID(2)}})
	if n := e.RowsWritten() - before; n != 1+1+1 { // cursor, run, the lease that is not held any more
		t.Errorf("wrote %d rows", n)
	}
}

// image is all that a flush can change.
func image(t testing.TB, e Engine) any {
	t.Helper()
	ctx := t.Context()
	p := must(e.Load(ctx))(t)
	var groups []weir.GroupID
	var runs []weir.RunID
	for _, g := range p.Groups {
		groups = append(groups, g.ID)
	}
	for _, r := range p.Runs {
		runs = append(runs, r.ID)
	}
	return []any{
		p, must(e.Counters(ctx, weir.DefaultProject))(t),
		must(e.Groups(ctx, groups))(t), must(e.Runs(ctx, runs))(t),
		must(e.Chunks(ctx, groups))(t),
	}
}

func cancelledRead(t *testing.T, s suite) {
	e := s.new(t)
	flush(t, e, everything(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	for range 10 { // more often than there are connections
		_, err := e.Load(ctx)
		wantCode(t, err, weir.Unavailable)
		wantCode(t, e.Flush(ctx, &fold.Layer{From: 1, To: 2}), weir.Unavailable)
	}

	flush(t, e, everything(2))
	if n := len(must(e.Load(t.Context()))(t).Runs); n != 2 {
		t.Errorf("%d runs", n)
	}
}

func closedUnavailable(t *testing.T, s suite) {
	e := s.new(t)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	_, err := e.Load(t.Context())
	wantCode(t, err, weir.Unavailable)
	wantCode(t, e.Flush(t.Context(), &fold.Layer{}), weir.Unavailable)
	wantCode(t, e.PutMeta(t.Context(), "a", nil), weir.Unavailable)
}
