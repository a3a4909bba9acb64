package lane

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"testing"

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

// model is what a Set does, said plainly: a list of runs, everything counted
// anew at each question.
type model struct {
	now      weir.Time
	pipeline int
	perKey   int
	origin   int
	runs     map[weir.RunID]*modelRun
	failures map[modelOrigin]int
	until    map[modelOrigin]weir.Time
}

type modelRun struct {
	id      weir.RunID
	lane    weir.Lane
	due     weir.Time
	running bool
	at      string // running: the origin at which it has a place
	probe   bool
}

type modelOrigin struct {
	project weir.ProjectID
	origin  string
}

func (m *model) count(holds func(*modelRun) bool) int {
	n := 0
	for _, r := range m.runs {
		if r.running && holds(r) {
			n++
		}
	}
	return n
}

func (m *model) originOpen(o modelOrigin) bool {
	if o.origin == "" {
		return true
	}
	at := func(r *modelRun) bool { return r.lane.Project == o.project && r.at == o.origin }
	probes := m.count(func(r *modelRun) bool { return at(r) && r.probe })
	return m.count(at) < m.origin && (m.failures[o] < BreakerFailures || m.now >= m.until[o] && probes == 0)
}

func (m *model) runnable(l weir.Lane) bool {
	pipe := m.count(func(r *modelRun) bool { return r.lane.Project == l.Project && r.lane.Pipeline == l.Pipeline })
	key := m.count(func(r *modelRun) bool {
		return r.lane.Project == l.Project && r.lane.Pipeline == l.Pipeline && r.lane.Key == l.Key
	})
	return (m.pipeline == 0 || pipe < m.pipeline) &&
		(m.perKey == 0 || l.Key == "" || key < m.perKey) &&
		m.originOpen(modelOrigin{l.Project, l.Origin})
}

// next returns, by project, the run that must be started next there.
func (m *model) next() map[weir.ProjectID]*modelRun {
	first := map[weir.ProjectID]*modelRun{}
	for _, r := range m.runs {
		if r.running || r.due > m.now || !m.runnable(r.lane) {
			continue
		}
		best := first[r.lane.Project]
		if best == nil || (rank{r.due, r.id}).before(rank{best.due, best.id}) {
			first[r.lane.Project] = r
		}
	}
	return first
}

func (m *model) enter(r *modelRun, origin string) {
	o := modelOrigin{r.lane.Project, origin}
	r.at, r.probe = origin, origin != "" && m.failures[o] >= BreakerFailures
}

func (m *model) learn(r *modelRun, v weir.Verdict) {
	o := modelOrigin{r.lane.Project, r.at}
	switch {
	case o.origin == "":
	case v == weir.Unasked:
	case v == weir.Reached:
		m.failures[o], m.until[o] = 0, 0
		for _, other := range m.runs {
			if other.lane.Project == o.project && other.at == o.origin {
				other.probe = false
			}
		}
	case m.failures[o] < BreakerFailures || r.probe:
		m.failures[o]++
		if n := m.failures[o]; n >= BreakerFailures {
			m.until[o] = m.now.Add(breakerWait(n))
		}
	}
}

// machine drives a Set and the model beside it.
type machine struct {
	*model
	set *Set
	ids int
}

func (m *machine) limits() Limits {
	return Limits{
		Pipeline: func(weir.ProjectID, string) PipelineLimits { return PipelineLimits{All: m.pipeline, PerKey: m.perKey} },
		Origin:   func(weir.ProjectID, string) OriginLimits { return OriginLimits{All: m.origin} },
	}
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
	slices.SortFunc(list, func(a, b *modelRun) int { return cmp.Compare(a.id.String(), b.id.String()) })
	return rapid.SampledFrom(list).Draw(t, "run")
}

func anyRun(*modelRun) bool         { return true }
func runningRun(r *modelRun) bool   { return r.running }
func (m *machine) later(t *rapid.T) { m.now += weir.Time(rapid.IntRange(0, 5).Draw(t, "passes")) }

func (m *machine) Add(t *rapid.T) {
	r := &modelRun{lane: drawLane.Draw(t, "lane"), due: m.now + weir.Time(rapid.IntRange(-5, 20).Draw(t, "due"))}
	if rapid.IntRange(0, 4).Draw(t, "known") == 0 {
		r.id = m.pick(t, anyRun).id
	} else {
		m.ids++
		r.id = runID(m.ids)
	}
	m.runs[r.id] = r
	m.set.Add(Run{ID: r.id, Lane: r.lane, Due: r.due})
}

func (m *machine) Remove(t *rapid.T) {
	r := m.pick(t, anyRun)
	delete(m.runs, r.id)
	m.set.Remove(r.id)
}

func (m *machine) Adopt(t *rapid.T) {
	m.ids++
	r := &modelRun{id: runID(m.ids), lane: drawLane.Draw(t, "lane"), running: true}
	r.at = r.lane.Origin
	m.runs[r.id] = r
	m.set.Adopt(r.id, r.lane)
}

func (m *machine) Finish(t *rapid.T) {
	m.later(t)
	r, v := m.pick(t, runningRun), drawVerdict.Draw(t, "verdict")
	delete(m.runs, r.id)
	m.learn(r, v)
	m.set.Finish(r.id, v, m.now)
	if m.set.Running(r.id) {
		t.Fatalf("%s still runs", r.id)
	}
}

