package lane

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// line adds an ordered run of key k; its number is its turn.
func (n named) line(name string, turn int, change ...func(*Run)) {
	r := Run{
		ID: n.id(name), Lane: weir.Lane{Project: 1, Pipeline: "p", Key: "k"}, Due: 1,
		Turn: weir.Precedence{Due: weir.Time(turn), Seq: weir.Seq(turn)},
	}
	for _, c := range change {
		c(&r)
	}
	n.Add(r)
}

func due(at weir.Time) func(*Run)     { return func(r *Run) { r.Due = at } }
func goesTo(origin string) func(*Run) { return func(r *Run) { r.Lane.Origin = origin } }
func holding(r *Run)                  { r.Holds = true }
func fresh(r *Run)                    { r.Fresh = true }
func ofKey(key string) func(r *Run)   { return func(r *Run) { r.Lane.Key = key } }
func (n named) removed(names ...string) {
	for _, name := range names {
		n.Remove(n.id(name))
	}
}

func TestRunsOfAnOrderedKeyActOneAfterAnother(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	s.line("c", 3)
	s.line("a", 1)
	s.line("b", 2)
	s.line("other", 4, ofKey("l"))

	s.admits(t, 10, 9, "a", "other")
	s.finish(weir.Reached, 10, "a")
	s.admits(t, 10, 9) // nobody said yet what became of a
	s.removed("a")
	s.admits(t, 10, 9, "b")
	s.removed("b")
	s.admits(t, 10, 9, "c")
}

func TestARunThatRetriesKeepsItsKeyMeanwhile(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	s.line("a", 2)
	s.line("b", 3)
	s.admits(t, 10, 9, "a")
	s.finish(weir.Reached, 10, "a")

	s.line("a", 2, due(1000))
	s.line("earlier", 1)

	s.admits(t, 999, 9)
	s.admits(t, 1000, 9, "a")
	s.removed("a")
	s.admits(t, 1000, 9, "earlier")
}

func TestAHeldRunKeepsItsKeyAtAShutOrigin(t *testing.T) {
	t.Parallel()
	s := newNamed(limits(0, 0, 1))
	s.add("full", weir.Lane{Project: 1, Pipeline: "q", Origin: dead}, 1)
	s.admits(t, 10, 9, "full")

	s.line("a", 1, goesTo(dead), holding)
	s.line("b", 2, goesTo(alive))

	s.admits(t, 10, 9)
	if w, _ := s.Why(s.id("b"), 0); w != (Wait{For: Earlier, Run: s.id("a")}) {
		t.Errorf("b waits %v, want for a", w)
	}
	s.finish(weir.Reached, 11, "full")
	s.admits(t, 11, 9, "a")
}

func TestAnEarlierRunTakesThePlaceOfOneThatHasNotBegun(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(named){
		"it waits":           func(named) {},
		"it was given back":  func(s named) { s.Admit(10, 1, nil); s.line("b", 2) },
		"its first is later": func(s named) { s.line("b", 2, due(20)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNamed(Limits{})
			s.line("b", 2)
			begin(s)

			s.line("a", 1)

			s.admits(t, 10, 9, "a")
			s.removed("a")
			s.admits(t, 20, 9, "b")
		})
	}
}

func TestARedrivenRunQueuesWhereItsRedriveSays(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	s.line("a", 1)
	s.line("b", 2)
	s.line("c", 4)
	s.admits(t, 10, 9, "a")
	s.finish(weir.Reached, 10, "a")

	s.line("a", 3) // it died and was redriven before anybody looked

	for _, want := range []string{"b", "a", "c"} {
		s.admits(t, 10, 9, want)
		s.removed(want)
	}
}

func TestAfterARestartTheHolderGoesOnFirst(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{})
	s.line("a", 1)
	s.line("b", 2, holding)

	s.admits(t, 10, 9, "b")
	s.removed("b")
	s.admits(t, 10, 9, "a")
}

func skipping(all, perKey int) Limits {
	return Limits{Pipeline: func(weir.ProjectID, string) PipelineLimits {
		return PipelineLimits{All: all, PerKey: perKey, Skip: true}
	}}
}

