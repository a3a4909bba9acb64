package lane

import (
	"time"

	"weir"
)

// gate is what lets runs start: so many at once for a pipeline, for a key of a
// pipeline, or for an origin; so many in a time for a pipeline or an origin; and
// so many at once at all origins together.
type gate struct {
	node    // home: the project's root; of a key the gate of its pipeline
	name    gateName
	owner   *project
	limit   int // 0 is none
	used    int // places that running runs take
	users   int // lanes, bundles and keys that go through it
	skips   bool
	breaker *breaker // of an origin
	pace    pace     // of an origin, and of a pipeline's rate

	// rate is a gate of its own beside that of a pipeline with a rate, because a
	// full pipeline must not hide what waited for the rate and is then skipped.
	rate *gate

	until weir.Time // while timed: when it opens
	timer int       // in Set.timed, or absent
}

type gateName struct {
	kind Stop   // PipelineLimit, PipelineRate, KeyLimit, OriginLimit or Outside
	name string // of the pipeline, or the origin
	key  string // of KeyLimit
}

func (s *Set) full(g *gate) bool {
	if g.name.kind == Outside {
		return s.isCrowded()
	}
	return g.limit > 0 && g.used >= g.limit
}

// isCrowded reports whether as many runs are at origins as may be.
func (s *Set) isCrowded() bool { return s.limits.Outside > 0 && s.outside >= s.limits.Outside }

func (s *Set) shut(g *gate) bool {
	return s.full(g) || s.now < g.pace.opens() || g.breaker != nil && g.breaker.shut(s.now)
}

// opens returns when g, which is shut, opens by itself; false where it is open,
// or waits for a place or for the end of a probe.
func (s *Set) opens(g *gate) (weir.Time, bool) {
	at := g.pace.opens()
	if b := g.breaker; b != nil && b.open() {
		if !b.probe.IsZero() {
			return 0, false
		}
		at = max(at, b.until)
	}
	return at, at > s.now && !s.full(g)
}

type byUntil struct{}

func (byUntil) before(a, b *gate) bool { return a.until < b.until }
func (byUntil) moved(g *gate, at int)  { g.timer = at }

// arm keeps g among those whose opening is awaited, or takes it from there.
func (s *Set) arm(g *gate) {
	if g.timer == absent && len(g.kids) == 0 {
		return
	}
	at, awaited := s.opens(g)
	awaited = awaited && len(g.kids) > 0
	switch {
	case awaited:
		g.until = at
		if g.timer == absent {
			s.timed = push(byUntil{}, s.timed, g)
		} else {
			fix(byUntil{}, s.timed, g.timer)
		}
	case g.timer != absent:
		s.timed = remove(byUntil{}, s.timed, g.timer)
		g.timer = absent
	}
}

// gate finds or makes the gate of that name.
func (s *Set) gate(p *project, name gateName) *gate {
	if g, ok := p.gates[name]; ok {
		return g
	}
	g := newGate(p, name)
	if name.kind == OriginLimit {
		g.breaker = &breaker{}
	}
	if name.kind == KeyLimit {
		pipe := s.gate(p, gateName{kind: PipelineLimit, name: name.name})
		g.home = &pipe.node
		pipe.users++
	}
	s.limit(g)
	p.gates[name] = g
	return g
}

func newGate(p *project, name gateName) *gate {
	g := &gate{name: name, owner: p, timer: absent}
	g.node = node{gate: g, home: &p.ready, pos: absent}
	return g
}

// limit asks for the limits of g.
func (s *Set) limit(g *gate) {
	if g.name.kind == OriginLimit {
		l := s.limits.origin(g.owner.id, g.name.name)
		g.limit = l.All
		g.pace.set(l.Rate, s.began, s.now)
		return
	}
	l := s.limits.pipeline(g.owner.id, g.name.name)
	g.limit, g.skips = l.All, l.Skip
	if g.name.kind == KeyLimit {
		g.limit = l.PerKey
		return
	}
	if g.rate == nil && !l.Rate.IsZero() {
		g.rate = newGate(g.owner, gateName{kind: PipelineRate, name: g.name.name})
	}
	if g.rate != nil {
		g.rate.pace.set(l.Rate, s.began, s.now)
	}
}

// tidy forgets a gate that nobody goes through and that remembers nothing. One
// with a rate is remembered while there is the rate, as definitions are.
func (s *Set) tidy(g *gate) {
	if g.users > 0 || g.used > 0 || g.breaker != nil && g.breaker.failures > 0 ||
		g.pace.every > 0 || g.rate != nil && g.rate.pace.every > 0 {
		return
	}
	delete(g.owner.gates, g.name)
	if g.name.kind == KeyLimit {
		g.home.gate.users--
		s.tidy(g.home.gate)
	}
}

// LimitsChanged looks again at the limits of a project's gates. Dispatch calls
// it when definitions were applied.
func (s *Set) LimitsChanged(id weir.ProjectID) {
	p, ok := s.projects[id]
	if !ok {
		return
	}
	for _, g := range p.gates {
		s.limit(g)
		s.settle(&g.node)
		if g.rate != nil {
			s.settle(&g.rate.node)
		}
		s.tidy(g)
	}
}

