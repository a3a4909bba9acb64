package lane

import "weir"

// Limits says how many runs may be tried at once. A nil function sets no
// limits but the default. They are asked when a gate is first needed, and again
// at LimitsChanged.
type Limits struct {
	// Pipeline returns the most runs of a pipeline and of each of its
	// concurrency keys; 0 is no limit.
	Pipeline func(project weir.ProjectID, pipeline string) (all, perKey int)
	// Origin returns the most runs of a project at an origin; 0 is the default.
	Origin func(project weir.ProjectID, origin string) int
}

// DefaultOriginLimit is how many runs of a project act on one origin at once
// where nothing else is set.
const DefaultOriginLimit = 64

func (l *Limits) pipeline(project weir.ProjectID, pipeline string) (all, perKey int) {
	if l.Pipeline == nil {
		return 0, 0
	}
	return l.Pipeline(project, pipeline)
}

func (l *Limits) origin(project weir.ProjectID, origin string) int {
	if l.Origin != nil {
		if n := l.Origin(project, origin); n > 0 {
			return n
		}
	}
	return DefaultOriginLimit
}

// Set is the runs of a shard that wait or run, and what decides between them.
// It is not safe for concurrent use. The times that it is told never decrease;
// an earlier one counts as the latest told before.
type Set struct {
	limits   Limits
	now      weir.Time
	projects map[weir.ProjectID]*project
	turns    turns

	waiting map[weir.RunID]int32 // slot
	slots   slots
	lanes   slab[*lane]
	later   node // root: its kids are the lanes whose first run was not due when last looked at

	running     map[weir.RunID]running
	probes      []*breaker // heap by until: breakers for whose next probe something waits
	failing     map[*gate]struct{}
	manyFailing int // when to look whether some can be forgotten
}

type running struct {
	project *project
	places
}

// New returns an empty set.
func New(limits Limits) *Set {
	return &Set{
		limits:      limits,
		projects:    map[weir.ProjectID]*project{},
		waiting:     map[weir.RunID]int32{},
		later:       node{pos: absent},
		running:     map[weir.RunID]running{},
		failing:     map[*gate]struct{}{},
		manyFailing: fewFailing,
	}
}

// Add makes a run wait in a lane until it is due and its gates are open. A run
// that waits already is moved; one that is running loses its places, as by
// Remove.
func (s *Set) Add(id weir.RunID, name weir.Lane, due weir.Time) {
	if i, ok := s.waiting[id]; ok {
		w := s.slots.items[i]
		if l := s.lanes.items[w.lane]; l.name == name {
			l.runs[w.pos].due = due
			fix(&s.slots, l.runs, int(w.pos))
			s.requeue(l)
			return
		}
		s.Remove(id)
	} else {
		s.stop(id)
	}
	l := s.lane(name)
	i := s.slots.put(slot{id: id, lane: l.num})
	s.waiting[id] = i
	l.runs = push(&s.slots, l.runs, waiter{due, i})
	if l.runs[0].slot == i {
		s.requeue(l)
	}
}

// Remove forgets a run that was cancelled, died or is gone for another reason.
// The places of a running one are freed, and no breaker learns from it.
func (s *Set) Remove(id weir.RunID) {
	if i, ok := s.waiting[id]; ok {
		s.unwait(s.lanes.items[s.slots.items[i].lane], int(s.slots.items[i].pos))
		return
	}
	s.stop(id)
}

// stop forgets a run that is running; of another it knows nothing.
func (s *Set) stop(id weir.RunID) {
	r, ok := s.running[id]
	if !ok {
		return
	}
	delete(s.running, id)
	if r.origin != nil && r.origin.breaker.probe == id {
		r.origin.breaker.probe = weir.RunID{}
	}
	s.free(r.origin)
	s.free(r.key)
	s.free(r.pipe)
}

// unwait takes the run at pos out of its lane.
func (s *Set) unwait(l *lane, pos int) {
	i := l.runs[pos].slot
	l.runs = remove(&s.slots, l.runs, pos)
	delete(s.waiting, s.slots.items[i].id)
	s.slots.drop(i)
	if pos == 0 {
		s.requeue(l)
	}
}

// Admit starts at most n runs that are due and whose gates are open, appends
// them to dst and returns it. They count as running from then on. Projects take
// turns; within a project, and so within a lane, the order is (due, id). It
// returns fewer than n only when no other run may start at that time.
func (s *Set) Admit(now weir.Time, n int, dst []weir.RunID) []weir.RunID {
	s.tell(now)
	for n > 0 && s.turns.first != nil {
		p := s.turns.pop()
		if id, ok := s.admitOne(p); ok {
			dst = append(dst, id)
			n--
		}
		if len(p.ready.kids) > 0 {
			s.turns.push(p)
		}
	}
	return dst
}

// tell moves the time on: lanes become due, and breakers half-open.
func (s *Set) tell(now weir.Time) {
	s.now = max(s.now, now)
	for len(s.probes) > 0 && s.probes[0].until <= s.now {
		s.settle(&s.probes[0].gate.node)
	}
	for len(s.later.kids) > 0 && s.later.kids[0].rank.due <= s.now {
		l := s.later.kids[0].lane
		s.move(&l.node, &l.bundle.node)
	}
}

// admitOne starts the first run of a project that may, if there is one.
func (s *Set) admitOne(p *project) (weir.RunID, bool) {
	for len(p.ready.kids) > 0 {
		l := p.ready.kids[0].kids[0].kids[0].lane
		if g := s.shutGate(l); g != nil {
			s.hang(l, g)
			continue
		}
		return s.start(l), true
	}
	return weir.RunID{}, false
}

// start starts the first run of l, whose gates are open.
func (s *Set) start(l *lane) weir.RunID {
	id := l.rank.id
	at := places{pipe: l.bundle.pipe, key: l.key, origin: l.bundle.origin}
	s.take(at.pipe)
	s.take(at.key)
	s.takeOrigin(at.origin, id)
	s.running[id] = running{project: at.pipe.owner, places: at}
	s.unwait(l, 0)
	return id
}

// NextDue returns the time at which to call Admit again after it returned
// fewer runs than it was asked for: the next due time of a lane, or the next
// probe of a breaker for which runs wait. Nothing can start earlier unless a
// run is added or a place freed; nothing need start then, where another gate
// turns out to be shut. It is false where nothing waits for time.
func (s *Set) NextDue() (weir.Time, bool) {
	var next weir.Time
	ok := len(s.later.kids) > 0
	if ok {
		next = s.later.kids[0].rank.due
	}
	if len(s.probes) > 0 && (!ok || s.probes[0].until < next) {
		next, ok = s.probes[0].until, true
	}
	return next, ok
}

// Running reports whether the run is being tried.
func (s *Set) Running(id weir.RunID) bool {
	_, ok := s.running[id]
	return ok
}

// WaitingCount returns how many runs wait, for time, gates or their turn.
func (s *Set) WaitingCount() int { return len(s.waiting) }

// RunningCount returns how many runs are being tried.
func (s *Set) RunningCount() int { return len(s.running) }

// Due returns the waiting runs that are due, in no order, whatever their gates
// say. It looks at all that wait: for a restart, not for each pass.
func (s *Set) Due(now weir.Time) []weir.RunID {
	var due []weir.RunID
	for id, i := range s.waiting {
		at := s.slots.items[i]
		if s.lanes.items[at.lane].runs[at.pos].due <= now {
			due = append(due, id)
		}
	}
	return due
}
