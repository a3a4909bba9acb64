package lane

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

const (
	dead  = "http://dead"
	alive = "http://alive"
)

// named makes the ids of runs from names, and names from ids.
type named struct {
	*Set
	names map[weir.RunID]string
}

func newNamed(limits Limits) named { return named{New(limits, 0), map[weir.RunID]string{}} }

func (n named) id(name string) weir.RunID {
	id := weir.Origin{At: 1, Trigger: name}.RunID()
	n.names[id] = name
	return id
}

func (n named) add(name string, l weir.Lane, due weir.Time) {
	n.Add(Run{ID: n.id(name), Lane: l, Due: due})
}

func (n named) finish(v weir.Verdict, now weir.Time, names ...string) {
	for _, name := range names {
		n.Finish(n.id(name), v, now)
	}
}

func (n named) enters(name, origin string, now weir.Time) bool {
	_, ok := n.Enter(n.id(name), origin, now)
	return ok
}

// admits checks which runs are started, in order.
func (n named) admits(t *testing.T, now weir.Time, max int, want ...string) {
	t.Helper()
	var got []string
	for _, id := range n.Admit(now, max, nil) {
		got = append(got, n.names[id])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("admitted at %d (-want +got):\n%s", now, diff)
	}
}

func limits(pipeline, perKey, origin int) Limits {
	return Limits{
		Pipeline: func(weir.ProjectID, string) PipelineLimits { return PipelineLimits{All: pipeline, PerKey: perKey} },
		Origin:   func(weir.ProjectID, string) OriginLimits { return OriginLimits{All: origin} },
	}
}

func TestRunsOfALaneStartInOrderOfDueTime(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	l := weir.Lane{Project: 1, Pipeline: "p"}

	s.add("c", l, 30)
	s.add("a", l, 10)
	s.add("later", l, 101)
	s.add("b", l, 20)

	s.admits(t, 100, 2, "a", "b")
	s.admits(t, 100, 9, "c")
	s.admits(t, 101, 9, "later")
}

func TestARunAddedAgainMoves(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})

	s.add("a", weir.Lane{Project: 1, Pipeline: "p"}, 10)
	s.add("b", weir.Lane{Project: 1, Pipeline: "p"}, 20)
	s.add("a", weir.Lane{Project: 1, Pipeline: "p"}, 30)
	s.add("b", weir.Lane{Project: 1, Pipeline: "q"}, 40)

	s.admits(t, 100, 9, "a", "b")
	if got := s.waitingCount(); got != 0 {
		t.Errorf("%d runs wait, want none", got)
	}
}

func TestARunThatIsRemovedDoesNotStart(t *testing.T) {
	t.Parallel()
	s := newNamed(limits(1, 0, 0))
	l := weir.Lane{Project: 1, Pipeline: "p", Origin: alive}
	for i, name := range []string{"a", "b", "c"} {
		s.add(name, l, weir.Time(i+1))
	}
	s.admits(t, 10, 9, "a")

	s.Remove(s.id("b"))
	s.Remove(s.id("a"))

	s.admits(t, 10, 9, "c")
}

func TestLimitsHoldForPipelineKeyAndOrigin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		limits Limits
		lanes  []weir.Lane // of runs a, b, c
		first  []string    // what starts at once
		then   []string    // what starts when a has finished
		why    Wait        // for c, at first
	}{
		{
			"pipeline", limits(2, 0, 0),
			[]weir.Lane{{Pipeline: "p"}, {Pipeline: "p", Origin: dead}, {Pipeline: "p", Key: "k"}},
			[]string{"a", "b"},
			[]string{"c"},
			Wait{For: PipelineLimit, Name: "p", Used: 2, Limit: 2},
		},
		{
			"key", limits(0, 1, 0),
			[]weir.Lane{{Pipeline: "p", Key: "k"}, {Pipeline: "p", Key: "l"}, {Pipeline: "p", Key: "k", Origin: alive}},
			[]string{"a", "b"},
			[]string{"c"},
			Wait{For: KeyLimit, Name: "p", Key: "k", Used: 1, Limit: 1},
		},
		{
			"a key is one pipeline's", limits(0, 1, 0),
			[]weir.Lane{{Pipeline: "p", Key: "k"}, {Pipeline: "q", Key: "k"}, {Pipeline: "p", Key: "k"}},
			[]string{"a", "b"},
			[]string{"c"},
			Wait{For: KeyLimit, Name: "p", Key: "k", Used: 1, Limit: 1},
		},
		{
			"origin", limits(0, 0, 2),
			[]weir.Lane{{Pipeline: "p", Origin: alive}, {Pipeline: "q", Origin: alive}, {Pipeline: "r", Origin: alive}},
			[]string{"a", "b"},
			[]string{"c"},
			Wait{For: OriginLimit, Name: alive, Used: 2, Limit: 2},
		},
		{
			"no origin", limits(0, 0, 1),
			[]weir.Lane{{Pipeline: "p", Origin: alive}, {Pipeline: "p"}, {Pipeline: "p", Origin: alive}},
			[]string{"a", "b"},
			[]string{"c"},
			Wait{For: OriginLimit, Name: alive, Used: 1, Limit: 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newNamed(c.limits)
			for i, name := range []string{"a", "b", "c"} {
				c.lanes[i].Project = 1
				s.add(name, c.lanes[i], weir.Time(i+1))
			}

			s.admits(t, 10, 9, c.first...)
			if why, ok := s.Why(s.id("c"), 0); !ok || why != c.why {
				t.Errorf("Why = %+v, want %+v", why, c.why)
			}
			s.finish(weir.Reached, 10, "a")
			s.admits(t, 10, 9, c.then...)
		})
	}
}

