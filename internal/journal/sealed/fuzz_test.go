package sealed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"weir"
)

// signed makes the checksums of hostile pages right.
func signed(b []byte, s salt) *bytes.Reader {
	b = append([]byte(nil), b[:len(b)/pageSize*pageSize]...)
	for page := 0; (page+1)*pageSize <= len(b); page++ {
		p := b[page*pageSize:][:pageSize]
		binary.LittleEndian.PutUint32(p[payload:], s.sum(page, p[:payload]))
	}
	return bytes.NewReader(b)
}

// file is a file in memory.
type file struct{ b []byte }

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	return copy(f.b[off:], p), nil
}

func damagedOrNil(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func FuzzHostileIndex(f *testing.F) {
	of := Chapter{ID: 5}
	for _, n := range []int{0, 3, 300} {
		d := &file{}
		b := NewBuilder(d, of)
		for i := range n {
			row := Row{Place: 2 * i, At: weir.Time(i), Offset: 9, Identity: weir.Identity{byte(i), 1}}
			if err := b.Add(row, []uint64{7, uint64(i) << 60}); err != nil {
				f.Fatal(err)
			}
		}
		if err := b.Finish(func() error { return nil }); err != nil {
			f.Fatal(err)
		}
		f.Add(d.b, uint64(7), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, hash uint64, place int) {
		x, err := Open("hostile.index", signed(b, saltOf(of)), of)
		if err != nil {
			damagedOrNil(t, err)
			return
		}
		places := make([]int, 40)
		for high := x.Last(); ; {
			n, err := x.Find(places, hash, place, high)
			damagedOrNil(t, err)
			if n < len(places) {
				break
			}
			high = places[n-1] - 1
		}
		rank, err := x.Rank(place)
		damagedOrNil(t, err)
		if rank < 0 || rank > x.Count() {
			t.Errorf("rank %d of %d", rank, x.Count())
		}
		if rank, err = x.FirstAt(weir.Time(place)); rank < 0 || rank > x.Count() {
			t.Errorf("first at rank %d of %d", rank, x.Count())
		}
		damagedOrNil(t, err)
		_, err = x.Rows(make([]Row, 300), rank)
		damagedOrNil(t, err)
		_, _, err = x.Row(place)
		damagedOrNil(t, err)
		_, _, err = x.Identity(weir.Identity{byte(place), 1})
		damagedOrNil(t, err)
		damagedOrNil(t, x.Check(func() error { return nil }))
	})
}

func FuzzHostileFilter(f *testing.F) {
	id := [16]byte{1}
	d := &file{}
	small := &Filter{capacity: 100, words: make([]uint64, blocksFor(100)*blockWords)}
	if err := small.Write(d, id, func() error { return nil }); err != nil {
		f.Fatal(err)
	}
	f.Add(d.b, uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, n uint64) {
		x, err := OpenFilter("hostile.filter", signed(b, filterSalt(id)), id)
		if err != nil {
			damagedOrNil(t, err)
			return
		}
		var one weir.Identity
		binary.LittleEndian.PutUint64(one[:], n)
		x.May(one)
	})
}
