package fold_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func TestWhatAStepHasDoneInPartHoldsUntilItHasDoneMore(t *testing.T) {
	t.Parallel()
	b := newBench(t, atOnce())
	b.event(0, `{}`)
	id := b.runs[0].ID
	try := func(n uint32, kind weir.ChangeKind, steps ...weir.StepOutcome) {
		b.add(weir.Record{Change: &weir.Change{
			Run: id, N: n, Kind: kind, After: time.Minute, Attempt: &weir.Attempt{Try: int(n), Steps: steps},
		}})
	}
	done := weir.StepOutcome{Index: 0, Finished: true}
	part := func(acted int) weir.StepOutcome {
		return weir.StepOutcome{Index: 1, Acted: acted, Output: []byte(`[]`)}
	}

	for n, c := range []struct {
		kind  weir.ChangeKind
		steps []weir.StepOutcome
		want  []weir.StepOutcome
	}{
		{weir.Retrying, []weir.StepOutcome{done, {Index: 1}}, []weir.StepOutcome{done}},
		{weir.Held, []weir.StepOutcome{part(2)}, []weir.StepOutcome{done, part(2)}},
		{weir.Lost, nil, []weir.StepOutcome{done, part(2)}},
		{weir.Retrying, []weir.StepOutcome{part(3)}, []weir.StepOutcome{done, part(3)}},
		{weir.Died, []weir.StepOutcome{part(3)}, []weir.StepOutcome{done, part(3)}},
		{weir.Redriven, nil, []weir.StepOutcome{done, part(3)}},
	} {
		try(uint32(n+1), c.kind, c.steps...)

		if diff := cmp.Diff(c.want, b.run(id).Done); diff != "" {
			t.Errorf("change %d: %s", n+1, diff)
		}
	}
}

func TestDestinationsThatWereHandedOutDoNotChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	define := func(d weir.Destination) {
		b.rev++
		b.add(weir.Record{Apply: &weir.Apply{Revision: b.rev, Put: []weir.Definition{definition(weir.KindDestination, "http://x", d)}}})
	}
	define(weir.Destination{Limit: 1})
	first := b.fold.Destinations(1)

	define(weir.Destination{Limit: 2})
	second := b.fold.Destinations(1)
	b.rev++
	b.add(weir.Record{Apply: &weir.Apply{Revision: b.rev, Delete: []weir.Definition{{Kind: weir.KindDestination, Name: "http://x"}}}})

	if first["http://x"].Limit != 1 || second["http://x"].Limit != 2 || len(b.fold.Destinations(1)) != 0 {
		t.Errorf("got %v, %v, %v", first, second, b.fold.Destinations(1))
	}
}
