package order_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"weir"
	"weir/internal/dispatch"
	"weir/internal/enginetest"
	"weir/internal/order"
	"weir/internal/state"
	"weir/internal/track"
)

// rig is what orders are given on: a real journal, state and dispatcher, with
// workers that try nothing.
type rig struct {
	t       *testing.T
	journal enginetest.Journal
	state   enginetest.State
	d       *dispatch.Dispatcher
	orders  *order.Orders
	events  int
}

// onEach runs a test on each engine.
func onEach(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	enginetest.Each(t, func(t *testing.T, s *enginetest.Stores) { test(t, newRig(t, s)) })
}

func newRig(t *testing.T, stores *enginetest.Stores) *rig {
	t.Helper()
	j, s := stores.Journal, stores.State
	d := dispatch.New(dispatch.Options{Journal: j, State: s, Logger: slog.New(slog.DiscardHandler), Node: "n1"})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, idle{}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, journal: j, state: s, d: d}
	r.orders = &order.Orders{
		Journal: j, State: s, Dispatcher: d, Past: &track.Reader{Journal: j, State: s, Dispatcher: d},
	}
	body, err := json.Marshal(weir.Trigger{Match: []weir.Criterion{{Types: []string{"e"}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.apply(1, weir.Definition{Kind: weir.KindTrigger, Name: "each", Body: body})
	return r
}

// idle are workers that never take anything.
type idle struct{}

func (idle) Take([]weir.Lease) {}
func (idle) Free() int         { return 0 }
func (idle) Cancel(weir.RunID) {}

func (r *rig) apply(revision uint64, put ...weir.Definition) {
	r.t.Helper()
	if _, err := r.orders.Apply(r.t.Context(), 1, &weir.Apply{Revision: revision, Put: put}); err != nil {
		r.t.Fatal(err)
	}
}

// run makes a pending run.
func (r *rig) run() *weir.Run {
	r.t.Helper()
	r.events++
	e := &weir.Event{ID: fmt.Sprint(r.events), Source: "/s", Type: "e"}
	receipts, err := r.journal.Append(r.t.Context(), weir.Batch{Records: []*weir.Record{{Project: 1, Event: e}}})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.d.Settle(r.t.Context(), receipts[0].Items[0].Seq); err != nil {
		r.t.Fatal(err)
	}
	runs, _, err := r.state.ListRuns(r.t.Context(), state.RunFilter{Project: 1, Limit: 1000})
	if err != nil || len(runs) == 0 {
		r.t.Fatal(runs, err)
	}
	newest := runs[0]
	for _, run := range runs {
		if run.Firing.Members[0].Seq > newest.Firing.Members[0].Seq {
			newest = run
		}
	}
	return newest
}

// after appends a change as a worker would.
func (r *rig) after(run *weir.Run, n uint32, kind weir.ChangeKind) {
	r.t.Helper()
	c := &weir.Change{Run: run.ID, N: n, Kind: kind, Trigger: "each"}
	if n == 1 {
		c.Firing = &run.Firing
	}
	if _, err := r.journal.Append(r.t.Context(), weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Change: c}}}); err != nil {
		r.t.Fatal(err)
	}
}

var orders = []weir.ChangeKind{weir.Cancelled, weir.Hastened, weir.Redriven, weir.Purged}

func TestEachOrderFitsSomeStates(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		for was, fits := range map[weir.ChangeKind]string{ // last change -> orders that hold
			0:              "cancelled hastened",
			weir.Retrying:  "cancelled hastened",
			weir.Held:      "cancelled hastened",
			weir.Died:      "redriven purged",
			weir.Succeeded: "",
			weir.Cancelled: "",
		} {
			for _, kind := range orders {
				run := r.run()
				if was != 0 {
					r.after(run, 1, was)
				}

				seq, err := r.orders.Change(t.Context(), 1, weir.Change{Run: run.ID, Kind: kind, By: "somebody"})

				if strings.Contains(fits, kind.String()) {
					r.wantChange(seq, err, run, kind)
				} else if weir.CodeOf(err) != weir.Conflict || !strings.Contains(err.Error(), run.ID.String()) {
					t.Errorf("%s after %s: %v, want a conflict that names the run", kind, was, err)
				}
			}
		}
	})
}

