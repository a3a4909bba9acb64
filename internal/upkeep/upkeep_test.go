package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

const (
	hour = weir.Time(time.Hour / time.Microsecond)
	now  = weir.Time(1_767_225_600_000_000)
)

func days(n int) weir.Duration { return weir.Duration(n) * weir.Duration(24*time.Hour) }

// stores are a journal and a state that are asked how old what goes is, no more.
type stores struct {
	Journal
	State
	asked weir.Time
}

func (s *stores) Newest(_ context.Context, before weir.Time) (weir.Seq, error) {
	s.asked = before
	return 0, errors.New("enough")
}

func (s *stores) Projects(context.Context) ([]weir.Project, error) {
	return []weir.Project{{ID: 1}}, nil
}

func (s *stores) Versions(context.Context) ([]Version, error) { return nil, nil }

func TestWhatIsOldIsToldByTheClockOfTheJournalNotOfThisMachine(t *testing.T) {
	t.Parallel()
	s := &stores{}
	l := New(Options{
		Journal: s, State: s, Retention: days(30).Std(), Clock: now.Std, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Prepare: func(context.Context) error { return nil },
		Sweep:   func(context.Context, weir.Time) (int, error) { return 0, nil },
	})

	l.pass(t.Context())

	if s.asked != now-30*24*hour {
		t.Errorf("all before %v goes, and it is %v", s.asked, now)
	}
}

func TestWhatStaysIsYoungOrNeededByWhatIsLive(t *testing.T) {
	t.Parallel()
	l := &Loop{Options: Options{Retention: days(30).Std()}}
	cut := l.cutoffs([]weir.Project{{ID: 1}, {ID: 2, Retention: days(7)}, {ID: 3, Retention: days(365)}}, now.Std())
	n := &needed{cut: cut, upTo: 100, named: map[name]uint64{}}
	old, young := weir.RunID{1}, weir.Origin{At: now - hour}.RunID()
	n.add(&Live{Project: 1, Run: old, Members: []weir.Member{{Seq: 7}, {Seq: 101}}})
	n.add(&Live{Members: []weir.Member{{Seq: 9}, {Seq: 7}}})
	n.add(&Live{Project: 1, Run: young})
	n.ready()
	if cut.newest != now-7*24*hour || !slices.Equal(n.members, []weir.Seq{7, 9}) || !slices.Equal(n.runs, []weir.RunID{old}) {
		t.Fatalf("%v, members %v, runs %v", cut, n.members, n.runs)
	}
	event := func(project weir.ProjectID, seq weir.Seq, age int) *weir.Record {
		return &weir.Record{Project: project, Seq: seq, At: now - weir.Time(age)*24*hour, Event: &weir.Event{}}
	}
	change := func(run weir.RunID) *weir.Record {
		return &weir.Record{Project: 1, Seq: 5, At: now - 99*24*hour, Change: &weir.Change{Run: run}}
	}

	for what, c := range map[string]struct {
		r     *weir.Record
		stays bool
	}{
		"young":                           {event(1, 50, 29), true},
		"old":                             {event(1, 50, 31), false},
		"old, of one that forgets sooner": {event(2, 50, 8), false},
		"old, of one that forgets later":  {event(3, 50, 364), true},
		"too old even for that":           {event(3, 50, 366), false},
		"a member":                        {event(1, 7, 99), true},
		"a member in a chunk":             {event(2, 9, 99), true},
		"a change of a run in state":      {change(old), true},
		"a change of another run":         {change(weir.RunID{2}), false},
		"an apply":                        {&weir.Record{Project: 1, Seq: 7, At: 1, Apply: &weir.Apply{}}, false},
		"a tick":                          {&weir.Record{At: now - 8*24*hour}, false},
	} {
		if got := n.stays(c.r); got != c.stays {
			t.Errorf("%s: stays is %v", what, got)
		}
	}
}

func TestVersionsStayFromTheOldestThatIsNamed(t *testing.T) {
	t.Parallel()
	var all []Version
	add := func(kind weir.DefinitionKind, name string, revisions ...int) {
		for _, r := range revisions { // negative: deletes
			all = append(all, Version{Project: 1, Kind: kind, Name: name, Revision: uint64(max(r, -r)), Deletes: r < 0})
		}
	}
	add(weir.KindPipeline, "gone.run", 2, -9)
	add(weir.KindPipeline, "kept", 1, 4, 8)
	add(weir.KindPipeline, "t.run", 1, 2, 4, 6, 9)
	add(weir.KindPipeline, "unnamed", 1, 3)
	add(weir.KindTrigger, "ended", 2, 4, -7)
	add(weir.KindTrigger, "gone", 2, -9)
	add(weir.KindTrigger, "t", 1, 3, 5, 9)
	named := map[name]uint64{
		{1, weir.KindPipeline, "kept"}: 4, {1, weir.KindTrigger, "t"}: 5, {1, weir.KindTrigger, "ended"}: 4,
		{2, weir.KindTrigger, "unnamed"}: 1,
	}

	got := outdated(all, named)

	want := []Version{
		{Project: 1, Kind: weir.KindPipeline, Name: "gone.run", Revision: 10},
		{Project: 1, Kind: weir.KindPipeline, Name: "kept", Revision: 4},
		{Project: 1, Kind: weir.KindPipeline, Name: "t.run", Revision: 4},
		{Project: 1, Kind: weir.KindPipeline, Name: "unnamed", Revision: 3},
		{Project: 1, Kind: weir.KindTrigger, Name: "ended", Revision: 4},
		{Project: 1, Kind: weir.KindTrigger, Name: "gone", Revision: 10},
		{Project: 1, Kind: weir.KindTrigger, Name: "t", Revision: 5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := outdated(nil, named); len(again) != 0 {
		t.Errorf("of nothing: %v", again)
	}
}