func TestAnOriginHasSixtyFourPlacesByDefault(t *testing.T) {
	t.Parallel()
	s := New(Limits{}, 0)
	for i := range 100 {
		s.Add(Run{ID: runID(i), Lane: weir.Lane{Project: 1, Pipeline: "p", Origin: alive}, Due: 1})
	}

	if got := len(s.Admit(1, 100, nil)); got != DefaultOriginLimit {
		t.Errorf("%d runs started, want %d", got, DefaultOriginLimit)
	}
}

func TestLimitsThatChangedHoldForWaitingLanes(t *testing.T) {
	t.Parallel()
	limit := 1
	s := newNamed(Limits{Pipeline: func(weir.ProjectID, string) PipelineLimits { return PipelineLimits{All: limit} }})
	for _, name := range []string{"a", "b", "c", "d"} {
		s.add(name, weir.Lane{Project: 1, Pipeline: "p", Key: name}, weir.Time(name[0]))
	}
	s.admits(t, 200, 9, "a")

	limit = 3
	s.LimitsChanged(1)
	s.admits(t, 200, 9, "b", "c")

	limit = 2
	s.LimitsChanged(1)
	s.finish(weir.Reached, 200, "a")
	s.admits(t, 200, 9)
	s.finish(weir.Reached, 200, "b")
	s.admits(t, 200, 9, "d")
}

func TestProjectsTakeTurns(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	for i, name := range []string{"a1", "a2", "a3", "a4"} {
		s.add(name, weir.Lane{Project: 1, Pipeline: "p"}, weir.Time(i+1))
	}
	for i, name := range []string{"b1", "b2"} {
		s.add(name, weir.Lane{Project: 2, Pipeline: "p"}, weir.Time(i+50))
	}

	s.admits(t, 100, 3, "a1", "b1", "a2")
	s.admits(t, 100, 9, "b2", "a3", "a4")
}

func TestLanesOfAProjectStartInOrderOfTheirFirstRuns(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})

	s.add("b", weir.Lane{Project: 1, Pipeline: "p"}, 2)
	s.add("d", weir.Lane{Project: 1, Pipeline: "p"}, 4)
	s.add("a", weir.Lane{Project: 1, Pipeline: "q", Origin: alive}, 1)
	s.add("c", weir.Lane{Project: 1, Pipeline: "q", Key: "k"}, 3)

	s.admits(t, 10, 9, "a", "b", "c", "d")
}

func TestARunChangesItsOrigin(t *testing.T) {
	t.Parallel()
	s := newNamed(limits(0, 0, 1))
	s.add("a", weir.Lane{Project: 1, Pipeline: "p", Origin: alive}, 1)
	s.add("b", weir.Lane{Project: 1, Pipeline: "p", Origin: alive}, 2)
	s.add("c", weir.Lane{Project: 1, Pipeline: "p", Origin: dead}, 3)
	s.admits(t, 10, 9, "a", "c")

	if !s.enters("a", alive, 10) {
		t.Error("a may not stay where it is")
	}
	s.admits(t, 10, 9)
	if s.enters("a", dead, 10) {
		t.Error("a entered an origin that is full")
	}
	s.admits(t, 10, 9, "b")
	s.finish(weir.Reached, 11, "c")
	if !s.enters("b", dead, 11) {
		t.Error("b could not enter an origin with a free place")
	}
	if !s.enters("b", "", 11) || s.enters("gone", alive, 11) {
		t.Error("Enter of no origin, or of a run that is not running")
	}
}

