package fold_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/fold"
)

// atOnce is a trigger without groups.
func atOnce() weir.Trigger {
	return weir.Trigger{Name: "t", Match: []weir.Criterion{{}}, Run: "p"}
}

func (b *bench) change(run weir.RunID, n uint32, kind weir.ChangeKind) {
	b.t.Helper()
	b.add(weir.Record{Change: &weir.Change{Run: run, N: n, Kind: kind, After: time.Minute, Error: "because"}})
}

// run returns a run in state.
func (b *bench) run(id weir.RunID) *weir.Run {
	b.t.Helper()
	run, known := b.fold.Run(id)
	if !known || run == nil {
		b.t.Fatalf("%s is not in state", id)
	}
	return run
}

func TestEachMatchOfATriggerWithoutGroupsIsARun(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())

	seqs := b.events(2)

	b.want(made{weir.Matched, 0, seqs[:1]}, made{weir.Matched, 0, seqs[1:]})
	if rec := b.fold.Event(b.runs[1].ID); rec == nil || rec.Seq != seqs[1] {
		t.Errorf("the record of the batch is %v, want it at hand", rec)
	}
}

func TestChangeOfAnotherNumberChangesNothing(t *testing.T) {
	t.Parallel()
	for _, n := range []uint32{0, 1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, atOnce())
			b.events(1)
			id := b.runs[0].ID
			b.change(id, 1, weir.Retrying)
			before := copyRun(*b.run(id))

			b.change(id, n, weir.Died)

			if diff := cmp.Diff(before, *b.run(id)); diff != "" {
				t.Errorf("the run changed (-before +now):\n%s", diff)
			}
		})
	}
}

func TestARunIsDueAfterWhatItsChangeSays(t *testing.T) {
	t.Parallel()
	for kind, want := range map[weir.ChangeKind]struct {
		due   weir.Time
		tries int
	}{
		weir.Retrying: {weir.Minute, 1},
		weir.Lost:     {weir.Minute, 1},
		weir.Held:     {weir.Minute, 0},
		weir.Hastened: {0, 0},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, atOnce())
			b.events(1)
			b.at += second

			b.change(b.runs[0].ID, 1, kind)

			run := b.run(b.runs[0].ID)
			if run.State != weir.RunPending || run.Due != b.at+want.due || run.Tries != want.tries {
				t.Errorf("%s, due after %s, %d tries; want pending, %s, %d",
					run.State, run.Due.Sub(b.at), run.Tries, time.Duration(want.due)*time.Microsecond, want.tries)
			}
		})
	}
}

func TestADeadRunStaysUntilItIsRedrivenOrPurged(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())
	b.events(1)
	id := b.runs[0].ID

	b.change(id, 1, weir.Died)
	if run := b.run(id); run.State != weir.RunDead || run.Ended != b.at || run.Error != "because" {
		t.Errorf("%s, ended %s, %q; want dead, now, because", run.State, run.Ended, run.Error)
	}
	b.at += second
	b.change(id, 2, weir.Redriven)
	if run := b.run(id); run.State != weir.RunPending || run.Due != b.at || run.Tries != 0 || run.Ended != 0 {
		t.Errorf("%s, due %s, %d tries, ended %s; want pending, now, none", run.State, run.Due, run.Tries, run.Ended)
	}
	b.change(id, 3, weir.Died)
	b.change(id, 4, weir.Purged)

	if _, known := b.fold.Run(id); known {
		t.Error("a purged run is in state")
	}
}

func TestARunMadeAndEndedBetweenTwoFlushesWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())
	b.flush()
	b.events(1)
	b.change(b.runs[0].ID, 1, weir.Succeeded)

	layer := b.flush()

	if n := len(layer.Runs) + len(layer.RunsGone) + len(layer.Groups) + len(layer.GroupsGone); n != 0 {
		t.Errorf("the layer has %d rows, want none", n)
	}
	if b.store.cursor != b.seq {
		t.Errorf("the cursor is %d, want %d all the same", b.store.cursor, b.seq)
	}
}

