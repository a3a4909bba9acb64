// Package table is where the records of a chapter are while it has no index: in
// memory. It answers what the index of a sealed chapter answers, for chapters
// that grow.
package table

import (
	"slices"
	"sync"

	"weir"
	"weir/internal/journal/sealed"
)

// chunk is how many records one slice of a table covers.
const chunk = 1 << 14

// Table knows the place of every record of a chapter, counted from its first.
// Its methods may be called at the same time, by one writer.
type Table struct {
	Identities Identities
	links      links

	mu      sync.RWMutex // guards all below
	offsets [][]uint32   // by place; 0 is none
	marks   []mark       // where at changes
	count   int
}

// mark says that from a place on records have an at.
type mark struct {
	place int
	at    weir.Time
}

// Add takes in the next records, which have one at and lie at offsets.
func (t *Table) Add(at weir.Time, offsets ...int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.markLocked(at)
	for _, off := range offsets {
		t.addLocked(off)
	}
}

// Pad takes in places that hold no record, up to the one at place.
func (t *Table) Pad(place int, at weir.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count >= place {
		return
	}
	t.markLocked(at)
	for t.count < place {
		t.addLocked(0)
	}
}

func (t *Table) addLocked(offset int64) {
	if t.count%chunk == 0 {
		t.offsets = append(t.offsets, make([]uint32, 0, chunk))
	}
	last := &t.offsets[len(t.offsets)-1]
	*last = append(*last, uint32(offset))
	t.count++
}

// markLocked says that records from the next on have at.
func (t *Table) markLocked(at weir.Time) {
	if n := len(t.marks); n > 0 {
		last := &t.marks[n-1]
		if last.place == t.count { // nothing came with it
			last.at = at
		}
		if last.at == at {
			return
		}
	}
	t.marks = append(t.marks, mark{t.count, at})
}

// Count returns how many places there are.
func (t *Table) Count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count
}

// Entries returns how many entries its look-ups have.
func (t *Table) Entries() int { return t.links.size() }

// Rows fills dst with the rows from a place on, and returns how many there were.
// They have no identities.
func (t *Table) Rows(dst []sealed.Row, place int) (int, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if place < 0 || place >= t.count {
		return 0, nil
	}
	n := 0
	for m := t.markLockedOf(place); place < t.count && n < len(dst); place++ {
		for m+1 < len(t.marks) && t.marks[m+1].place <= place {
			m++
		}
		if off := t.offsets[place/chunk][place%chunk]; off != 0 {
			dst[n] = sealed.Row{Place: place, Offset: int64(off), At: t.marks[m].at}
			n++
		}
	}
	return n, nil
}

// markLockedOf returns the index of the mark that covers a place.
func (t *Table) markLockedOf(place int) int {
	i, found := slices.BinarySearchFunc(t.marks, place, func(m mark, p int) int { return m.place - p })
	if !found {
		i--
	}
	return i
}

// FirstAt returns the first place whose record was accepted at or after at, the
// one past the last where there is none.
func (t *Table) FirstAt(at weir.Time) (int, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(t.marks, at, func(m mark, u weir.Time) int {
		if m.at < u {
			return -1
		}
		return 1
	})
	if i == len(t.marks) {
		return t.count, nil
	}
	return t.marks[i].place, nil
}

// Times returns when the first and the last record were accepted.
func (t *Table) Times() (first, last weir.Time) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.marks) > 0 {
		first, last = t.marks[0].at, t.marks[len(t.marks)-1].at
	}
	return first, last
}

// Identity returns the row of the record with an identity. One that was taken
// in and not yet added is not there.
func (t *Table) Identity(id weir.Identity) (row sealed.Row, ok bool, err error) {
	t.Identities.mu.RLock()
	place, ok := t.Identities.FindLocked(id)
	t.Identities.mu.RUnlock()
	if !ok {
		return row, false, nil
	}
	var rows [1]sealed.Row
	n, err := t.Rows(rows[:], place)
	return rows[0], n > 0 && rows[0].Place == place, err
}

// Before returns up to n places that hold records, the last at or before place,
// in order.
func (t *Table) Before(place, n int) ([]int, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var places []int
	for place = min(place, t.count-1); place >= 0 && len(places) < n; place-- {
		if t.offsets[place/chunk][place%chunk] != 0 {
			places = append(places, place)
		}
	}
	slices.Reverse(places)
	return places, nil
}