// fail lets n tries at the dead origin of project 1 end without reaching it.
func (n named) fail(now weir.Time, times int) {
	for i := range times {
		id := runID(1000 + i)
		n.adopt(id, weir.Lane{Project: 1, Pipeline: "before", Origin: dead})
		n.Finish(id, weir.Unreached, now)
	}
}

func TestABreakerOpensAfterTenFailuresAndLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	l := weir.Lane{Project: 1, Pipeline: "p", Origin: dead}
	now := weir.Time(0).Add(time.Hour)
	s.fail(now, BreakerFailures)
	for i, name := range []string{"a", "b", "c"} {
		s.add(name, l, weir.Time(i+1))
	}

	until := now.Add(BreakerWait)
	s.admits(t, now, 9)
	if next, ok := s.NextDue(); !ok || next != until {
		t.Errorf("NextDue = %v, want the probe at %v", next, until)
	}
	if why, _ := s.Why(s.id("b"), 0); why != (Wait{For: OpenBreaker, Name: dead, Until: until}) {
		t.Errorf("Why = %+v, want the breaker until %v", why, until)
	}
	s.admits(t, until-1, 9)
	s.admits(t, until, 9, "a")
	s.admits(t, until.Add(time.Hour), 9)
	s.finish(weir.Reached, until.Add(time.Hour), "a")
	s.admits(t, until.Add(time.Hour), 9, "b", "c")
}

func TestAReachedOriginStartsCountingAnew(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	l := weir.Lane{Project: 1, Pipeline: "p", Origin: dead}

	s.fail(10, BreakerFailures-1)
	s.add("a", l, 1)
	s.admits(t, 10, 9, "a")
	s.finish(weir.Reached, 10, "a")
	s.fail(10, BreakerFailures-1)
	s.add("b", l, 1)

	s.admits(t, 10, 9, "b")
}

func TestABreakerWaitsTwiceAsLongAfterEachProbeUpToFiveMinutes(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	now := weir.Time(0).Add(time.Hour)
	s.fail(now, BreakerFailures)

	for _, want := range []int{10, 20, 40, 80, 160, 300, 300} {
		s.add("a", weir.Lane{Project: 1, Pipeline: "p", Origin: dead}, 1)
		s.admits(t, now, 9)
		next, _ := s.NextDue()
		if got := next.Sub(now); got != time.Duration(want)*time.Second {
			t.Errorf("waits %s, want %ds", got, want)
		}
		now = next
		s.admits(t, now, 9, "a")
		s.finish(weir.Unreached, now, "a")
	}
}

func TestTriesUnderWayWhenTheBreakerOpensCountOnce(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	for i := range 30 {
		s.Add(Run{ID: runID(i), Lane: weir.Lane{Project: 1, Pipeline: "p", Origin: dead}, Due: 1})
	}
	started := s.Admit(10, 99, nil)

	for _, id := range started {
		s.Finish(id, weir.Unreached, 10)
	}

	want := []Breaker{{Project: 1, Origin: dead, Failures: BreakerFailures, Until: weir.Time(10).Add(BreakerWait)}}
	if diff := cmp.Diff(want, s.Breakers()); diff != "" {
		t.Errorf("breakers (-want +got):\n%s", diff)
	}
}

func TestAProbeThatIsRemovedLetsTheNextThrough(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	s.fail(0, BreakerFailures)
	for i, name := range []string{"a", "b"} {
		s.add(name, weir.Lane{Project: 1, Pipeline: "p", Origin: dead}, weir.Time(i+1))
	}
	now := weir.Time(0).Add(BreakerWait)
	s.admits(t, now, 9, "a")
	if why, _ := s.Why(s.id("b"), 0); why != (Wait{For: OpenBreaker, Name: dead}) {
		t.Errorf("Why = %+v, want the breaker and no time while a probe is under way", why)
	}

	s.Remove(s.id("a"))

	s.admits(t, now, 9, "b")
}

func TestBreakersAreRestoredAndInTheEndForgotten(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	s.fail(100, BreakerFailures)
	rows := s.Breakers()

	restored := newNamed(Limits{})
	restored.RestoreBreakers(rows, 200)
	restored.add("a", weir.Lane{Project: 1, Pipeline: "p", Origin: dead}, 1)
	restored.admits(t, 200, 9)
	if diff := cmp.Diff(rows, restored.Breakers()); diff != "" {
		t.Errorf("breakers (-want +got):\n%s", diff)
	}

	restored.Remove(restored.id("a"))
	restored.Admit(weir.Time(200).Add(time.Hour), 0, nil)
	if got := restored.Breakers(); len(got) > 0 {
		t.Errorf("an hour later %v is still remembered", got)
	}
	checkEmpty(t, restored.Set)
}

