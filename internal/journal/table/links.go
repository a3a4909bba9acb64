package table

import "sync"

// links is a chapter's look-up table. A slot holds half of a hash and the
// newest entry under it; entries are chained to the one before. Two values
// whose halves are equal share a chain: whoever reads it verifies.
type links struct {
	mu      sync.RWMutex // guards all below
	slots   []uint64     // half hash << 32 | entry + 1; 0 is free; a power of two
	used    int
	entries [][]entry
	count   int
}

// entry is one record under one hash.
type entry struct {
	before uint32 // the entry before it + 1; 0 is none
	place  uint32 // in the chapter
}

func (l *links) addLocked(hash uint64, place int) {
	if l.used*4 >= len(l.slots)*3 {
		l.grow()
	}
	half := hash >> 32
	i := l.slot(half)
	for l.slots[i] != 0 && l.slots[i]>>32 != half {
		i = (i + 1) & (len(l.slots) - 1)
	}
	before := uint32(l.slots[i])
	if before == 0 {
		l.used++
	}
	if l.count%chunk == 0 {
		l.entries = append(l.entries, make([]entry, 0, chunk))
	}
	last := &l.entries[len(l.entries)-1]
	*last = append(*last, entry{before, uint32(place)})
	l.count++
	l.slots[i] = half<<32 | uint64(l.count)
}

func (l *links) slot(half uint64) int { return int(half) & (len(l.slots) - 1) }

func (l *links) grow() {
	old := l.slots
	l.slots = make([]uint64, max(1024, 2*len(old)))
	for _, s := range old {
		if s == 0 {
			continue
		}
		i := l.slot(s >> 32)
		for l.slots[i] != 0 {
			i = (i + 1) & (len(l.slots) - 1)
		}
		l.slots[i] = s
	}
}

// newest returns the newest entry under a hash, + 1, or 0.
func (l *links) newest(hash uint64) uint32 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.slots) == 0 {
		return 0
	}
	half := hash >> 32
	for i := l.slot(half); l.slots[i] != 0; i = (i + 1) & (len(l.slots) - 1) {
		if l.slots[i]>>32 == half {
			return uint32(l.slots[i])
		}
	}
	return 0
}

// Walk yields the places under a hash in [low, high], newest first, in blocks;
// some may be of other hashes.
func (t *Table) Walk(hash uint64, low, high int) func(dst []int) (places []int, err error) {
	e := t.links.newest(hash)
	return func(dst []int) ([]int, error) {
		dst, e = t.links.walk(dst, e, low, high)
		return dst, nil
	}
}

// walk appends the places from entry e back that are in [low, high], until dst
// is full, and returns where to go on, 0 at the end. A record that has a value
// twice stands there twice, one after the other.
func (l *links) walk(dst []int, e uint32, low, high int) ([]int, uint32) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for e != 0 && len(dst) < cap(dst) {
		at := l.entries[(e-1)/chunk][(e-1)%chunk]
		if int(at.place) < low {
			return dst, 0
		}
		if int(at.place) <= high {
			dst = append(dst, int(at.place))
		}
		e = at.before
	}
	return dst, e
}

func (l *links) size() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.count
}
