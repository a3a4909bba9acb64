package fold

import (
	"bytes"

	"weir"
)

// dueQueue orders groups by (due, id). A group has at most one valid entry, the
// one that its queued time names; others are left to be passed over.
type dueQueue []dueEntry

type dueEntry struct {
	due   weir.Time
	group *liveGroup
}

func (q dueQueue) less(i, j int) bool {
	if q[i].due != q[j].due {
		return q[i].due < q[j].due
	}
	return bytes.Compare(q[i].group.id[:], q[j].group.id[:]) < 0
}

func (q *dueQueue) push(e dueEntry) {
	*q = append(*q, e)
	s := *q
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if !s.less(i, parent) {
			return
		}
		s[i], s[parent] = s[parent], s[i]
		i = parent
	}
}

func (q *dueQueue) pop() dueEntry {
	s := *q
	top, last := s[0], len(s)-1
	s[0], s[last] = s[last], dueEntry{}
	s = s[:last]
	*q = s
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < last && s.less(child, least) {
				least = child
			}
		}
		if least == i {
			return top
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}

// schedule makes the queue know that g is due at g.due. A time that moved later
// needs no new entry: the old one is moved on when it comes up.
func (q *dueQueue) schedule(g *liveGroup) {
	if g.due == 0 || g.queued != 0 && g.queued <= g.due {
		return
	}
	g.queued = g.due
	q.push(dueEntry{g.due, g})
}

// sweepAbove is how many entries a queue may have beyond two for each group.
const sweepAbove = 1024

// sweep drops the entries that are to be passed over once they are more than
// the others: a group that fires long before it expires leaves one behind.
func (q *dueQueue) sweep(groups int) {
	if len(*q) <= 2*groups+sweepAbove {
		return
	}
	all := *q
	*q = all[:0]
	for _, e := range all {
		if !e.group.gone && e.group.queued == e.due {
			q.push(e)
		}
	}
	clear(all[len(*q):])
}

// next returns the first group due at or before at, or nil.
func (q *dueQueue) next(at weir.Time) *liveGroup {
	for len(*q) > 0 && (*q)[0].due <= at {
		e := q.pop()
		g := e.group
		if g.gone || g.queued != e.due {
			continue
		}
		g.queued = 0
		if g.due != 0 && g.due <= e.due {
			return g
		}
		q.schedule(g)
	}
	return nil
}

// first returns when the next group is due.
func (q *dueQueue) first() (weir.Time, bool) {
	for len(*q) > 0 {
		e := (*q)[0]
		g := e.group
		valid := !g.gone && g.queued == e.due
		if valid && g.due == e.due {
			return e.due, true
		}
		q.pop()
		if valid {
			g.queued = 0
			q.schedule(g)
		}
	}
	return 0, false
}
