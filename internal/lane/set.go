package lane

import (
	"slices"

	"weir"
)

// Run is a run as a Set is told of it.
type Run struct {
	ID    weir.RunID
	Lane  weir.Lane
	Due   weir.Time
	Turn  weir.Precedence // among the runs of its ordered key; none: it is not ordered
	Holds bool            // it was tried: it holds its ordered key
	Fresh bool            // nothing became of it yet: it may be skipped
}

// Skip is a fresh run that found no place in a pipeline that skips such.
type Skip struct {
	Run    weir.RunID
	Limit  int  // how many places there are, all of them taken
	PerKey bool // they are those of the run's concurrency key
}

// Set is the runs of a shard that wait or run, and what decides between them.
// It is not safe for concurrent use. The times that it is told never decrease;
// an earlier one counts as the latest told before.
type Set struct {
	limits   Limits
	began    weir.Time
	now      weir.Time
	projects map[weir.ProjectID]*project
	turns    turns

	waiting finder // of ordered runs only those that stand in their lane
	slots   slots
	lanes   slab[*lane]
	latest  *lane // that was asked for by its name: often the next
	later   node  // root: its kids are the lanes whose first run was not due when last looked at
	tickets map[weir.RunID]*ticket
	skipped []Skip

	running     map[weir.RunID]running
	outside     int     // running at an origin
	timed       []*gate // heap by until: shut gates that open by themselves, for which something waits
	failing     map[*gate]struct{}
	manyFailing int // when to look whether some can be forgotten
}

type running struct {
	project *project
	places
}

// New returns an empty set, to which nobody can tell what was started before:
// rates count as used up.
func New(limits Limits, now weir.Time) *Set {
	return &Set{
		limits:      limits,
		began:       now,
		now:         now,
		tickets:     map[weir.RunID]*ticket{},
		projects:    map[weir.ProjectID]*project{},
		later:       node{pos: absent},
		running:     map[weir.RunID]running{},
		failing:     map[*gate]struct{}{},
		manyFailing: fewFailing,
	}
}

// Expect makes room for n runs that will be added, so that a million cost no
// more than their memory.
func (s *Set) Expect(n int) {
	s.waiting.expect(s.waiting.count + n)
	s.slots.items = slices.Grow(s.slots.items, n)
}

// Add makes a run wait until it is due and its gates are open and, if it is
// ordered, until the runs of its key that come before it are removed. A run that
// waits already is moved; one that is running loses its places, as by Remove,
// and counts as not begun.
func (s *Set) Add(r Run) {
	if r.Turn == (weir.Precedence{}) {
		s.wait(&r)
	} else {
		s.enqueue(&r)
	}
}

// wait puts a run into its lane, or moves it there.
func (s *Set) wait(r *Run) {
	name := laneName{r.Lane, r.Fresh}
	if i, ok := s.waiting.find(&s.slots, r.ID); ok {
		w := s.slots.items[i]
		l := s.lanes.items[w.lane]
		if l.name == name {
			l.runs[w.pos].due = r.Due
			fix(&s.slots, l.runs, int(w.pos))
			s.requeue(l)
			return
		}
		s.unwait(l, int(w.pos))
	} else {
		s.stop(r.ID)
	}
	l := s.lane(name)
	i := s.slots.put(slot{id: r.ID, lane: l.num})
	s.waiting.add(&s.slots, i)
	l.runs = push(&s.slots, l.runs, waiter{r.Due, i})
	if l.runs[0].slot == i {
		s.requeue(l)
	}
}

// Remove forgets a run that was cancelled, died or is gone for another reason:
// the next of its ordered key may start. The places of a running one are freed,
// and no breaker learns from it.
func (s *Set) Remove(id weir.RunID) {
	if !s.unlane(id) {
		s.stop(id)
	}
	if t, ok := s.tickets[id]; ok {
		s.leave(t)
	}
}

func (s *Set) isInLane(id weir.RunID) bool {
	_, ok := s.waiting.find(&s.slots, id)
	return ok
}

// unlane takes a run out of its lane, if it stands there.
func (s *Set) unlane(id weir.RunID) bool {
	i, ok := s.waiting.find(&s.slots, id)
	if ok {
		s.unwait(s.lanes.items[s.slots.items[i].lane], int(s.slots.items[i].pos))
	}
	return ok
}

// stop forgets a run that is running; of another it knows nothing.
func (s *Set) stop(id weir.RunID) {
	r, ok := s.running[id]
	if !ok {
		return
	}
	delete(s.running, id)
	if r.origin != nil {
		if r.origin.breaker.probe == id {
			r.origin.breaker.probe = weir.RunID{}
		}
		s.freeOrigin(r.origin)
	}
	s.free(r.key)
	s.free(r.pipe)
}

// unwait takes the run at pos out of its lane.
func (s *Set) unwait(l *lane, pos int) {
	i := l.runs[pos].slot
	l.runs = remove(&s.slots, l.runs, pos)
	s.waiting.remove(&s.slots, s.slots.items[i].id)
	s.slots.drop(i)
	if pos == 0 {
		s.requeue(l)
	}
}