func TestTurnEndsBeforeApply(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())
	event := func(seq weir.Seq) *weir.Record {
		return &weir.Record{Seq: seq, At: b.at, Project: 1, Event: &weir.Event{ID: fmt.Sprint(seq), Source: "/s", Type: "a"}}
	}
	remove := &weir.Record{Seq: 4, At: b.at, Project: 1, Apply: &weir.Apply{
		Revision: 2, Delete: []weir.Definition{{Kind: weir.KindTrigger, Name: "t"}},
	}}
	records := []*weir.Record{event(2), event(3), remove, event(5)}

	var turns, runs []int
	for len(records) > 0 {
		n, _ := b.fold.Plan(records)
		turns = append(turns, n)
		runs = append(runs, len(b.fold.Turn()))
		records = records[n:]
	}

	if diff := cmp.Diff([][]int{{2, 1, 1}, {2, 0, 0}}, [][]int{turns, runs}); diff != "" {
		t.Errorf("records and runs by turn (-want +got):\n%s", diff)
	}
}

func TestNewTimesHoldFromAGroupsNextEventOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(9, "opened + 1m"))
	seqs := b.events(1)
	b.apply([]weir.Trigger{countsTo(9, "opened + 10m")})
	if due, _ := b.fold.NextDue(); due != start+weir.Minute {
		t.Errorf("due at %s, want the old time until an event joins", due)
	}

	seqs = append(seqs, b.events(1)...)
	b.tick(10 * weir.Minute)

	b.want(made{weir.Expired, 10 * weir.Minute, seqs})
}

func TestAfterAnotherShapeOpenGroupsTakeNoMoreEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "opened + 1m"))
	old := b.events(1)
	b.apply([]weir.Trigger{countsTo(3, "opened + 1m")})
	b.at += second

	fresh := b.events(2)
	b.tick(weir.Minute - second)
	b.tick(second)

	b.want(made{weir.Expired, weir.Minute, old}, made{weir.Expired, weir.Minute + second, fresh})
	if got := b.runs[0].Firing.Revision; got != 1 {
		t.Errorf("it ended under version %d, want its own", got)
	}
}

func TestAGroupThatNeverExpiresEndsWithItsTrigger(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "never"))
	seqs := b.events(1)
	b.flush() // it is in state only
	b.at += second

	b.apply(nil, "t")

	b.want(made{weir.Expired, second, seqs})
}

func TestAnEventThatWentTooFarMatchesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())

	b.add(weir.Record{Event: &weir.Event{ID: "far", Source: "/s", Type: "a", Hops: weir.MaxHops + 1}})
	near := b.add(weir.Record{Event: &weir.Event{ID: "near", Source: "/s", Type: "a", Hops: weir.MaxHops}})

	b.want(made{weir.Matched, 0, []weir.Seq{near}})
}

func TestARunOfAnEventOfWeirsOwnIsQuiet(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())

	b.events(1)
	b.add(weir.Record{Event: &weir.Event{ID: "x", Source: "/s", Type: "weir.run.dead"}})

	if b.runs[0].Firing.Quiet || !b.runs[1].Firing.Quiet {
		t.Errorf("quiet: %v, %v; want only the second", b.runs[0].Firing.Quiet, b.runs[1].Firing.Quiet)
	}
}

