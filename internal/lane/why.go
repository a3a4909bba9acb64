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
)

var stopNames = [...]string{
	Turn: "turn", NotDue: "due", PipelineLimit: "pipeline limit", KeyLimit: "key limit",
	OriginLimit: "origin limit", OpenBreaker: "breaker",
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
	Until weir.Time // NotDue: its due time; OpenBreaker: the next probe, none while one is under way
	Limit int       // of the gate that is full
}

// Why returns what a waiting run waits for, as of the latest time told, and
// false for a run that does not wait.
func (s *Set) Why(id weir.RunID) (Wait, bool) {
	i, ok := s.waiting[id]
	if !ok {
		return Wait{}, false
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
	}
	return Wait{For: g.name.kind, Limit: g.limit}, true
}
