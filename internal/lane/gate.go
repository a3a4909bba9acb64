package lane

import "weir"

// gate is what lets runs start: so many at once for a pipeline, for a key of a
// pipeline, or for an origin.
type gate struct {
	node    // home: the project's root; of a key the gate of its pipeline
	name    gateName
	owner   *project
	limit   int // 0 is none
	used    int // places that running runs take
	users   int // lanes and bundles that go through it
	breaker *breaker
}

type gateName struct {
	kind Stop   // PipelineLimit, KeyLimit or OriginLimit
	name string // of the pipeline, or the origin
	key  string // of KeyLimit
}

func (g *gate) full() bool { return g.limit > 0 && g.used >= g.limit }

func (g *gate) shut(now weir.Time) bool {
	return g.full() || g.breaker != nil && g.breaker.shut(now)
}

// gate finds or makes the gate of that name.
func (s *Set) gate(p *project, name gateName) *gate {
	if g, ok := p.gates[name]; ok {
		return g
	}
	g := &gate{name: name, owner: p}
	g.node = node{gate: g, home: &p.ready, pos: absent}
	if name.kind == OriginLimit {
		g.breaker = &breaker{gate: g, pos: absent}
	}
	if name.kind == KeyLimit {
		pipe := s.gate(p, gateName{kind: PipelineLimit, name: name.name})
		g.home = &pipe.node
		pipe.users++
	}
	g.limit = s.limit(g)
	p.gates[name] = g
	return g
}

func (s *Set) limit(g *gate) int {
	if g.name.kind == OriginLimit {
		return s.limits.origin(g.owner.id, g.name.name)
	}
	all, perKey := s.limits.pipeline(g.owner.id, g.name.name)
	if g.name.kind == KeyLimit {
		return perKey
	}
	return all
}

// tidy forgets a gate that nobody goes through and that remembers nothing.
func (s *Set) tidy(g *gate) {
	if g.users > 0 || g.used > 0 || g.breaker != nil && g.breaker.failures > 0 {
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
		g.limit = s.limit(g)
		s.settle(&g.node)
	}
}

// shutGate returns the first gate of l that is shut, or nil. Those that
// bundles hang under come first, because they hide more.
func (s *Set) shutGate(l *lane) *gate {
	for _, g := range [...]*gate{l.bundle.pipe, l.bundle.origin, l.key} {
		if g != nil && g.shut(s.now) {
			return g
		}
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
	if g == nil {
		return
	}
	if g.breaker.open() {
		g.breaker.probe = id
	}
	s.take(g)
}

// Adopt takes over a run that is running already, whatever the limits are.
// Dispatch calls it when a shard changes hands.
func (s *Set) Adopt(id weir.RunID, name weir.Lane) {
	s.Remove(id)
	p := s.project(name.Project)
	at := places{pipe: s.gate(p, gateName{kind: PipelineLimit, name: name.Pipeline})}
	if name.Key != "" {
		at.key = s.gate(p, gateName{kind: KeyLimit, name: name.Pipeline, key: name.Key})
	}
	if name.Origin != "" {
		at.origin = s.gate(p, gateName{kind: OriginLimit, name: name.Origin})
	}
	s.take(at.pipe)
	s.take(at.key)
	s.take(at.origin)
	s.running[id] = running{project: p, places: at}
}

// Enter is asked before a running run goes on to a step with another origin
// ("" is none). Its place at the former origin, which it reached, is freed, and
// one at the new taken. It reports false where that origin's gate is shut: the
// run then has no place at any origin, and its try should end as held.
func (s *Set) Enter(id weir.RunID, origin string, now weir.Time) bool {
	s.tell(now)
	r, ok := s.running[id]
	if !ok {
		return false
	}
	if r.origin != nil {
		if r.origin.name.name == origin {
			return true
		}
		s.leaveOrigin(r.origin, id, weir.Reached)
	}
	r.origin = nil
	entered := true
	if origin != "" {
		g := s.gate(r.project, gateName{kind: OriginLimit, name: origin})
		if entered = !g.shut(s.now); entered {
			r.origin = g
			s.takeOrigin(g, id)
		}
		s.tidy(g)
	}
	s.running[id] = r
	return entered
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
	s.free(g)
}