func TestAMissingFieldIsCountedByItsName(t *testing.T) {
	t.Parallel()
	trigger := countsTo(9, "last + 1h")
	trigger.Match[0].Where = "data.n > 1"
	trigger.GroupBy = []weir.KeyPart{{Name: "user", Of: "data.user"}}
	b := newBench(t, trigger)

	b.event(0, `{"user": "u"}`)
	b.event(0, `{"n": 2}`)
	b.event(0, `{"n": 2, "user": null}`)

	want := []fold.Counter{
		{Project: 1, Trigger: "t", What: "matched", N: 1},
		{Project: 1, Trigger: "t", What: "missing data.n", N: 1},
		{Project: 1, Trigger: "t", What: "missing data.user", N: 1},
	}
	if diff := cmp.Diff(want, b.flush().Counters); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func TestADefinitionThatIsNotUnderstoodMatchesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())
	strange := atOnce()
	strange.Match[0].Where = "data.n >>> 1"

	b.apply([]weir.Trigger{strange})
	b.events(1)

	b.want()
	if got := b.flush().Counters; len(got) != 1 || got[0].What != "not understood" {
		t.Errorf("counters %v, want one for the definition", got)
	}
}

func TestKeysCompareByKind(t *testing.T) {
	t.Parallel()
	trigger := countsTo(2, "last + 1h")
	trigger.GroupBy = []weir.KeyPart{{Name: "k", Of: "data.k"}}
	b := newBench(t, trigger)

	for _, k := range []string{`1`, `1.0`, `"1"`, `true`, `null`} {
		b.event(0, `{"k": `+k+`}`)
	}

	b.want()
	b.event(0, `{"k": 1.0}`)
	if len(b.runs) != 1 || b.runs[0].Firing.Key != `{"k":1.0}` {
		t.Errorf("runs %v, want that of the key 1.0", b.runs)
	}
}

func TestAnOrderAsksOnlyForTheGroupsThatItEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "never"))
	b.events(1)
	b.flush() // it is in state only

	for name, c := range map[string]struct {
		put  []weir.Trigger
		gone []string
		want int
	}{
		"another trigger": {put: []weir.Trigger{atOnceNamed("u")}, gone: []string{"v"}},
		"the same shape":  {put: []weir.Trigger{countsTo(2, "last + 1h")}},
		"another shape":   {put: []weir.Trigger{countsTo(3, "never")}, want: 1},
		"none":            {gone: []string{"t"}, want: 1},
	} {
		order := &weir.Apply{Revision: b.rev + 1}
		for _, def := range c.put {
			order.Put = append(order.Put, definition(weir.KindTrigger, def.Name, def))
		}
		for _, name := range c.gone {
			order.Delete = append(order.Delete, weir.Definition{Kind: weir.KindTrigger, Name: name})
		}

		_, needs := b.fold.Plan([]*weir.Record{{Seq: b.seq + 1, At: b.at, Project: 1, Apply: order}})

		if len(needs.Groups) != c.want {
			t.Errorf("%s: asks for %d groups, want %d", name, len(needs.Groups), c.want)
		}
	}
}

func atOnceNamed(name string) weir.Trigger {
	t := atOnce()
	t.Name = name
	return t
}

// What many triggers miss alike is counted for each, before and after one of
// them changed.
func TestEachTriggerCountsAFieldThatManyMiss(t *testing.T) {
	t.Parallel()
	on := func(name, where string) weir.Trigger {
		return weir.Trigger{Name: name, Match: []weir.Criterion{{Types: []string{"a"}, Where: where}}}
	}
	b := newBench(t, on("one", `data.who == "ann"`), on("two", `data.who == "bob"`), on("or", `data.who == "ann" || data.n == 1`))
	b.event(0, `{"n": 1}`)
	b.event(0, `{"n": 1}`)
	b.event(0, `{"who": "bob"}`)
	b.apply([]weir.Trigger{on("two", `data.who == "eve"`)}, "one")
	b.event(0, `{"n": 1}`)

	want := []fold.Counter{
		{Project: 1, Trigger: "one", What: "missing data.who", N: 2},
		{Project: 1, Trigger: "or", What: "matched", N: 3},
		{Project: 1, Trigger: "or", What: "missing data.n", N: 1},
		{Project: 1, Trigger: "two", What: "matched", N: 1},
		{Project: 1, Trigger: "two", What: "missing data.who", N: 3},
	}
	if diff := cmp.Diff(want, b.flush().Counters); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}
