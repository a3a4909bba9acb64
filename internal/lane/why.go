package lane

import "weir"

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

var stopNames = [...]string{
	Turn: "turn", NotDue: "due", PipelineLimit: "pipeline limit", KeyLimit: "key limit",
	OriginLimit: "origin limit", OpenBreaker: "breaker", PipelineRate: "pipeline rate", OriginRate: "origin rate",
	Outside: "free worker", Earlier: "earlier run",
}

// String returns the stop's words.
func (s Stop) String() string {
	if int(s) >= len(stopNames) {
		return "unknown"
	}
	return stopNames[s]
}

// Wait says for people why a run does not start.
type Wait struct {
	For   Stop
	Until weir.Time // NotDue: its due time; a rate: when it opens; OpenBreaker: the next probe, none while one is under way
	Limit int       // of the gate that is full
}

// Why returns what a waiting run waits for, as of the latest time told, and
// false for a run that does not wait.
func (s *Set) Why(id weir.RunID) (Wait, bool) {
	t := s.tickets[id]
	i, ok := s.waiting[id]
	switch {
	case !ok && (t == nil || t.pos == absent):
		return Wait{}, false
	case s.isBehind(id):
		return Wait{For: Earlier}, true
	}
	w := s.slots.items[i]
	l := s.lanes.items[w.lane]
	if due := l.runs[w.pos].due; due > s.now {
		return Wait{For: NotDue, Until: due}, true
	}
	g := s.shutGate(l)
	switch {
	case g == nil:
		return Wait{}, true
	case g.breaker != nil && g.breaker.shut(s.now):
		wait := Wait{For: OpenBreaker}
		if g.breaker.probe.IsZero() {
			wait.Until = g.breaker.until
		}
		return wait, true
	case !s.full(g) && g.name.kind == OriginLimit:
		return Wait{For: OriginRate, Until: g.pace.opens()}, true
	case !s.full(g):
		return Wait{For: PipelineRate, Until: g.pace.opens()}, true
	}
	return Wait{For: g.name.kind, Limit: g.limit}, true
}
