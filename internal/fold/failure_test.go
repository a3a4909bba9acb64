package fold_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/pipeline"
)

func (b *bench) pipelines(put ...weir.Pipeline) {
	b.t.Helper()
	b.rev++
	order := &weir.Apply{Revision: b.rev}
	for _, p := range put {
		order.Put = append(order.Put, definition(weir.KindPipeline, p.Name, p))
	}
	b.add(weir.Record{Apply: order})
}

// dies lets a run die, and tells of it as who appends that does.
func (b *bench) dies(id weir.RunID) {
	b.t.Helper()
	run := copyRun(*b.run(id))
	b.change(id, run.N+1, weir.Died)
	b.add(*pipeline.DeadEvent(&run, &weir.Change{Run: id, N: run.N + 1, Kind: weir.Died, Error: "because"}))
}

func TestADeathMakesARunOfWhatFollowsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, weir.Trigger{
		Name: "t", Match: []weir.Criterion{{Types: []string{"a"}}}, Run: "p", Fire: []weir.Criterion{}, Expire: "opened + 1h",
		GroupBy: []weir.KeyPart{{Name: "k", Of: "data.k"}},
	})
	b.pipelines(
		weir.Pipeline{Name: "p", OnFailure: "alert"},
		weir.Pipeline{Name: "alert", Concurrency: &weir.Concurrency{Limit: 1, Per: "group.key.k"}},
	)
	b.event(0, `{"k":"v"}`)
	dead := b.runs[0]

	b.dies(dead.ID)

	if len(b.runs) != 2 {
		t.Fatalf("%d runs, want the dead one and what follows", len(b.runs))
	}
	got := b.runs[1]
	want := weir.Firing{
		Reason: weir.Failed, Trigger: "t", Revision: dead.Firing.Revision, Key: `{"k":"v"}`, PipeRev: b.rev,
		Made: b.at, Executions: []string{dead.ID.String()}, Members: []weir.Member{{Time: b.at, Seq: b.seq}},
		Hops: 1, Quiet: true, Error: "because",
	}
	if diff := cmp.Diff(want, got.Firing); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Pipeline != "alert" || got.Lane.Key != `"v"` {
		t.Errorf("a run of %q in the lane of key %s", got.Pipeline, got.Lane.Key)
	}
}

func TestNothingFollowsWhatIsNoDeath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		onFailure string
		then      func(b *bench, id weir.RunID)
	}{
		"a pipeline that names nothing": {"", func(b *bench, id weir.RunID) { b.dies(id) }},
		"the run was redriven before": {"alert", func(b *bench, id weir.RunID) {
			run := copyRun(*b.run(id))
			b.change(id, 1, weir.Died)
			b.change(id, 2, weir.Redriven)
			b.add(*pipeline.DeadEvent(&run, &weir.Change{Run: id, N: 1}))
		}},
		"an event that somebody else emitted": {"alert", func(b *bench, id weir.RunID) {
			b.change(id, 1, weir.Died)
			b.add(weir.Record{Event: &weir.Event{ID: "x", Source: "/runs/" + id.String(), Type: pipeline.DeadType, Cause: id}})
		}},
		"an event that the run itself emitted": {"alert", func(b *bench, id weir.RunID) {
			b.change(id, 1, weir.Died)
			b.add(weir.Record{Event: &weir.Event{ID: id.String() + ".0.0", Source: pipeline.DeadSource, Type: pipeline.DeadType, Cause: id}})
		}},
		"an event without a cause": {"alert", func(b *bench, id weir.RunID) {
			b.change(id, 1, weir.Died)
			b.add(weir.Record{Event: &weir.Event{ID: "x", Source: pipeline.DeadSource, Type: pipeline.DeadType}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, weir.Trigger{Name: "t", Match: []weir.Criterion{{Types: []string{"a"}}}, Run: "p"})
			b.pipelines(weir.Pipeline{Name: "p", OnFailure: c.onFailure}, weir.Pipeline{Name: "alert"})
			b.events(1)

			c.then(b, b.runs[0].ID)

			if len(b.runs) != 1 {
				t.Errorf("%d runs, want none to follow", len(b.runs)-1)
			}
		})
	}
}

func TestAnOrderedRunHoldsItsKeyFromItsFirstTryToItsEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())
	b.pipelines(weir.Pipeline{Name: "p", Concurrency: &weir.Concurrency{Ordered: true}})
	made := weir.Precedence{Due: b.at, Seq: b.events(1)[0]}
	id := b.runs[0].ID
	b.at += second
	for n, c := range []struct {
		kind  weir.ChangeKind
		queue weir.Precedence
		holds bool
	}{
		{weir.Hastened, made, false},
		{weir.Held, made, true},
		{weir.Lost, made, true},
		{weir.Retrying, made, true},
		{weir.Hastened, made, true},
		{weir.Died, made, false},
		{weir.Redriven, weir.Precedence{Due: b.at, Seq: b.seq + 7}, false},
		{weir.Retrying, weir.Precedence{Due: b.at, Seq: b.seq + 7}, true},
	} {
		b.change(id, uint32(n+1), c.kind)

		if run := b.run(id); run.Queued != c.queue || run.Holds != c.holds {
			t.Errorf("after %s: queued %v, holds %v; want %v, %v", c.kind, run.Queued, run.Holds, c.queue, c.holds)
		}
	}
}

func TestARunKeepsItsPlaceWhateverItsPipelineBecomes(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())
	b.events(1)
	b.pipelines(weir.Pipeline{Name: "p", Concurrency: &weir.Concurrency{Ordered: true}})
	b.events(1)
	b.pipelines(weir.Pipeline{Name: "p"})

	b.change(b.runs[0].ID, 1, weir.Retrying)
	b.change(b.runs[1].ID, 1, weir.Retrying)

	if run := b.run(b.runs[0].ID); run.Holds || run.Queued != (weir.Precedence{}) {
		t.Errorf("a run of a version without order: %+v", run)
	}
	if run := b.run(b.runs[1].ID); !run.Holds || run.Due != b.at.Add(time.Minute) {
		t.Errorf("a run of a version with order: %+v", run)
	}
}

func TestRunsWhoseKeyCannotBeToldShareOne(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())
	b.pipelines(weir.Pipeline{Name: "p", Concurrency: &weir.Concurrency{Limit: 1, Per: "data.k"}})

	b.event(0, `{"k":1}`)
	b.event(0, `{}`)
	b.event(0, `{"k":null}`)

	for i, want := range []string{"1", "null", "null"} {
		if got := b.runs[i].Lane.Key; got != want {
			t.Errorf("run %d has key %q, want %q", i, got, want)
		}
	}
}
