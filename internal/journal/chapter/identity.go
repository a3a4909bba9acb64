package chapter

import (
	"encoding/binary"
	"sync"

	"weir"
)

// identities is a chapter's table of fingerprints: open addressing, cut into
// segments so that growing one never stops an append for long.
type identities struct {
	mu       sync.RWMutex // guards segments
	segments [128]segment
}

// segment is one open-addressing table. Its size is a power of two.
type segment struct {
	ids    []weir.Identity
	places []uint32 // place in the chapter + 1; 0 is a free slot
	used   int
}

// find returns the place of the record with an identity. The caller holds the lock.
func (t *identities) findLocked(id weir.Identity) (place int, ok bool) {
	s := &t.segments[id[0]>>1]
	if s.used == 0 {
		return 0, false
	}
	for i := s.slot(id); s.places[i] != 0; i = s.after(i) {
		if s.ids[i] == id {
			return int(s.places[i] - 1), true
		}
	}
	return 0, false
}

// addLocked takes in an identity that is not there.
func (t *identities) addLocked(id weir.Identity, place int) {
	s := &t.segments[id[0]>>1]
	if s.used*4 >= len(s.ids)*3 {
		s.grow()
	}
	s.put(id, uint32(place+1))
}

func (s *segment) slot(id weir.Identity) int {
	return int(binary.LittleEndian.Uint64(id[8:])) & (len(s.ids) - 1)
}

func (s *segment) after(i int) int { return (i + 1) & (len(s.ids) - 1) }

func (s *segment) put(id weir.Identity, place uint32) {
	i := s.slot(id)
	for s.places[i] != 0 {
		i = s.after(i)
	}
	s.ids[i], s.places[i] = id, place
	s.used++
}

func (s *segment) grow() {
	old := *s
	size := max(16, 2*len(old.ids))
	*s = segment{ids: make([]weir.Identity, size), places: make([]uint32, size)}
	for i, place := range old.places {
		if place != 0 {
			s.put(old.ids[i], place)
		}
	}
}

func (t *identities) count() (n int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range t.segments {
		n += t.segments[i].used
	}
	return n
}
