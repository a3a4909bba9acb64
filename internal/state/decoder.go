package state

import (
	"encoding/binary"

	"weir"
)

// decoder reads a blob from front to back. After the first fault all reads give
// zero, and end reports it.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) form() {
	if d.byte() != form {
		d.fail()
	}
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return weir.E("decode row", weir.Internal, "%w", errForm)
	}
	return nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a number of things that take at least the given bytes each, so
// that a damaged one cannot ask for more memory than the row has bytes.
func (d *decoder) count(least int) int {
	n := d.uint()
	if n > uint64(len(d.b)/least) {
		d.fail()
		return 0
	}
	return int(n)
}

// take returns the next n bytes, which are part of the blob.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string { return string(d.take(d.uint())) }

func (d *decoder) members() []weir.Member {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	members := make([]weir.Member, n)
	var last weir.Member
	for i := range members {
		last.Time += weir.Time(d.int())
		last.Seq += weir.Seq(d.int())
		members[i] = last
	}
	return members
}