func TestNextDueIsTheEarliestTimeAtWhichALaneHasSomething(t *testing.T) {
	t.Parallel()
	s := newNamed(limits(1, 0, 0))
	if _, ok := s.NextDue(); ok {
		t.Error("an empty set waits for time")
	}

	s.add("a", weir.Lane{Project: 1, Pipeline: "p"}, 50)
	s.add("b", weir.Lane{Project: 1, Pipeline: "p"}, 40)
	s.add("c", weir.Lane{Project: 1, Pipeline: "q"}, 60)
	s.Admit(10, 9, nil)
	if next, ok := s.NextDue(); !ok || next != 40 {
		t.Errorf("NextDue = %d, want 40", next)
	}

	s.admits(t, 55, 9, "b")
	if next, ok := s.NextDue(); !ok || next != 60 {
		t.Errorf("NextDue = %d, want 60: a waits for a place", next)
	}
	if why, _ := s.Why(s.id("c"), 0); why != (Wait{For: NotDue, Until: 60}) {
		t.Errorf("Why = %+v, want due at 60", why)
	}
}

func TestRunsThatAreDueAreFoundWhateverStopsThem(t *testing.T) {
	t.Parallel()
	s := newNamed(limits(1, 0, 0))
	for i, name := range []string{"running", "stopped", "later"} {
		s.add(name, weir.Lane{Project: 1, Pipeline: "p"}, weir.Time(10*i+1))
	}
	s.admits(t, 11, 9, "running")

	if diff := cmp.Diff([]weir.RunID{s.id("stopped")}, s.Due(11)); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
}

func TestWhatIsWaitedForIsSaidInWords(t *testing.T) {
	t.Parallel()
	at := weir.Time(0).Add(time.Hour)
	for want, w := range map[string]Wait{
		"for its turn and a free worker":                                  {},
		"until 1970-01-01T01:00:00.000000Z":                               {For: NotDue, Until: at},
		"for a place: 4 of 4 of pipeline p are taken":                     {For: PipelineLimit, Name: "p", Used: 4, Limit: 4},
		"for a place: 2 of 1 of key \"k\" in pipeline p are taken":        {For: KeyLimit, Name: "p", Key: `"k"`, Used: 2, Limit: 1},
		"for a place: 64 of 64 at http://a are taken":                     {For: OriginLimit, Name: "http://a", Used: 64, Limit: 64},
		"for http://a, which could not be reached: another run is asking": {For: OpenBreaker, Name: "http://a"},
		"until 1970-01-01T01:00:00.000000Z for the rate of pipeline p":    {For: PipelineRate, Name: "p", Until: at},
		"until 1970-01-01T01:00:00.000000Z for the rate of http://a":      {For: OriginRate, Name: "http://a", Until: at},
		"for a free worker: as many runs are at destinations as may be":   {For: Outside},
		"for run_01000000000000000000000000000000, which comes before it": {For: Earlier, Run: weir.RunID{1}},
		"for http://a, which could not be reached: nothing asks it before 1970-01-01T01:00:00.000000Z": {
			For: OpenBreaker, Name: "http://a", Until: at,
		},
	} {
		if got := w.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestATryThatAskedNobodyTellsABreakerNothing(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	l := weir.Lane{Project: 1, Pipeline: "p", Origin: dead}
	s.fail(10, BreakerFailures-1)
	s.add("dropped", l, 1)
	s.admits(t, 10, 9, "dropped")
	s.finish(weir.Unasked, 10, "dropped")
	s.fail(10, 1)
	s.add("a", l, 1)
	s.admits(t, 10, 9)

	now := weir.Time(10).Add(BreakerWait)
	s.admits(t, now, 9, "a")
	s.add("b", l, 2)
	s.finish(weir.Unasked, now, "a")

	s.admits(t, now, 9, "b") // the probe asked nobody: it is still open, and another asks
	s.add("c", l, 3)
	s.admits(t, now, 9)
}

func TestOriginsThatFailedAreForgotten(t *testing.T) {
	t.Parallel()
	s := New(Limits{}, 0)
	for i := range 100_000 {
		now := weir.Time(i) * 1_000_000
		s.Add(Run{ID: runID(i), Lane: weir.Lane{Project: 1, Pipeline: "p", Origin: fmt.Sprintf("https://%d.example", i)}, Due: now})
		s.Admit(now, 1, nil)
		s.Finish(runID(i), weir.Unreached, now)
	}
	if n := len(s.failing); n > 4096 {
		t.Errorf("%d origins are remembered, though at most %d failed lately", n, int(breakerMemory/time.Second))
	}
}