// Admit starts at most n runs that are due and whose gates are open, appends
// them to dst and returns it. They count as running from then on. Projects take
// turns; within a project, and so within a lane, the order is (due, id). It
// returns fewer than n only when no other run may start at that time. What was
// skipped on the way is for Skipped to tell.
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

// Skipped returns the runs that were skipped since the last call. The set has
// forgotten them.
func (s *Set) Skipped() []Skip {
	skipped := s.skipped
	s.skipped = nil
	return skipped
}

// tell moves the time on: lanes become due, breakers half-open, and rates let
// the next one through.
func (s *Set) tell(now weir.Time) {
	s.now = max(s.now, now)
	for len(s.timed) > 0 && s.timed[0].until <= s.now {
		s.settle(&s.timed[0].node)
	}
	for len(s.later.kids) > 0 && s.later.kids[0].rank.due <= s.now {
		l := s.later.kids[0].lane
		s.move(&l.node, &l.bundle.node)
	}
}

// admitOne starts the first run of a project that may, if there is one.
func (s *Set) admitOne(p *project) (weir.RunID, bool) {
	for len(p.ready.kids) > 0 {
		l := p.ready.first()
		g := s.shutGate(l)
		switch skip, ok := s.skips(l, g); {
		case ok:
			s.Remove(skip.Run)
			s.skipped = append(s.skipped, skip)
		case s.isBehind(l.rank.id):
			s.unlane(l.rank.id)
		case g != nil:
			s.hang(l, g)
		default:
			return s.start(l), true
		}
	}
	return weir.RunID{}, false
}

// skips reports whether the first run of l is skipped, g being the first gate
// that is shut for it: in a pipeline that skips, a fresh run does not wait for a
// place, nor for other runs of its ordered key.
func (s *Set) skips(l *lane, g *gate) (Skip, bool) {
	if !l.name.fresh || !l.bundle.pipe.skips {
		return Skip{}, false
	}
	id := l.rank.id
	if s.isBehind(id) {
		return Skip{Run: id, Limit: 1, PerKey: l.key != nil}, true
	}
	if g != nil && (g == l.bundle.pipe || g == l.key) {
		return Skip{Run: id, Limit: g.limit, PerKey: g == l.key}, true
	}
	return Skip{}, false
}

// Adopt takes over a run that is running already, whatever the limits are: when
// a shard changes hands, other nodes go on with theirs.
func (s *Set) Adopt(r Run) {
	s.Remove(r.ID)
	p := s.project(r.Lane.Project)
	at := places{pipe: s.gate(p, gateName{kind: PipelineLimit, name: r.Lane.Pipeline})}
	if r.Lane.Key != "" {
		at.key = s.gate(p, gateName{kind: KeyLimit, name: r.Lane.Pipeline, key: r.Lane.Key})
	}
	if r.Lane.Origin != "" {
		at.origin = s.gate(p, gateName{kind: OriginLimit, name: r.Lane.Origin})
		s.goOutside(1)
	}
	s.take(at.pipe)
	s.take(at.key)
	s.take(at.origin)
	s.running[r.ID] = running{project: p, places: at}
	if r.Turn != (weir.Precedence{}) {
		s.adoptTicket(&r)
	}
}

// start starts the first run of l, whose gates are open.
func (s *Set) start(l *lane) weir.RunID {
	id := l.rank.id
	at := places{pipe: l.bundle.pipe, key: l.key, origin: l.bundle.origin}
	s.take(at.pipe)
	s.pay(at.pipe.rate)
	s.take(at.key)
	if at.origin != nil {
		s.takeOrigin(at.origin, id)
		s.pay(at.origin)
	}
	s.running[id] = running{project: at.pipe.owner, places: at}
	s.unwait(l, 0)
	if t, ok := s.tickets[id]; ok {
		s.try(t)
	}
	return id
}

// NextDue returns the time at which to call Admit again after it returned
// fewer runs than it was asked for: the next due time of a lane, or when a gate
// for which runs wait opens by itself. Nothing can start earlier unless a
// run is added or a place freed; nothing need start then, where another gate
// turns out to be shut. It is false where nothing waits for time.
func (s *Set) NextDue() (weir.Time, bool) {
	var next weir.Time
	ok := len(s.later.kids) > 0
	if ok {
		next = s.later.kids[0].rank.due
	}
	if len(s.timed) > 0 && (!ok || s.timed[0].until < next) {
		next, ok = s.timed[0].until, true
	}
	return next, ok
}

// Running reports whether the run is being tried.
func (s *Set) Running(id weir.RunID) bool {
	_, ok := s.running[id]
	return ok
}

// Due returns the waiting runs that are due, in no order, whatever their gates
// say, but of an ordered key those that come first. It looks at all that wait:
// for a restart, not for each pass.
func (s *Set) Due(now weir.Time) []weir.RunID {
	var due []weir.RunID
	for i := range s.waiting.all() {
		at := s.slots.items[i]
		if s.lanes.items[at.lane].runs[at.pos].due <= now {
			due = append(due, at.id)
		}
	}
	return due
}