func (m *machine) Enter(t *rapid.T) {
	m.later(t)
	r, origin := m.pick(t, runningRun), drawOrigin.Draw(t, "origin")
	want := true
	if r.at == "" || r.at != origin {
		m.learn(r, weir.Reached)
		m.enter(r, "")
		if want = m.originOpen(modelOrigin{r.lane.Project, origin}); want {
			m.enter(r, origin)
		}
	}
	if _, got := m.set.Enter(r.id, origin, m.now); got != want {
		t.Fatalf("Enter(%s, %q) = %v, want %v", r.id, origin, got, want)
	}
}

func (m *machine) Limits(t *rapid.T) {
	m.pipeline = rapid.IntRange(0, 4).Draw(t, "pipeline")
	m.perKey = rapid.IntRange(0, 2).Draw(t, "key")
	m.origin = rapid.IntRange(1, 4).Draw(t, "origin")
	for p := weir.ProjectID(1); p <= 3; p++ {
		m.set.LimitsChanged(p)
	}
}

func (m *machine) Outage(t *rapid.T) {
	o := modelOrigin{weir.ProjectID(rapid.IntRange(1, 3).Draw(t, "project")), "http://a"}
	m.failures[o] = rapid.IntRange(BreakerFailures-1, BreakerFailures+2).Draw(t, "failures")
	m.until[o] = 0
	if m.failures[o] >= BreakerFailures {
		m.until[o] = m.now + weir.Time(rapid.IntRange(1, 30).Draw(t, "until"))
	}
	for _, r := range m.runs {
		r.probe = r.probe && (r.lane.Project != o.project || r.at != o.origin)
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

func (m *machine) Admit(t *rapid.T) {
	m.later(t)
	n := rapid.IntRange(0, 8).Draw(t, "n")
	got := m.set.Admit(m.now, n, nil)
	passed := map[weir.ProjectID]map[weir.ProjectID]bool{} // passed[q][p]: p started while q could have, since q did
	for _, id := range got {
		next, r := m.next(), m.runs[id]
		if r == nil || next[r.lane.Project] != r {
			t.Fatalf("started %s, want one of %v", id, next)
		}
		for q := weir.ProjectID(1); q <= 3; q++ {
			switch {
			case q == r.lane.Project || next[q] == nil:
				passed[q] = map[weir.ProjectID]bool{}
			case passed[q][r.lane.Project]:
				t.Fatalf("project %d started twice while %d waited", r.lane.Project, q)
			default:
				if passed[q] == nil {
					passed[q] = map[weir.ProjectID]bool{}
				}
				passed[q][r.lane.Project] = true
			}
		}
		r.running = true
		m.enter(r, r.lane.Origin)
	}
	if len(got) == n {
		return
	}
	if next := m.next(); len(next) > 0 {
		t.Fatalf("started %d of %d and left %v", len(got), n, next)
	}
	m.checkNextDue(t)
}

// checkNextDue waits for what may start next, if anything may without a place
// being freed: NextDue must not be later.
func (m *machine) checkNextDue(t *rapid.T) {
	times := []weir.Time{}
	for _, r := range m.runs {
		times = append(times, r.due)
	}
	for _, until := range m.until {
		times = append(times, until)
	}
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
		wait, ok := m.set.Why(id)
		if ok == r.running {
			t.Fatalf("Why(%s) = %v, %v", id, wait, ok)
		}
		if r.running {
			running++
			continue
		}
		waiting++
		due, runnable := r.due <= m.now, m.runnable(r.lane)
		if due != (wait.For != NotDue) || due && runnable != (wait.For == Turn) {
			t.Fatalf("Why(%s) = %v, due %v, gates open %v", id, wait, due, runnable)
		}
	}
	if w, r := m.set.WaitingCount(), m.set.RunningCount(); w != waiting || r != running {
		t.Fatalf("%d waiting, %d running; want %d, %d", w, r, waiting, running)
	}
	m.checkRows(t)
	if len(m.runs) == 0 {
		checkEmpty(t, m.set)
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
		kept := 0
		for g := range s.failing {
			if g.owner == p {
				kept++
			}
		}
		if len(p.lanes) > 0 || len(p.bundles) > 0 || len(p.gates) > kept {
			t.Fatalf("project %d keeps %d lanes, %d bundles, %d gates", p.id, len(p.lanes), len(p.bundles), len(p.gates))
		}
	}
	if n := len(s.later.kids) + len(s.timed); n > 0 {
		t.Fatalf("%d lanes or breakers wait for time", n)
	}
}

func TestASetDoesWhatThePlainModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{model: &model{
			now: 1000, origin: 2,
			runs: map[weir.RunID]*modelRun{}, failures: map[modelOrigin]int{}, until: map[modelOrigin]weir.Time{},
		}}
		m.set = New(m.limits(), 0)
		t.Repeat(rapid.StateMachineActions(m))
		for id := range m.runs {
			m.set.Remove(id)
		}
		checkEmpty(t, m.set)
	})
}

func (r *modelRun) String() string { return fmt.Sprintf("%s %v due %d", r.id, r.lane, r.due) }
