package lane

import (
	"flag"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir"
)

// TestMain fixes the seed of the model test; flags on the command line win.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"rapid.seed": "1", "rapid.checks": "1000", "rapid.steps": "100", "rapid.nofailfile": "true",
	} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	m.Run()
}

// machine drives a Set and the model beside it. Time goes on in beats, so that
// rates matter.
type machine struct {
	*model
	set         *Set
	ids         int
	pipeRate    weir.Rate
	requestRate weir.Rate
}

const beat = 20_000 // of Time

func newMachine(t *rapid.T) *machine {
	m := &machine{model: &model{
		now: weir.Time(time.Hour / time.Microsecond), origin: 2,
		outside: rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "outside"),
		skip:    rapid.Bool().Draw(t, "skip"),
		runs:    map[weir.RunID]*modelRun{}, failures: map[modelOrigin]int{}, until: map[modelOrigin]weir.Time{},
		buckets: map[modelOrigin]*bucket{},
	}}
	m.set = New(Limits{
		Pipeline: func(weir.ProjectID, string) PipelineLimits {
			return PipelineLimits{All: m.pipeline, PerKey: m.perKey, Skip: m.skip, Rate: m.pipeRate}
		},
		Origin:  func(weir.ProjectID, string) OriginLimits { return OriginLimits{All: m.origin, Rate: m.requestRate} },
		Outside: m.outside,
	}, 0)
	return m
}

func runID(n int) weir.RunID {
	return weir.Origin{At: 1, Seq: weir.Seq(n)}.RunID()
}

var (
	drawLane = rapid.Custom(func(t *rapid.T) weir.Lane {
		return weir.Lane{
			Project:  weir.ProjectID(rapid.IntRange(1, 3).Draw(t, "project")),
			Pipeline: rapid.SampledFrom([]string{"p", "q"}).Draw(t, "pipeline"),
			Key:      rapid.SampledFrom([]string{"", "k", "l", "m"}).Draw(t, "key"),
			Origin:   drawOrigin.Draw(t, "origin"),
		}
	})
	drawTurn = rapid.Custom(func(t *rapid.T) weir.Precedence {
		return weir.Precedence{Due: weir.Time(rapid.IntRange(1, 5).Draw(t, "turn")), Seq: weir.Seq(rapid.IntRange(1, 3).Draw(t, "seq"))}
	})
	drawRate = rapid.SampledFrom([]weir.Rate{{}, {}, {N: 1, Per: time.Second}, {N: 5, Per: time.Second}, {N: 30, Per: time.Second}, {N: 50, Per: time.Second}})

	drawOrigin  = rapid.SampledFrom([]string{"", "http://a", "http://b"})
	drawVerdict = rapid.SampledFrom([]weir.Verdict{weir.Reached, weir.Unasked, weir.Unreached, weir.Unreached, weir.Unreached})
)

