package lane

import (
	"bytes"

	"weir"
)

// rank orders runs, and everything by its first run.
type rank struct {
	due weir.Time
	id  weir.RunID
}

func (r rank) before(o rank) bool {
	if r.due != o.due {
		return r.due < o.due
	}
	return bytes.Compare(r.id[:], o.id[:]) < 0
}

// node is a place in the tree. Its kids are a heap by rank.
type node struct {
	rank rank // of the first run below it
	home *node
	pos  int // among home's kids, or absent
	kids []*node

	lane    *lane    // set in a leaf
	gate    *gate    // set where the node is a gate
	project *project // set in a root from which runs start
}

const absent = -1

type byRank struct{}

func (byRank) before(a, b *node) bool { return a.rank.before(b.rank) }
func (byRank) moved(n *node, at int)  { n.pos = at }

// stands reports whether n should be among its home's kids: something waits
// below it, and it is no shut gate.
func (s *Set) stands(n *node) bool {
	if n.lane != nil {
		return len(n.lane.runs) > 0
	}
	return len(n.kids) > 0 && (n.gate == nil || !s.shut(n.gate))
}

// first returns the lane with the first run below n, which has kids.
func (n *node) first() *lane {
	for n.lane == nil {
		n = n.kids[0]
	}
	return n.lane
}

// settle puts n where it belongs after its rank, its kids or its gate changed,
// and then its home, as far up as that makes a difference.
func (s *Set) settle(n *node) {
	for ; n.home != nil; n = n.home {
		if len(n.kids) > 0 {
			n.rank = n.kids[0].rank
		}
		home, stands := n.home, s.stands(n)
		switch {
		case stands && n.pos != absent:
			fix(byRank{}, home.kids, n.pos)
		case stands:
			home.kids = push(byRank{}, home.kids, n)
		case n.pos != absent:
			home.kids = remove(byRank{}, home.kids, n.pos)
			n.pos = absent
		}
		if n.gate != nil {
			s.arm(n.gate)
		}
		if home.pos != absent && len(home.kids) > 0 && home.kids[0].rank == home.rank {
			return
		}
	}
	if n.project != nil && len(n.kids) > 0 {
		s.turns.push(n.project)
	}
}

// move makes to the home of n.
func (s *Set) move(n, to *node) {
	if n.home == to {
		return
	}
	if from := n.home; n.pos != absent {
		from.kids = remove(byRank{}, from.kids, n.pos)
		n.pos = absent
		s.settle(from)
	}
	n.home = to
	s.settle(n)
}

// project is a tenant's part of the tree.
type project struct {
	id      weir.ProjectID
	ready   node // root: its kids are the open gates, and the bundles, under which something due hangs
	outside gate // of all that goes to an origin
	gates   map[gateName]*gate
	bundles map[bundleName]*bundle
	lanes   map[laneName]*lane
	queues  map[queueName]*queue

	queued bool // in turns
	next   *project
}

func (s *Set) project(id weir.ProjectID) *project {
	if p, ok := s.projects[id]; ok {
		return p
	}
	p := &project{
		id:      id,
		ready:   node{pos: absent},
		gates:   map[gateName]*gate{},
		bundles: map[bundleName]*bundle{},
		lanes:   map[laneName]*lane{},
		queues:  map[queueName]*queue{},
	}
	p.ready.project = p
	p.outside = gate{name: gateName{kind: Outside}, owner: p, timer: absent}
	p.outside.node = node{gate: &p.outside, home: &p.ready, pos: absent}
	s.projects[id] = p
	return p
}

// turns is the queue of projects that may have something to start.
type turns struct{ first, last *project }

func (t *turns) push(p *project) {
	if p.queued {
		return
	}
	p.queued, p.next = true, nil
	if t.first == nil {
		t.first = p
	} else {
		t.last.next = p
	}
	t.last = p
}

func (t *turns) pop() *project {
	p := t.first
	t.first = p.next
	p.queued, p.next = false, nil
	return p
}
