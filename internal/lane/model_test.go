package lane

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"weir"
)

// model is what a Set does, said plainly: a list of runs, everything counted
// anew at each question.
type model struct {
	now      weir.Time
	pipeline int
	perKey   int
	origin   int
	outside  int
	skip     bool
	runs     map[weir.RunID]*modelRun
	failures map[modelOrigin]int
	until    map[modelOrigin]weir.Time
	buckets  map[modelOrigin]*bucket // of origins, and of pipelines by their names
}

type modelRun struct {
	Run
	running bool
	tried   bool   // ordered: its try has ended, and nobody said what it is now
	at      string // running: the origin at which it has a place
	probe   bool
}

type modelOrigin struct {
	project weir.ProjectID
	origin  string
}

// bucket is a rate as tokens: level nanoseconds' worth at a time.
type bucket struct {
	every, cap, level int64
	at                weir.Time
}

// setRate makes the bucket of a rate; what another before it gave out is owed, up
// to all that is in the new one.
func (m *model) setRate(o modelOrigin, r weir.Rate) {
	if r.IsZero() {
		delete(m.buckets, o)
		return
	}
	b := &bucket{every: (int64(r.Per) + int64(r.N) - 1) / int64(r.N), at: m.now}
	b.cap = max(int64(100*time.Millisecond)/b.every, 1) * b.every
	b.level = b.cap
	if before := m.buckets[o]; before != nil {
		before.fill(m.now)
		b.level = max(b.level-(before.cap-before.level), 0)
	}
	m.buckets[o] = b
}

func (b *bucket) fill(now weir.Time) {
	b.level = min(b.cap, b.level+int64(now-b.at)*1000)
	b.at = now
}

// wait returns after what time the bucket gives one out, in the unit of Time.
func (m *model) wait(o modelOrigin) weir.Time {
	b := m.buckets[o]
	if b == nil {
		return 0
	}
	level := min(b.cap, b.level+int64(m.now-b.at)*1000)
	return weir.Time(max(0, b.every-level+999) / 1000)
}

