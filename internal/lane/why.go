package lane

import (
	"fmt"

	"weir"
)

// Stop is what a waiting run waits for.
type Stop uint8

// The stops. Turn: nothing but earlier runs and a free worker.
const (
	Turn Stop = iota
	NotDue
	PipelineLimit
	KeyLimit
	OriginLimit
	OpenBreaker
	PipelineRate
	OriginRate
	Outside // as many runs are at origins as may be
	Earlier // another run of its ordered key
)

// Wait says why a run does not start.
type Wait struct {
	For   Stop
	Name  string     // of the pipeline or the origin whose gate is shut
	Key   string     // KeyLimit: the concurrency key
	Until weir.Time  // NotDue: its due time; a rate: when it opens; OpenBreaker: the next probe, none while one is under way
	Used  int        // of the gate that is full: places taken, more than Limit where that was lowered
	Limit int        // likewise: places there are
	Run   weir.RunID // Earlier: the run that must end first
}

// String says it for people, to be read after the word waits.
func (w Wait) String() string {
	switch w.For {
	case Turn:
	case NotDue:
		return fmt.Sprintf("until %s", w.Until)
	case PipelineLimit:
		return fmt.Sprintf("for a place: %d of %d of pipeline %s are taken", w.Used, w.Limit, w.Name)
	case KeyLimit:
		return fmt.Sprintf("for a place: %d of %d of key %s in pipeline %s are taken", w.Used, w.Limit, w.Key, w.Name)
	case OriginLimit:
		return fmt.Sprintf("for a place: %d of %d at %s are taken", w.Used, w.Limit, w.Name)
	case OpenBreaker:
		if w.Until == 0 {
			return fmt.Sprintf("for %s, which could not be reached: another run is asking", w.Name)
		}
		return fmt.Sprintf("for %s, which could not be reached: nothing asks it before %s", w.Name, w.Until)
	case PipelineRate:
		return fmt.Sprintf("until %s for the rate of pipeline %s", w.Until, w.Name)
	case OriginRate:
		return fmt.Sprintf("until %s for the rate of %s", w.Until, w.Name)
	case Outside:
		return "for a free worker: as many runs are at destinations as may be"
	case Earlier:
		return fmt.Sprintf("for %s, which comes before it", w.Run)
	}
	return "for its turn and a free worker"
}

// Why returns what a waiting run waits for, and false for a run that does not
// wait.
func (s *Set) Why(id weir.RunID, now weir.Time) (Wait, bool) {
	s.tell(now)
	t := s.tickets[id]
	i, ok := s.waiting.find(&s.slots, id)
	switch {
	case !ok && (t == nil || t.pos == absent):
		return Wait{}, false
	case s.isBehind(id):
		return Wait{For: Earlier, Run: t.queue.first().ID}, true
	}
	w := s.slots.items[i]
	l := s.lanes.items[w.lane]
	if due := l.runs[w.pos].due; due > s.now {
		return Wait{For: NotDue, Until: due}, true
	}
	if g := s.shutGate(l); g != nil {
		return s.waitAt(g), true
	}
	return Wait{}, true
}

// waitAt says why g is shut.
func (s *Set) waitAt(g *gate) Wait {
	w := Wait{For: g.name.kind, Name: g.name.name, Key: g.name.key}
	switch {
	case g.breaker != nil && g.breaker.shut(s.now):
		w.For = OpenBreaker
		if g.breaker.probe.IsZero() {
			w.Until = g.breaker.until
		}
	case s.full(g):
		w.Used, w.Limit = g.used, g.limit
	case g.name.kind == OriginLimit:
		w.For, w.Until = OriginRate, g.pace.opens()
	default:
		w.Until = g.pace.opens()
	}
	return w
}