// wantSkipped checks which runs were skipped since the last look.
func (n named) wantSkipped(t *testing.T, want ...Skip) {
	t.Helper()
	if diff := cmp.Diff(want, n.Skipped()); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

func (n named) fresh(name string, key string, due weir.Time) {
	n.Add(Run{ID: n.id(name), Lane: weir.Lane{Project: 1, Pipeline: "p", Key: key, Origin: alive}, Due: due, Fresh: true})
}

func TestAFreshRunThatFindsNoPlaceIsSkipped(t *testing.T) {
	t.Parallel()
	s := newNamed(skipping(2, 0))
	for i, name := range []string{"a", "b", "c"} {
		s.fresh(name, "", weir.Time(i+1))
	}
	s.fresh("later", "", 100)

	s.admits(t, 10, 9, "a", "b")
	s.wantSkipped(t, Skip{Run: s.id("c"), Limit: 2})
	s.finish(weir.Reached, 11, "a")
	s.Add(Run{ID: s.id("a"), Lane: weir.Lane{Project: 1, Pipeline: "p", Origin: alive}, Due: 12}) // a retry
	s.fresh("d", "", 12)

	s.admits(t, 12, 9, "a")
	s.wantSkipped(t, Skip{Run: s.id("d"), Limit: 2})
	s.finish(weir.Reached, 13, "b")
	s.admits(t, 100, 9, "later")
	s.wantSkipped(t)
	if s.waitingCount() != 0 {
		t.Errorf("%d wait", s.waitingCount())
	}
}

func TestARunIsSkippedForTheLimitOfItsKey(t *testing.T) {
	t.Parallel()
	s := newNamed(skipping(0, 1))
	s.fresh("a", "k", 1)
	s.fresh("b", "k", 2)
	s.fresh("c", "l", 3)

	s.admits(t, 10, 9, "a", "c")
	s.wantSkipped(t, Skip{Run: s.id("b"), Limit: 1, PerKey: true})
}

// TestOnlyPlacesMakeSkip has fresh runs that wait for their origin, for a rate
// or for a free worker; and runs that are not fresh.
func TestOnlyPlacesMakeSkip(t *testing.T) {
	t.Parallel()
	limits := skipping(3, 0)
	limits.Origin = func(weir.ProjectID, string) OriginLimits { return OriginLimits{All: 1} }
	s := newNamed(limits)
	s.fresh("a", "", 1)
	s.fresh("b", "", 2)

	s.admits(t, 10, 9, "a")
	s.admits(t, 10, 0)
	s.wantSkipped(t)
	s.finish(weir.Reached, 10, "a")
	s.admits(t, 10, 9, "b")
}

// TestAnOrderedRunIsSkippedWhileAnother of its key has not ended, waiting for a
// retry included: with `when_full: skip` runs of a key never overlap.
func TestAnOrderedRunIsSkippedWhileAnotherHasNotEnded(t *testing.T) {
	t.Parallel()
	s := newNamed(skipping(1, 0))
	s.line("a", 1, fresh)
	s.admits(t, 10, 9, "a")
	s.finish(weir.Reached, 10, "a")
	s.line("a", 1, due(100))

	s.line("b", 2, fresh)

	s.admits(t, 10, 9)
	s.wantSkipped(t, Skip{Run: s.id("b"), Limit: 1, PerKey: true})
	s.admits(t, 100, 9, "a")
	s.removed("a")
	s.line("c", 3, fresh)
	s.admits(t, 100, 9, "c")
}

func TestARunIsNotSkippedByAPipelineThatSkipsNoMore(t *testing.T) {
	t.Parallel()
	limit := PipelineLimits{All: 1, Skip: true}
	s := newNamed(Limits{Pipeline: func(weir.ProjectID, string) PipelineLimits { return limit }})
	s.line("a", 1, fresh)
	s.line("b", 2, fresh)
	s.fresh("c", "", 1)

	limit.Skip = false
	s.LimitsChanged(1)

	for range 3 {
		started := s.Admit(10, 9, nil)
		if len(started) != 1 {
			t.Fatalf("%d runs started at once, want one after another", len(started))
		}
		s.Remove(started[0])
	}
	s.wantSkipped(t)
}

func TestRunsAtOriginsLeavePlacesToOthers(t *testing.T) {
	t.Parallel()
	s := newNamed(Limits{Outside: 2})
	for i, name := range []string{"a", "b", "c"} {
		s.add(name, weir.Lane{Project: 1, Pipeline: "p", Origin: "https://" + name}, weir.Time(i+1))
	}
	s.add("of another project", weir.Lane{Project: 2, Pipeline: "p", Origin: dead}, 1)
	s.add("quick", weir.Lane{Project: 1, Pipeline: "q"}, 2)

	s.admits(t, 10, 9, "a", "of another project", "quick")
	if w, _ := s.Why(s.id("b"), 0); w.For != Outside {
		t.Errorf("b waits for %v, want a free worker", w)
	}
	if s.enters("quick", alive, 10) {
		t.Error("a run went to an origin though as many are there as may be")
	}
	s.finish(weir.Reached, 11, "of another project")
	s.admits(t, 11, 9, "b")
	s.finish(weir.Reached, 12, "a", "b")
	s.admits(t, 12, 9, "c")
}

func rated(pipeline, origin weir.Rate) Limits {
	return Limits{
		Pipeline: func(weir.ProjectID, string) PipelineLimits { return PipelineLimits{Rate: pipeline} },
		Origin:   func(weir.ProjectID, string) OriginLimits { return OriginLimits{Rate: origin} },
	}
}

// starts admits at every beat for a second, and returns how many runs each
// started.
func (n named) starts(from weir.Time, beats int) (counts []int) {
	for i := range beats {
		counts = append(counts, len(n.Admit(from.Add(time.Duration(i)*time.Second/time.Duration(beats)), 1000, nil)))
	}
	return counts
}

func TestARateLetsATenthOfASecondsWorthThroughAtOnceAndTheRestEvenly(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]Limits{
		"pipeline": rated(weir.Rate{N: 50, Per: time.Second}, weir.Rate{}),
		"origin":   rated(weir.Rate{}, weir.Rate{N: 50, Per: time.Second}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNamed(limits)
			for i := range 200 {
				s.Add(Run{ID: runID(i), Lane: weir.Lane{Project: 1, Pipeline: "p", Origin: alive}, Due: 1})
			}
			s.add("other", weir.Lane{Project: 1, Pipeline: "q", Origin: dead}, 2)

			got := s.starts(weir.Time(0).Add(time.Hour), 10)

			if diff := cmp.Diff([]int{6, 5, 5, 5, 5, 5, 5, 5, 5, 5}, got); diff != "" {
				t.Errorf("starts in each tenth of a second, the other run in the first (-want +got):\n%s", diff)
			}
			if next, ok := s.NextDue(); !ok || next != weir.Time(0).Add(time.Hour+920*time.Millisecond) {
				t.Errorf("next %v, %v", next, ok)
			}
		})
	}
}

