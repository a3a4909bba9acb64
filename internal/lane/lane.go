package lane

import "weir"

// lane is the runs that wait for the same things. It is there while a run
// waits in it.
type lane struct {
	node   // its home is its bundle, its key, or the lanes due later
	name   laneName
	num    int32 // its place in Set.lanes
	runs   []waiter
	bundle *bundle
	key    *gate // nil where it has no key
}

// laneName tells lanes apart: fresh runs may be skipped, so they do not wait for
// the same things as others.
type laneName struct {
	weir.Lane
	fresh bool
}

// bundle is the lanes of one pipeline to one origin, which differ in their keys
// only.
type bundle struct {
	node   // its home is one of its gates, or, of fresh runs, the project's root
	name   bundleName
	lanes  int
	pipe   *gate
	origin *gate // nil where the origin is not known
}

type bundleName struct {
	pipeline, origin string
	fresh            bool
}

// waiter is a waiting run in the heap of its lane.
type waiter struct {
	due  weir.Time
	slot int32
}

// slot is where the rest of a waiting run is kept. Slots and waiters hold no
// pointers, so that a million of them cost the garbage collector nothing.
type slot struct {
	id   weir.RunID
	lane int32 // in Set.lanes
	pos  int32 // in lane.runs
}

// slots orders the waiters of all lanes.
type slots struct{ slab[slot] }

func (s *slots) before(a, b waiter) bool {
	if a.due != b.due {
		return a.due < b.due
	}
	return s.rank(a).before(s.rank(b))
}

func (s *slots) moved(w waiter, at int) { s.items[w.slot].pos = int32(at) }

func (s *slots) rank(w waiter) rank { return rank{w.due, s.items[w.slot].id} }

// slab keeps items under small numbers, which it gives out again.
type slab[T any] struct {
	items []T
	free  []int32
}

func (s *slab[T]) put(item T) int32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		s.items[i] = item
		return i
	}
	s.items = append(s.items, item)
	return int32(len(s.items) - 1)
}

func (s *slab[T]) drop(i int32) {
	var none T
	s.items[i] = none
	s.free = append(s.free, i)
}

// lane finds or makes the lane of that name. A new one is due later until it
// is looked at.
func (s *Set) lane(name laneName) *lane {
	if l := s.latest; l != nil && l.name == name {
		return l
	}
	p := s.project(name.Project)
	if l, ok := p.lanes[name]; ok {
		s.latest = l
		return l
	}
	l := &lane{name: name, bundle: s.bundle(p, bundleName{name.Pipeline, name.Origin, name.fresh})}
	l.node = node{lane: l, home: &s.later, pos: absent}
	l.bundle.lanes++
	if name.Key != "" {
		l.key = s.gate(p, gateName{kind: KeyLimit, name: name.Pipeline, key: name.Key})
		l.key.users++
	}
	l.num = s.lanes.put(l)
	p.lanes[name] = l
	return l
}

func (s *Set) bundle(p *project, name bundleName) *bundle {
	if b, ok := p.bundles[name]; ok {
		return b
	}
	b := &bundle{name: name, pipe: s.gate(p, gateName{kind: PipelineLimit, name: name.pipeline})}
	b.node = node{home: &b.pipe.node, pos: absent}
	if name.fresh {
		b.home = &p.ready // a full pipeline must not hide what is skipped for it
	}
	b.pipe.users++
	if name.origin != "" {
		b.origin = s.gate(p, gateName{kind: OriginLimit, name: name.origin})
		b.origin.users++
	}
	p.bundles[name] = b
	return b
}

// requeue puts l where it belongs after its runs changed.
func (s *Set) requeue(l *lane) {
	if len(l.runs) == 0 {
		s.dropLane(l)
		return
	}
	l.rank = s.slots.rank(l.runs[0])
	if l.rank.due > s.now {
		s.move(&l.node, &s.later)
	}
	s.settle(&l.node)
}

// dropLane forgets a lane in which nothing waits.
func (s *Set) dropLane(l *lane) {
	s.settle(&l.node)
	p, b := s.projects[l.name.Project], l.bundle
	delete(p.lanes, l.name)
	s.lanes.drop(l.num)
	if s.latest == l {
		s.latest = nil
	}
	if l.key != nil {
		l.key.users--
		s.tidy(l.key)
	}
	b.lanes--
	if b.lanes > 0 {
		return
	}
	delete(p.bundles, b.name)
	b.pipe.users--
	s.tidy(b.pipe)
	if b.origin != nil {
		b.origin.users--
		s.tidy(b.origin)
	}
}
