package lane

import "weir"

// waitingCount returns how many runs wait, for time, gates or their turn.
func (s *Set) waitingCount() int {
	n := s.waiting.count
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
func (s *Set) adopt(id weir.RunID, name weir.Lane) { s.Adopt(Run{ID: id, Lane: name}) }
