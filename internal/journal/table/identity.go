package table

import (
	"encoding/binary"
	"sync"

	"weir"
)

// Identities is a chapter's table of fingerprints: open addressing over half of
// a fingerprint each, so that asking for one that is not there, as nearly all
// are not, looks at one place in memory. The table is cut into segments so that
// growing one never stops an append for long.
type Identities struct {
	mu       sync.RWMutex // guards all below
	segments [128]segment
	ids      [][]weir.Identity // by place in the chapter
	count    int
}

// segment is one open-addressing table.
type segment struct {
	slots []uint64 // half << 32 | place + 1; 0 is free; a power of two
	used  int
}

// halfOf returns the bits of an identity that a slot holds. The segment is
// chosen by others.
func halfOf(id weir.Identity) uint64 { return uint64(binary.LittleEndian.Uint32(id[8:])) }

func (t *Identities) segmentOf(id weir.Identity) *segment { return &t.segments[id[0]>>1] }

// Lock keeps others out while a commit takes identities in.
func (t *Identities) Lock() { t.mu.Lock() }

// Unlock ends Lock.
func (t *Identities) Unlock() { t.mu.Unlock() }

// FindLocked returns the place of the record with an identity.
func (t *Identities) FindLocked(id weir.Identity) (place int, ok bool) {
	s, half := t.segmentOf(id), halfOf(id)
	if s.used == 0 {
		return 0, false
	}
	for i := s.first(half); s.slots[i] != 0; i = s.after(i) {
		if s.slots[i]>>32 != half {
			continue
		}
		if place := int(uint32(s.slots[i]) - 1); t.ids[place/chunk][place%chunk] == id {
			return place, true
		}
	}
	return 0, false
}

// AddLocked takes in an identity that is not there. Places come in order.
func (t *Identities) AddLocked(id weir.Identity, place int) {
	for place/chunk >= len(t.ids) {
		t.ids = append(t.ids, make([]weir.Identity, chunk))
	}
	t.ids[place/chunk][place%chunk] = id
	s := t.segmentOf(id)
	if s.used*4 >= len(s.slots)*3 {
		s.grow()
	}
	s.put(halfOf(id)<<32 | uint64(place+1))
	s.used++
	t.count++
}

func (s *segment) first(half uint64) int { return int(half) & (len(s.slots) - 1) }

func (s *segment) after(i int) int { return (i + 1) & (len(s.slots) - 1) }

func (s *segment) put(slot uint64) {
	i := s.first(slot >> 32)
	for s.slots[i] != 0 {
		i = s.after(i)
	}
	s.slots[i] = slot
}

func (s *segment) grow() {
	old := s.slots
	s.slots = make([]uint64, max(16, 2*len(old)))
	for _, slot := range old {
		if slot != 0 {
			s.put(slot)
		}
	}
}

// Size returns how many identities there are.
func (t *Identities) Size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count
}