func (m *model) pay(o modelOrigin) {
	if b := m.buckets[o]; b != nil {
		b.fill(m.now)
		b.level -= b.every
	}
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

func (m *model) outsideOpen() bool {
	return m.outside == 0 || m.count(func(r *modelRun) bool { return r.at != "" }) < m.outside
}

// hasPlace reports whether an origin has one, whatever its rate says.
func (m *model) hasPlace(o modelOrigin) bool {
	at := func(r *modelRun) bool { return r.Lane.Project == o.project && r.at == o.origin }
	probes := m.count(func(r *modelRun) bool { return at(r) && r.probe })
	return m.outsideOpen() && m.count(at) < m.origin && (m.failures[o] < BreakerFailures || m.now >= m.until[o] && probes == 0)
}

// full reports whether a pipeline's or a key's places are taken.
func (m *model) full(l weir.Lane) bool {
	pipe := m.count(func(r *modelRun) bool { return r.Lane.Project == l.Project && r.Lane.Pipeline == l.Pipeline })
	key := m.count(func(r *modelRun) bool {
		return r.Lane.Project == l.Project && r.Lane.Pipeline == l.Pipeline && r.Lane.Key == l.Key
	})
	return m.pipeline > 0 && pipe >= m.pipeline || m.perKey > 0 && l.Key != "" && key >= m.perKey
}

// reachable reports whether nothing stops a run but places of its pipeline and
// the order of its key.
func (m *model) reachable(l weir.Lane) bool {
	o := modelOrigin{l.Project, l.Origin}
	return m.wait(modelOrigin{l.Project, l.Pipeline}) == 0 && (l.Origin == "" || m.hasPlace(o) && m.wait(o) == 0)
}

// behind reports whether another run of the ordered key comes first.
func (m *model) behind(r *modelRun) bool {
	if r.Turn == (weir.Precedence{}) {
		return false
	}
	for _, o := range m.runs {
		if o == r || !o.sharesKey(r) {
			continue
		}
		if o.running || o.tried || o.before(r) {
			return true
		}
	}
	return false
}

func (r *modelRun) sharesKey(o *modelRun) bool {
	a, b := r.Lane, o.Lane
	a.Origin, b.Origin = "", ""
	return a == b && r.Turn != (weir.Precedence{}) && o.Turn != (weir.Precedence{})
}

func (r *modelRun) before(o *modelRun) bool {
	switch {
	case r.Holds != o.Holds:
		return r.Holds
	case r.Turn.Due != o.Turn.Due:
		return r.Turn.Due < o.Turn.Due
	case r.Turn.Seq != o.Turn.Seq:
		return r.Turn.Seq < o.Turn.Seq
	}
	return bytes.Compare(r.ID[:], o.ID[:]) < 0
}

func (r *modelRun) waits() bool { return !r.running && !r.tried }

func (m *model) startable(r *modelRun) bool {
	return r.waits() && r.Due <= m.now && !m.behind(r) && !m.full(r.Lane) && m.reachable(r.Lane)
}

// maySkip reports whether a run finds no place that it does not wait for.
func (m *model) maySkip(r *modelRun) bool {
	return m.skip && r.Fresh && r.waits() && r.Due <= m.now && (m.behind(r) || m.full(r.Lane))
}

// next returns, by project, the run that must be started next there.
func (m *model) next() map[weir.ProjectID]*modelRun {
	first := map[weir.ProjectID]*modelRun{}
	for _, r := range m.runs {
		if !m.startable(r) {
			continue
		}
		best := first[r.Lane.Project]
		if best == nil || (rank{r.Due, r.ID}).before(rank{best.Due, best.ID}) {
			first[r.Lane.Project] = r
		}
	}
	return first
}

func (m *model) start(r *modelRun) {
	r.running = true
	m.enter(r, r.Lane.Origin)
	m.pay(modelOrigin{r.Lane.Project, r.Lane.Pipeline})
	m.pay(modelOrigin{r.Lane.Project, r.Lane.Origin})
}

func (m *model) enter(r *modelRun, origin string) {
	o := modelOrigin{r.Lane.Project, origin}
	r.at, r.probe = origin, origin != "" && m.failures[o] >= BreakerFailures
}

// leave takes a run from its origin.
func (m *model) leave(r *modelRun, v weir.Verdict) {
	m.learn(r, v)
	r.at, r.probe = "", false
}

func (m *model) learn(r *modelRun, v weir.Verdict) {
	o := modelOrigin{r.Lane.Project, r.at}
	switch {
	case o.origin == "":
	case v == weir.Unasked:
	case v == weir.Reached:
		m.failures[o], m.until[o] = 0, 0
		for _, other := range m.runs {
			if other.Lane.Project == o.project && other.at == o.origin {
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

// request is what Enter should answer.
func (m *model) request(r *modelRun, origin string) (wait weir.Time, ok bool) {
	if r.at != origin {
		m.leave(r, weir.Reached)
	}
	o := modelOrigin{r.Lane.Project, origin}
	wait = m.wait(o)
	switch {
	case origin == "":
		return 0, true
	case r.at == "" && !m.hasPlace(o):
		return 0, false
	case wait > 1_000_000:
		m.leave(r, weir.Reached)
		return 0, false
	}
	if r.at == "" {
		m.enter(r, origin)
	}
	m.pay(o)
	return wait, true
}

// times returns when something may change by itself.
func (m *model) times() (times []weir.Time) {
	for _, r := range m.runs {
		times = append(times, r.Due)
	}
	for _, until := range m.until {
		times = append(times, until)
	}
	for o := range m.buckets {
		times = append(times, m.now+m.wait(o))
	}
	return times
}

func (r *modelRun) String() string {
	return fmt.Sprintf("%s %v due %d turn %v holds %v fresh %v", r.ID, r.Lane, r.Due, r.Turn, r.Holds, r.Fresh)
}

func byID(a, b *modelRun) int { return cmp.Compare(a.ID.String(), b.ID.String()) }