// wantChange checks that an order is on record as the run's next change.
func (r *rig) wantChange(seq weir.Seq, err error, run *weir.Run, kind weir.ChangeKind) {
	r.t.Helper()
	if err != nil {
		r.t.Errorf("%s: %v", kind, err)
		return
	}
	records, err := r.journal.Records(r.t.Context(), []weir.Seq{seq})
	if err != nil {
		r.t.Fatal(err)
	}
	c := records[0].Change
	if c == nil || c.Run != run.ID || c.Kind != kind || c.By != "somebody" || c.Trigger != "each" {
		r.t.Fatalf("on record: %+v", c)
	}
	if (c.N == 1) != (c.Firing != nil) {
		r.t.Errorf("change %d has the firing %v: the first one carries it, and only that", c.N, c.Firing)
	}
}

func TestAnOrderForARunThatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		run := r.run()
		head := r.journal.Head()
		for what, c := range map[string]struct {
			project weir.ProjectID
			id      weir.RunID
		}{"unknown": {1, weir.RunID{1}}, "another project's": {2, run.ID}} {
			if _, err := r.orders.Change(t.Context(), c.project, weir.Change{Run: c.id, Kind: weir.Cancelled}); weir.CodeOf(err) != weir.NotFound {
				t.Errorf("%s: %v", what, err)
			}
		}
		if now := r.journal.Head(); now != head {
			t.Errorf("%d records were appended", now-head)
		}
	})
}

// hurried is a state in which something happens after a run was read, so that
// the order made of it comes second.
type hurried struct {
	order.State
	once func(n uint32)
}

func (s hurried) Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error) {
	runs, err := s.State.Runs(ctx, ids)
	if len(runs) > 0 {
		s.once(runs[0].N + 1)
	}
	return runs, err
}

func TestAnOrderThatComesSecondIsJudgedAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile weir.ChangeKind
		code      weir.Code
	}{
		"still possible": {weir.Retrying, ""},
		"no more":        {weir.Succeeded, weir.Conflict},
		"another way":    {weir.Died, weir.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, r *rig) {
				run := r.run()
				var once sync.Once
				r.orders.State = hurried{r.state, func(n uint32) { once.Do(func() { r.after(run, n, c.meanwhile) }) }}

				seq, err := r.orders.Change(t.Context(), 1, weir.Change{Run: run.ID, Kind: weir.Cancelled, By: "somebody"})

				if weir.CodeOf(err) != c.code {
					t.Fatalf("got %v, want %q", err, c.code)
				}
				if err == nil {
					r.wantChange(seq, nil, run, weir.Cancelled)
				}
			})
		})
	}
}

func TestAnOrderGivesUpWhereOthersAreAlwaysFirst(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		run := r.run()
		r.orders.State = hurried{r.state, func(n uint32) { r.after(run, n, weir.Retrying) }}

		_, err := r.orders.Change(t.Context(), 1, weir.Change{Run: run.ID, Kind: weir.Cancelled})

		if weir.CodeOf(err) != weir.Conflict || !strings.Contains(err.Error(), "try again") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnApplyThatComesSecondSeesTheFirst(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		first := weir.Definition{Kind: weir.KindPipeline, Name: "first", Body: []byte(`{}`)}
		head := r.journal.Head()
		receipts, err := r.journal.Append(t.Context(), weir.Batch{Bound: true, Records: []*weir.Record{
			{Project: 1, Apply: &weir.Apply{Revision: 2, Put: []weir.Definition{first}}},
		}})
		if err != nil || receipts[0].Refused {
			t.Fatal(receipts, err)
		}

		_, err = r.orders.Apply(t.Context(), 1, &weir.Apply{Revision: 2, Put: []weir.Definition{{Kind: weir.KindPipeline, Name: "second", Body: []byte(`{}`)}}})

		if weir.CodeOf(err) != weir.Conflict || r.journal.Head() != head+1 {
			t.Errorf("got %v, %d records", err, r.journal.Head()-head)
		}
		in, revision, err := r.state.Definitions(t.Context(), 1)
		if err != nil || revision != 2 || len(in) != 2 || in[0].Name != "first" {
			t.Errorf("in force at revision %d: %+v, %v", revision, in, err)
		}
	})
}
