package lane

import (
	"encoding/binary"
	"iter"
	"math/bits"

	"weir"
)

// finder finds the slot of a waiting run by its id. It is a table with open
// addressing, of 16 bytes or so for each run where a map takes 45, since the id
// itself is in the slot.
type finder struct {
	cells []uint64 // half of the id's hash << 32 | slot + 1; 0 is free; a power of two
	count int
}

const fewCells = 64

// tag is the half of an id's hash that a cell holds. Its lower bits say where
// the cell should be.
func tag(id weir.RunID) uint64 {
	const odd = 0x9e3779b97f4a7c15
	le := binary.LittleEndian
	hi, lo := bits.Mul64(le.Uint64(id[:])^bits.RotateLeft64(le.Uint64(id[8:]), 32), odd)
	return (hi ^ lo) >> 32
}

// cell returns where the cell of an id is, or the free one where it would be.
func (t *finder) cell(s *slots, id weir.RunID) (i int, ok bool) {
	want, mask := tag(id), len(t.cells)-1
	for i = int(want) & mask; t.cells[i] != 0; i = (i + 1) & mask {
		if c := t.cells[i]; c>>32 == want && s.items[uint32(c)-1].id == id {
			return i, true
		}
	}
	return i, false
}

func (t *finder) find(s *slots, id weir.RunID) (slot int32, ok bool) {
	if t.count == 0 {
		return 0, false
	}
	i, ok := t.cell(s, id)
	if !ok {
		return 0, false
	}
	return int32(uint32(t.cells[i]) - 1), true
}

// add takes in the run in a slot, which is not there yet.
func (t *finder) add(s *slots, slot int32) {
	if t.count++; 4*t.count > 3*len(t.cells) {
		t.grow(max(fewCells, 2*len(t.cells)))
	}
	id := s.items[slot].id
	i, _ := t.cell(s, id)
	t.cells[i] = tag(id)<<32 | uint64(slot+1)
}

// remove takes out a run whose slot is not yet given back. The cells behind it
// that were pushed there by others move up, so that no search ends early.
func (t *finder) remove(s *slots, id weir.RunID) {
	gap, ok := t.cell(s, id)
	if !ok {
		return
	}
	t.count--
	mask := len(t.cells) - 1
	for i := (gap + 1) & mask; t.cells[i] != 0; i = (i + 1) & mask {
		home := int(t.cells[i]>>32) & mask
		if (i-home)&mask >= (i-gap)&mask {
			t.cells[gap], gap = t.cells[i], i
		}
	}
	t.cells[gap] = 0
}

// grow makes n cells of those there are.
func (t *finder) grow(n int) {
	old := t.cells
	t.cells = make([]uint64, n)
	for _, c := range old {
		if c == 0 {
			continue
		}
		i := int(c>>32) & (n - 1)
		for t.cells[i] != 0 {
			i = (i + 1) & (n - 1)
		}
		t.cells[i] = c
	}
}

// expect makes room for n runs in all.
func (t *finder) expect(n int) {
	if cells := max(fewCells, 1<<bits.Len(uint(n+n/3))); cells > len(t.cells) {
		t.grow(cells)
	}
}

// all returns the slots of all runs, in no order.
func (t *finder) all() iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for _, c := range t.cells {
			if c != 0 && !yield(int32(uint32(c)-1)) {
				return
			}
		}
	}
}