func TestARateIsUsedUpWhenASetIsNew(t *testing.T) {
	t.Parallel()
	began := weir.Time(0).Add(time.Hour)
	s := New(rated(weir.Rate{N: 10, Per: time.Minute}, weir.Rate{}), began)
	s.Add(Run{ID: runID(1), Lane: weir.Lane{Project: 1, Pipeline: "p"}, Due: 1})

	early := s.Admit(began.Add(6*time.Second-1), 1, nil)
	next, _ := s.NextDue()

	if want := began.Add(6 * time.Second); len(early) > 0 || next != want || len(s.Admit(want, 1, nil)) != 1 {
		t.Errorf("started %d early, next at %s", len(early), next)
	}
}

func TestARequestIsLetThroughUpToASecondAhead(t *testing.T) {
	t.Parallel()
	s := newNamed(rated(weir.Rate{}, weir.Rate{N: 4, Per: time.Second}))
	now := weir.Time(0).Add(time.Hour)
	s.add("a", weir.Lane{Project: 1, Pipeline: "p", Origin: alive}, 1)
	s.add("b", weir.Lane{Project: 1, Pipeline: "p", Origin: alive}, 2)
	s.admits(t, now, 9, "a")

	for i := 1; i <= 4; i++ {
		wait, ok := s.Enter(s.id("a"), alive, now)
		if want := time.Duration(i) * 250 * time.Millisecond; wait != want || !ok {
			t.Errorf("request %d waits %v, %v; want %v", i, wait, ok, want)
		}
	}
	if s.enters("a", alive, now) {
		t.Error("a request was let through more than a second ahead")
	}
	s.finish(weir.Reached, now, "a")
	s.admits(t, now.Add(1249*time.Millisecond), 9)
	s.admits(t, now.Add(1250*time.Millisecond), 9, "b")
}

func TestWithoutItsRateAGateIsOpen(t *testing.T) {
	t.Parallel()
	rate := weir.Rate{N: 1, Per: time.Hour}
	s := newNamed(Limits{Pipeline: func(weir.ProjectID, string) PipelineLimits { return PipelineLimits{Rate: rate} }})
	now := weir.Time(0).Add(2 * time.Hour)
	for i := range 3 {
		s.Add(Run{ID: runID(i), Lane: weir.Lane{Project: 1, Pipeline: "p"}, Due: 1})
	}
	if n := len(s.Admit(now, 9, nil)); n != 1 {
		t.Fatalf("%d started, want 1", n)
	}

	rate = weir.Rate{}
	s.LimitsChanged(1)

	if n := len(s.Admit(now, 9, nil)); n != 2 {
		t.Errorf("%d started without a rate, want the other two", n)
	}
}

func TestAFasterRateIsNotHeldUpByASlowOne(t *testing.T) {
	t.Parallel()
	rate := weir.Rate{N: 1, Per: time.Hour}
	s := newNamed(Limits{Pipeline: func(weir.ProjectID, string) PipelineLimits { return PipelineLimits{Rate: rate} }})
	now := weir.Time(0).Add(2 * time.Hour)
	for i := range 3 {
		s.Add(Run{ID: runID(i), Lane: weir.Lane{Project: 1, Pipeline: "p"}, Due: 1})
	}
	s.Admit(now, 9, nil)

	rate = weir.Rate{N: 2, Per: time.Second}
	s.LimitsChanged(1)

	early := s.Admit(now.Add(499*time.Millisecond), 9, nil)
	if then := s.Admit(now.Add(500*time.Millisecond), 9, nil); len(early) != 0 || len(then) != 1 {
		t.Errorf("%d started before the new rate lets one through, %d then; want 0, 1", len(early), len(then))
	}
}