// shutGate returns the first gate of l that is shut, or nil. Those that
// bundles hang under come first, because they hide more.
func (s *Set) shutGate(l *lane) *gate {
	b := l.bundle
	switch {
	case s.shut(b.pipe):
		return b.pipe
	case b.pipe.rate != nil && s.shut(b.pipe.rate):
		return b.pipe.rate
	case b.origin != nil && s.isCrowded():
		return &b.origin.owner.outside
	case b.origin != nil && s.shut(b.origin):
		return b.origin
	case l.key != nil && s.shut(l.key):
		return l.key
	}
	return nil
}

// hang moves l, or its bundle, to the gate that stops it.
func (s *Set) hang(l *lane, at *gate) {
	if at == l.key {
		s.move(&l.node, &at.node)
		return
	}
	s.move(&l.bundle.node, &at.node)
	s.move(&l.node, &l.bundle.node)
}

// places is what a running run takes. Each may be nil.
type places struct{ pipe, key, origin *gate }

func (s *Set) take(g *gate) {
	if g != nil {
		g.used++
		s.settle(&g.node)
	}
}

func (s *Set) free(g *gate) {
	if g != nil {
		g.used--
		s.settle(&g.node)
		s.tidy(g)
	}
}

// takeOrigin takes a place at an open origin; at a half-open one id becomes the
// probe.
func (s *Set) takeOrigin(g *gate, id weir.RunID) {
	if g.breaker.open() {
		g.breaker.probe = id
	}
	s.goOutside(1)
	s.take(g)
}

func (s *Set) freeOrigin(g *gate) {
	s.goOutside(-1)
	s.free(g)
}

// goOutside counts the runs at origins.
func (s *Set) goOutside(n int) {
	was := s.isCrowded()
	s.outside += n
	s.crowded(was)
}

// LimitOutside sets another bound than Limits.Outside.
func (s *Set) LimitOutside(n int) {
	was := s.isCrowded()
	s.limits.Outside = n
	s.crowded(was)
}

// crowded opens or shuts the way to all origins, for all projects, where it was
// the other way before.
func (s *Set) crowded(was bool) {
	if was == s.isCrowded() {
		return
	}
	for _, p := range s.projects {
		s.settle(&p.outside.node)
	}
}

// pay takes note that a gate with a rate let one through.
func (s *Set) pay(g *gate) {
	if g != nil && g.pace.every > 0 {
		g.pace.pay(s.now)
		s.settle(&g.node)
	}
}

// Enter is asked before a running run sends a request to an origin ("" is none),
// but for the first at the origin of its lane, which Admit let through. Its
// place at a former origin, which it reached, is freed, and one at the new taken.
// The request may be sent after the wait, by which it keeps to the rate. Not ok:
// the origin's gate is shut, for its rate for more than a second. The run then
// has no place at any origin, and its try should end as held.
func (s *Set) Enter(id weir.RunID, origin string, now weir.Time) (wait time.Duration, ok bool) {
	s.tell(now)
	r, ok := s.running[id]
	if !ok {
		return 0, false
	}
	if r.origin != nil && r.origin.name.name != origin {
		s.leaveOrigin(r.origin, id, weir.Reached)
		r.origin = nil
	}
	if origin != "" {
		r.origin, wait = s.enter(id, r, origin)
		ok = r.origin != nil
	}
	s.running[id] = r
	return wait, ok
}

// enter returns the gate of an origin at which the run has a place from then on,
// or nil where it may not send a request there.
func (s *Set) enter(id weir.RunID, r running, origin string) (*gate, time.Duration) {
	g := r.origin
	if g == nil {
		g = s.gate(r.project, gateName{kind: OriginLimit, name: origin})
		defer s.tidy(g)
	}
	wait := max(g.pace.opens().Sub(s.now), 0)
	switch {
	case r.origin == nil && (wait > maxAhead || s.isCrowded() || s.full(g) || g.breaker.shut(s.now)):
		return nil, 0
	case r.origin == nil:
		s.takeOrigin(g, id)
	case wait > maxAhead:
		s.leaveOrigin(g, id, weir.Reached)
		return nil, 0
	}
	s.pay(g)
	return g, wait
}

// Finish ends the try of a running run: its places are freed, and the breaker
// of the origin at which it was learns the verdict. The run is unknown from
// then on, until it is added again.
func (s *Set) Finish(id weir.RunID, v weir.Verdict, now weir.Time) {
	s.tell(now)
	r, ok := s.running[id]
	if !ok {
		return
	}
	delete(s.running, id)
	if r.origin != nil {
		s.leaveOrigin(r.origin, id, v)
	}
	s.free(r.key)
	s.free(r.pipe)
}

func (s *Set) leaveOrigin(g *gate, id weir.RunID, v weir.Verdict) {
	g.breaker.learn(id, v, s.now)
	if g.breaker.failures > 0 {
		s.failing[g] = struct{}{}
		if len(s.failing) > s.manyFailing {
			defer s.forget() // when g, too, is free
		}
	} else {
		delete(s.failing, g)
	}
	s.freeOrigin(g)
}
