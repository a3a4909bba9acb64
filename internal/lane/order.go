package lane

import (
	"bytes"
	"cmp"

	"weir"
)

// queue is the runs of an ordered key that were added and not removed. The first
// of those that wait stands in its lane, where times and gates are looked at as
// for any run; the others stand behind it, wherever their next steps go. While
// one is being tried, or nobody knows yet what became of its try, none stands.
type queue struct {
	name    queueName
	owner   *project
	waiting []*ticket // heap by turn
	stands  *ticket   // of waiting
	trying  *ticket
}

// queueName is a key of a pipeline, or the pipeline where it has no keys.
type queueName struct{ pipeline, key string }

// ticket is an ordered run.
type ticket struct {
	Run
	queue *queue
	pos   int // in queue.waiting, or absent
}

type byTurn struct{}

// before puts the holder first: it was tried, so nobody may come before it.
func (byTurn) before(a, b *ticket) bool {
	if a.Holds != b.Holds {
		return a.Holds
	}
	return cmp.Or(cmp.Compare(a.Turn.Due, b.Turn.Due), cmp.Compare(a.Turn.Seq, b.Turn.Seq), bytes.Compare(a.ID[:], b.ID[:])) < 0
}

func (byTurn) moved(t *ticket, at int) { t.pos = at }

// enqueue makes an ordered run wait in the queue of its key.
func (s *Set) enqueue(r *Run) {
	t := s.tickets[r.ID]
	if t == nil {
		t = &ticket{queue: s.queue(r.Lane), pos: absent}
		s.tickets[r.ID] = t
	}
	q, turn := t.queue, t.Turn
	t.Run = *r
	if q.trying == t {
		ended := !s.Running(t.ID)
		t.Holds = t.Holds || ended && t.Turn == turn // whatever its change says, it began
		s.stop(t.ID)
		q.trying = nil
	}
	if t.pos == absent {
		q.waiting = push(byTurn{}, q.waiting, t)
	} else {
		fix(byTurn{}, q.waiting, t.pos)
	}
	if s.isInLane(t.ID) || s.isImpatient(t) {
		s.wait(&t.Run)
	}
	s.advance(q)
}

// isImpatient reports whether t stands in its lane though it need not be first:
// it is skipped there if it is not.
func (s *Set) isImpatient(t *ticket) bool {
	return t.Fresh && s.limits.pipeline(t.queue.owner.id, t.queue.name.pipeline).Skip
}

// first returns the run for which the others wait: the one that is being tried,
// or the next.
func (q *queue) first() *ticket { return cmp.Or(q.trying, q.stands) }

// isBehind reports whether the run must wait for others of its ordered key.
func (s *Set) isBehind(id weir.RunID) bool {
	t := s.tickets[id]
	return t != nil && t.queue.stands != t
}

// advance makes the first of q stand, where none is being tried. Another that
// stood stays in its lane until it comes up there.
func (s *Set) advance(q *queue) {
	q.stands = nil
	switch {
	case q.trying != nil:
	case len(q.waiting) == 0:
		delete(q.owner.queues, q.name)
	default:
		q.stands = q.waiting[0]
		if !s.isInLane(q.stands.ID) {
			s.wait(&q.stands.Run)
		}
	}
}

// try takes note that t was started.
func (s *Set) try(t *ticket) {
	q := t.queue
	q.waiting = remove(byTurn{}, q.waiting, t.pos)
	t.pos, q.stands, q.trying = absent, nil, t
}

// adoptTicket lets a run that is running already hold its key.
func (s *Set) adoptTicket(r *Run) {
	t := &ticket{Run: *r, queue: s.queue(r.Lane), pos: absent}
	s.tickets[t.ID] = t
	t.queue.stands, t.queue.trying = nil, t
}

// leave forgets t, which is in no lane and not running. The next may come.
func (s *Set) leave(t *ticket) {
	q := t.queue
	delete(s.tickets, t.ID)
	if t.pos != absent {
		q.waiting = remove(byTurn{}, q.waiting, t.pos)
	}
	if q.trying == t {
		q.trying = nil
	}
	s.advance(q)
}

func (s *Set) queue(l weir.Lane) *queue {
	p, name := s.project(l.Project), queueName{l.Pipeline, l.Key}
	q := p.queues[name]
	if q == nil {
		q = &queue{name: name, owner: p}
		p.queues[name] = q
	}
	return q
}
