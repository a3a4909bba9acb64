package track_test

import (
	"context"
	"encoding/json"
	"testing"

	"weir"
	"weir/client"
	"weir/internal/enginetest"
	"weir/internal/fold"
	"weir/internal/journal"
	"weir/internal/state"
	"weir/internal/track"
)

// rig is a reader on a real journal and a real state, in which nothing is folded
// or flushed but when the test says so.
type rig struct {
	t       *testing.T
	journal enginetest.Journal
	state   enginetest.State
	fold    *fold.Fold
	trying  map[weir.RunID]bool
	reader  *track.Reader
}

// onEach runs a test on each engine.
func onEach(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	enginetest.Each(t, func(t *testing.T, s *enginetest.Stores) {
		r := &rig{t: t, journal: s.Journal, state: s.State, fold: fold.New(0, &fold.Checkpoint{}), trying: map[weir.RunID]bool{}}
		r.reader = &track.Reader{Journal: r.journal, State: r.state, Dispatcher: r}
		test(t, r)
	})
}

// Running plays the dispatcher.
func (r *rig) Running(_ context.Context, run weir.RunID) bool { return r.trying[run] }

// Why plays the dispatcher, to which all wait for the same.
func (r *rig) Why(context.Context, weir.RunID) string { return "for a test" }

func (r *rig) append(records ...*weir.Record) []weir.Item {
	r.t.Helper()
	bound := records[0].Event == nil
	receipts, err := r.journal.Append(r.t.Context(), weir.Batch{Bound: bound, Records: records})
	if err != nil || receipts[0].Refused {
		r.t.Fatalf("append: refused %v, %v", receipts, err)
	}
	return receipts[0].Items
}

func (r *rig) apply(triggers ...weir.Trigger) {
	r.t.Helper()
	order := &weir.Apply{Revision: 1}
	for _, trigger := range triggers {
		body, err := json.Marshal(trigger)
		if err != nil {
			r.t.Fatal(err)
		}
		order.Put = append(order.Put, weir.Definition{Kind: weir.KindTrigger, Name: trigger.Name, Body: body})
	}
	r.append(&weir.Record{Project: 1, Apply: order})
}

// events appends events of one type in one batch.
func (r *rig) events(kind string, ids ...string) []weir.Item {
	r.t.Helper()
	records := make([]*weir.Record, len(ids))
	for i, id := range ids {
		records[i] = &weir.Record{Project: 1, Event: &weir.Event{ID: id, Source: "/s", Type: kind, Execution: "x-" + id}}
	}
	return r.append(records...)
}

// end appends what ends a run, with its firing.
func (r *rig) end(run *weir.Run, kind weir.ChangeKind) {
	r.t.Helper()
	c := &weir.Change{Run: run.ID, N: run.N + 1, Kind: kind, Pipeline: run.Pipeline, Trigger: run.Firing.Trigger}
	if run.N == 0 {
		firing := run.Firing
		c.Firing = &firing
	}
	r.append(&weir.Record{Project: run.Project, Change: c})
}

// foldAll folds what the journal has.
func (r *rig) foldAll() {
	r.t.Helper()
	for {
		cursor, _ := r.fold.Cursor()
		records, err := r.journal.Read(r.t.Context(), cursor, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(records) == 0 {
			return
		}
		for len(records) > 0 {
			n, needs := r.fold.Plan(records)
			groups, err := r.state.Groups(r.t.Context(), needs.Groups)
			if err != nil {
				r.t.Fatal(err)
			}
			runs, err := r.state.Runs(r.t.Context(), needs.Runs)
			if err != nil {
				r.t.Fatal(err)
			}
			r.fold.Give(groups, runs)
			r.fold.Turn()
			records = records[n:]
		}
	}
}

// flush folds what the journal has and writes it.
func (r *rig) flush() {
	r.t.Helper()
	r.foldAll()
	layer := r.fold.Freeze()
	if err := r.state.Flush(r.t.Context(), layer); err != nil {
		r.t.Fatal(err)
	}
	r.fold.Flushed(layer, 0, func(weir.RunID) bool { return false })
}

// live returns the runs in state with all their members, newest first.
func (r *rig) live() []*weir.Run {
	r.t.Helper()
	runs, _, err := r.state.ListRuns(r.t.Context(), state.RunFilter{Project: 1, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, run := range runs {
		chunks, err := r.state.Chunks(r.t.Context(), []weir.GroupID{run.Firing.Group})
		if err != nil {
			r.t.Fatal(err)
		}
		run.Firing.Join(chunks)
	}
	return runs
}

// interrupted is a reader that is interrupted once, after its nth read of a
// store.
func (r *rig) interrupted(n int, by func()) *track.Reader {
	in := &interruption{left: n, by: by}
	return &track.Reader{
		Journal: interruptedJournal{r.journal, in}, State: interruptedState{r.state, in}, Dispatcher: r,
	}
}

type interruption struct {
	left int
	by   func()
}

func (in *interruption) after() {
	if in.left--; in.left == 0 {
		in.by()
	}
}

type interruptedJournal struct {
	track.Journal
	in *interruption
}

func (j interruptedJournal) Find(ctx context.Context, q journal.Query) (journal.Found, error) {
	defer j.in.after()
	return j.Journal.Find(ctx, q)
}

type interruptedState struct {
	track.State
	in *interruption
}

func (s interruptedState) Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error) {
	defer s.in.after()
	return s.State.Runs(ctx, ids)
}

func (s interruptedState) Groups(ctx context.Context, ids []weir.GroupID) ([]*weir.Group, error) {
	defer s.in.after()
	return s.State.Groups(ctx, ids)
}

func (s interruptedState) Chunks(ctx context.Context, groups []weir.GroupID) ([]weir.Chunk, error) {
	defer s.in.after()
	return s.State.Chunks(ctx, groups)
}

func (s interruptedState) ListRuns(ctx context.Context, f state.RunFilter) ([]*weir.Run, state.Listed, error) {
	defer s.in.after()
	return s.State.ListRuns(ctx, f)
}

// listAll reads a list of runs to its end, in pages of a size.
func listAll(t *testing.T, reader *track.Reader, f client.RunFilter, size int, between func()) []client.Run {
	t.Helper()
	var all []client.Run
	for p := (client.Paging{Limit: size}); ; {
		page, err := reader.Runs(t.Context(), 1, f, p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Items...)
		if p.After = page.Next; p.After == "" {
			return all
		}
		between()
	}
}