func (m *machine) pick(t *rapid.T, fits func(*modelRun) bool) *modelRun {
	var list []*modelRun
	for _, r := range m.runs {
		if fits(r) {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		t.Skip("no such run")
	}
	slices.SortFunc(list, byID)
	return rapid.SampledFrom(list).Draw(t, "run")
}

func anyRun(*modelRun) bool       { return true }
func runningRun(r *modelRun) bool { return r.running }

func (m *machine) later(t *rapid.T) {
	m.now += weir.Time(rapid.IntRange(0, 5).Draw(t, "passes")) * beat
}

func (m *machine) Add(t *rapid.T) {
	r := &modelRun{Run: Run{
		Lane:  drawLane.Draw(t, "lane"),
		Due:   m.now + weir.Time(rapid.IntRange(-5, 20).Draw(t, "due"))*beat,
		Fresh: rapid.Bool().Draw(t, "fresh"),
	}}
	if rapid.Bool().Draw(t, "ordered") {
		r.Turn, r.Holds = drawTurn.Draw(t, "turn"), rapid.IntRange(0, 4).Draw(t, "holds") == 0
	}
	m.ids++
	r.ID = runID(m.ids)
	m.runs[r.ID] = r
	m.set.Add(r.Run)
}

// AddAgain moves a run that is known: an ordered one stays what it is, but for
// the origin and, when it is redriven, its turn.
func (m *machine) AddAgain(t *rapid.T) {
	was := m.pick(t, anyRun)
	r := &modelRun{Run: was.Run}
	r.Lane = drawLane.Draw(t, "lane")
	r.Due = m.now + weir.Time(rapid.IntRange(-5, 20).Draw(t, "due"))*beat
	r.Fresh = rapid.Bool().Draw(t, "fresh")
	given := r.Run
	if was.Turn != (weir.Precedence{}) {
		r.Lane.Project, r.Lane.Pipeline, r.Lane.Key = was.Lane.Project, was.Lane.Pipeline, was.Lane.Key
		r.Holds = rapid.IntRange(0, 4).Draw(t, "holds") == 0
		if rapid.IntRange(0, 3).Draw(t, "redriven") == 0 {
			r.Turn = drawTurn.Draw(t, "turn")
		}
		given = r.Run
		r.Holds = r.Holds || was.tried && r.Turn == was.Turn
	}
	m.runs[r.ID] = r
	m.set.Add(given)
}

func (m *machine) Remove(t *rapid.T) {
	r := m.pick(t, anyRun)
	delete(m.runs, r.ID)
	m.set.Remove(r.ID)
}

// Adopt takes over a running run: an ordered one only where none of its key is
// being tried, as there would be before a shard changes hands.
func (m *machine) Adopt(t *rapid.T) {
	m.ids++
	r := &modelRun{Run: Run{ID: runID(m.ids), Lane: drawLane.Draw(t, "lane")}, running: true}
	r.at = r.Lane.Origin
	busy := func(o *modelRun) bool {
		return o.Turn != (weir.Precedence{}) && (o.running || o.tried) && o.Lane.Project == r.Lane.Project &&
			o.Lane.Pipeline == r.Lane.Pipeline && o.Lane.Key == r.Lane.Key
	}
	if rapid.Bool().Draw(t, "ordered") && !slices.ContainsFunc(slices.Collect(maps.Values(m.runs)), busy) {
		r.Turn, r.Holds = drawTurn.Draw(t, "turn"), rapid.Bool().Draw(t, "holds")
	}
	m.runs[r.ID] = r
	m.set.Adopt(r.Run)
}

// Outside bounds what goes to origins anew, as when a node comes or goes.
func (m *machine) Outside(t *rapid.T) {
	m.outside = rapid.SampledFrom([]int{0, 1, 3, 5}).Draw(t, "outside")
	m.set.LimitOutside(m.outside)
}

func (m *machine) Finish(t *rapid.T) {
	m.later(t)
	r, v := m.pick(t, runningRun), drawVerdict.Draw(t, "verdict")
	m.leave(r, v)
	r.running, r.tried = false, true
	if r.Turn == (weir.Precedence{}) {
		delete(m.runs, r.ID)
	}
	m.set.Finish(r.ID, v, m.now)
	if m.set.Running(r.ID) {
		t.Fatalf("%s still runs", r.ID)
	}
}

func (m *machine) Enter(t *rapid.T) {
	m.later(t)
	r, origin := m.pick(t, runningRun), drawOrigin.Draw(t, "origin")
	wait, want := m.request(r, origin)
	got, ok := m.set.Enter(r.ID, origin, m.now)
	if ok != want || got != time.Duration(wait)*time.Microsecond {
		t.Fatalf("Enter(%s, %q) = %v, %v, want %d us, %v", r.ID, origin, got, ok, wait, want)
	}
}

func (m *machine) Limits(t *rapid.T) {
	m.pipeline = rapid.IntRange(0, 4).Draw(t, "pipeline")
	m.perKey = rapid.IntRange(0, 2).Draw(t, "key")
	m.origin = rapid.IntRange(1, 4).Draw(t, "origin")
	pipeRate, requestRate := drawRate.Draw(t, "pipeline's rate"), drawRate.Draw(t, "origin's rate")
	for p := weir.ProjectID(1); p <= 3; p++ {
		for _, name := range []string{"p", "q"} {
			if pipeRate != m.pipeRate {
				m.setRate(modelOrigin{p, name}, pipeRate)
			}
		}
		for _, origin := range []string{"http://a", "http://b"} {
			if requestRate != m.requestRate {
				m.setRate(modelOrigin{p, origin}, requestRate)
			}
		}
	}
	m.pipeRate, m.requestRate = pipeRate, requestRate
	m.set.tell(m.now)
	for p := weir.ProjectID(1); p <= 3; p++ {
		m.set.LimitsChanged(p)
	}
}

func (m *machine) Outage(t *rapid.T) {
	o := modelOrigin{weir.ProjectID(rapid.IntRange(1, 3).Draw(t, "project")), "http://a"}
	m.failures[o] = rapid.IntRange(BreakerFailures-1, BreakerFailures+2).Draw(t, "failures")
	m.until[o] = 0
	if m.failures[o] >= BreakerFailures {
		m.until[o] = m.now + weir.Time(rapid.IntRange(1, 30).Draw(t, "until"))*beat
	}
	for _, r := range m.runs {
		r.probe = r.probe && (r.Lane.Project != o.project || r.at != o.origin)
	}
	m.set.RestoreBreakers([]Breaker{{o.project, o.origin, m.failures[o], m.until[o]}}, m.now)
}

func (m *machine) Wait(t *rapid.T) {
	next, ok := m.set.NextDue()
	if !ok {
		t.Skip("nothing waits for time")
	}
	m.now = max(m.now, next)
}

// Admit starts runs one by one, so that it is known what was skipped before
// which.
func (m *machine) Admit(t *rapid.T) {
	m.later(t)
	passed := map[weir.ProjectID]map[weir.ProjectID]bool{} // passed[q][p]: p started while q could have, since q did
	for range rapid.IntRange(0, 8).Draw(t, "n") {
		got := m.set.Admit(m.now, 1, nil)
		m.skipAll(t)
		next := m.next()
		if len(got) == 0 {
			m.checkNothingStarts(t, next)
			return
		}
		r := m.runs[got[0]]
		if r == nil || next[r.Lane.Project] != r {
			t.Fatalf("started %s, want one of %v", got[0], next)
		}
		m.checkTurns(t, r, next, passed)
		m.start(r)
	}
}

// skipAll takes those that were skipped from the model, each of which must have
// had reason to be.
func (m *machine) skipAll(t *rapid.T) {
	skipped := m.set.Skipped()
	for len(skipped) > 0 {
		i := slices.IndexFunc(skipped, func(s Skip) bool { return m.runs[s.Run] != nil && m.maySkip(m.runs[s.Run]) })
		if i < 0 {
			t.Fatalf("skipped without reason: %v", skipped)
		}
		delete(m.runs, skipped[i].Run)
		skipped = slices.Delete(skipped, i, i+1)
	}
}

func (m *machine) checkTurns(t *rapid.T, r *modelRun, next map[weir.ProjectID]*modelRun, passed map[weir.ProjectID]map[weir.ProjectID]bool) {
	for q := weir.ProjectID(1); q <= 3; q++ {
		switch {
		case q == r.Lane.Project || next[q] == nil:
			passed[q] = map[weir.ProjectID]bool{}
		case passed[q][r.Lane.Project]:
			t.Fatalf("project %d started twice while %d waited", r.Lane.Project, q)
		default:
			if passed[q] == nil {
				passed[q] = map[weir.ProjectID]bool{}
			}
			passed[q][r.Lane.Project] = true
		}
	}
}

func (m *machine) checkNothingStarts(t *rapid.T, next map[weir.ProjectID]*modelRun) {
	if len(next) > 0 {
		t.Fatalf("started nothing and left %v", next)
	}
	for _, r := range m.runs {
		if m.maySkip(r) && m.reachable(r.Lane) {
			t.Fatalf("%v waits for a place", r)
		}
	}
	m.checkNextDue(t)
}

// checkNextDue waits for what may start next, if anything may without a place
// being freed: NextDue must not be later.
func (m *machine) checkNextDue(t *rapid.T) {
	times := m.times()
	slices.Sort(times)
	now := m.now
	defer func() { m.now = now }()
	for _, m.now = range times {
		if m.now <= now || len(m.next()) == 0 {
			continue
		}
		if next, ok := m.set.NextDue(); !ok || next > m.now {
			t.Fatalf("NextDue = %d %v, but something may start at %d", next, ok, m.now)
		}
		return
	}
}

// Check compares counts and what is said about each run, and looks whether the
// set keeps what it has no use for.
func (m *machine) Check(t *rapid.T) {
	waiting, running := 0, 0
	m.set.tell(m.now)
	for id, r := range m.runs {
		if m.set.Running(id) != r.running {
			t.Fatalf("Running(%s) = %v", id, !r.running)
		}
		wait, ok := m.set.Why(id, m.now)
		if ok != r.waits() {
			t.Fatalf("Why(%s) = %v, %v", id, wait, ok)
		}
		switch {
		case r.running:
			running++
		case r.waits():
			waiting++
			m.checkWhy(t, r, wait)
		}
	}
	if w, r := m.set.waitingCount(), m.set.runningCount(); w != waiting || r != running {
		t.Fatalf("%d waiting, %d running; want %d, %d", w, r, waiting, running)
	}
	m.checkRows(t)
	if len(m.runs) == 0 {
		checkEmpty(t, m.set)
	}
}

func (m *machine) checkWhy(t *rapid.T, r *modelRun, wait Wait) {
	open := !m.full(r.Lane) && m.reachable(r.Lane)
	var want bool
	switch wait.For {
	case Earlier:
		want = m.behind(r)
	case NotDue:
		want = !m.behind(r) && r.Due > m.now
	case Turn:
		want = m.startable(r)
	default:
		want = !m.behind(r) && r.Due <= m.now && !open
	}
	if !want {
		t.Fatalf("Why(%v) = %v, behind %v, gates open %v", r, wait, m.behind(r), open)
	}
}

func (m *machine) checkRows(t *rapid.T) {
	rows := map[modelOrigin]Breaker{}
	for _, row := range m.set.Breakers() {
		rows[modelOrigin{row.Project, row.Origin}] = row
	}
	for o, n := range m.failures {
		if row := rows[o]; row.Failures != n || row.Until != m.until[o] {
			t.Fatalf("breaker of %v is %v, want %d failures, until %d", o, row, n, m.until[o])
		}
	}
}

func checkEmpty(t interface{ Fatalf(string, ...any) }, s *Set) {
	for _, p := range s.projects {
		for _, g := range p.gates {
			_, failing := s.failing[g]
			if !failing && g.pace.rate.IsZero() && (g.rate == nil || g.rate.pace.rate.IsZero()) {
				t.Fatalf("project %d keeps gate %v", p.id, g.name)
			}
		}
		if len(p.lanes) > 0 || len(p.bundles) > 0 || len(p.queues) > 0 {
			t.Fatalf("project %d keeps %d lanes, %d bundles, %d queues", p.id, len(p.lanes), len(p.bundles), len(p.queues))
		}
	}
	if n := len(s.later.kids) + len(s.timed) + len(s.tickets) + s.outside; n > 0 {
		t.Fatalf("%d lanes, gates, tickets or places outside are left", n)
	}
}

func TestASetDoesWhatThePlainModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(rapid.StateMachineActions(m))
		for id := range m.runs {
			m.set.Remove(id)
		}
		checkEmpty(t, m.set)
	})
}
