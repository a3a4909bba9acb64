package lane

import "weir"

// waitingCount returns how many runs wait, for time, gates or their turn.
func (s *Set) waitingCount() int {
	n := len(s.waiting)
	for id, t := range s.tickets {
		if t.pos != absent && !s.isInLane(id) {
			n++
		}
	}
	return n
}

// runningCount returns how many runs are being tried.
func (s *Set) runningCount() int { return len(s.running) }

// adopt makes a run take places, whatever the limits are.
func (s *Set) adopt(id weir.RunID, name weir.Lane) {
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
	if at.origin != nil {
		s.goOutside(1)
		s.take(at.origin)
	}
	s.running[id] = running{project: p, places: at}
}
