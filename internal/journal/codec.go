package journal

import (
	"encoding/binary"
	"errors"
	"math"

	"weir"
)

// Version is the format in which AppendRecord writes. DecodeRecord reads all
// from oldest on:
//
//	2  the first that was released
//	3  an attempt has a verdict
const (
	Version = 3
	oldest  = 2
)

// ErrNewer is in the chain of DecodeRecord's error when the record was written
// by a newer program. Who meets it must stop rather than skip.
var ErrNewer = errors.New("written by a newer version of weir")

// What a record holds: the byte after the version.
const (
	holdsNothing byte = iota // a tick
	holdsEvent
	holdsChange
	holdsApply
	holdsStart
)

// AppendRecord appends the record's bytes to dst: all of it but Seq and At,
// which the engine keeps beside it.
//
// The layout is: version, what it holds, project, length of all bodies, the
// attributes, the bodies (data of an event, outputs of steps, definitions), so
// that reading needs one string for all attributes and none for bodies.
func AppendRecord(dst []byte, r *weir.Record) []byte {
	e := encoder{b: append(dst, Version)}
	switch {
	case r.Event != nil:
		data := inlineData(r.Event)
		e.start(holdsEvent, r.Project, len(data))
		e.event(r.Event)
		return append(e.b, data...)
	case r.Change != nil:
		e.start(holdsChange, r.Project, outputSize(r.Change))
		e.change(r.Change)
		return appendOutputs(e.b, r.Change)
	case r.Apply != nil:
		e.start(holdsApply, r.Project, bodySize(r.Apply))
		e.apply(r.Apply)
		return appendBodies(e.b, r.Apply)
	case r.Start != nil:
		e.start(holdsStart, r.Project, 0)
		e.order(r.Start)
	default:
		e.start(holdsNothing, r.Project, 0)
	}
	return e.b
}

// DecodeRecord reads what AppendRecord wrote, whole. Seq and At are left zero.
// Bodies are parts of b, which therefore belongs to the record from then on.
// Bytes that are no record give an Internal error, those of a newer format one
// that is ErrNewer.
func DecodeRecord(b []byte) (*weir.Record, error) {
	if len(b) < 2 {
		return nil, weir.E("decode record", weir.Internal, "%d bytes are too few", len(b))
	}
	if b[0] > Version {
		return nil, weir.E("decode record", weir.Unavailable,
			"format %d, and this program reads up to %d: %w", b[0], Version, ErrNewer)
	}
	if b[0] < oldest {
		return nil, weir.E("decode record", weir.Internal, "format %d was never released, and this program reads from %d on", b[0], oldest)
	}
	d := decoder{version: b[0], b: b[2:]}
	project, bodies := d.number(), d.number()
	if d.bad || project > math.MaxUint32 || bodies > uint64(len(d.b)) {
		return nil, corrupt(b)
	}
	split := len(d.b) - int(bodies)
	d.b, d.bodies = d.b[:split:split], d.b[split:]
	d.text = string(d.b)
	r := d.record(b[1])
	if r == nil || d.bad || len(d.b) > 0 || len(d.bodies) > 0 {
		return nil, corrupt(b)
	}
	r.Project = weir.ProjectID(project)
	return r, nil
}

func corrupt(b []byte) error {
	return weir.E("decode record", weir.Internal, "%d bytes beginning %x are no record", len(b), b[:min(len(b), 16)])
}

// record reads the attributes of what the record holds, nil for a kind of
// record that is unknown. What points to what is allocated together.
func (d *decoder) record(holds byte) *weir.Record {
	switch holds {
	case holdsNothing:
		return &weir.Record{}
	case holdsEvent:
		both := &struct {
			r weir.Record
			e weir.Event
		}{}
		both.r.Event = &both.e
		d.event(&both.e)
		return &both.r
	case holdsChange:
		both := &struct {
			r weir.Record
			c weir.Change
		}{}
		both.r.Change = &both.c
		d.change(&both.c)
		return &both.r
	case holdsApply:
		return &weir.Record{Apply: d.apply()}
	case holdsStart:
		return &weir.Record{Start: d.order()}
	}
	return nil
}

// encoder appends numbers and texts. Numbers are varints, texts have their
// length before them.
type encoder struct{ b []byte }

func (e *encoder) start(holds byte, project weir.ProjectID, bodies int) {
	e.b = append(e.b, holds)
	e.number(uint64(project))
	e.number(uint64(bodies))
}

func (e *encoder) number(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) signed(n int64)  { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) byte(v byte)     { e.b = append(e.b, v) }

func (e *encoder) string(s string) {
	e.b = binary.AppendUvarint(e.b, uint64(len(s)))
	e.b = append(e.b, s...)
}

// id writes one byte for no id.
func (e *encoder) id(u [16]byte) {
	if u == [16]byte{} {
		e.b = append(e.b, 0)
		return
	}
	e.b = append(e.b, 1)
	e.b = append(e.b, u[:]...)
}

// body writes a body's length; the body itself comes after all attributes.
func (e *encoder) body(b []byte) {
	if b == nil {
		e.number(0)
		return
	}
	e.number(uint64(len(b)) + 1)
}

func (e *encoder) flag(v bool) {
	if v {
		e.byte(1)
		return
	}
	e.byte(0)
}

// decoder reads what encoder wrote. After the first thing that cannot be, bad
// is set and everything reads as zero.
type decoder struct {
	version byte
	b       []byte // attributes not yet read
	text    string // all attributes, of which strings are parts
	bodies  []byte // bodies not yet read
	bad     bool
}

func (d *decoder) fail() {
	d.bad, d.b = true, nil
}

func (d *decoder) number() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := d.b[0]
		d.b = d.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) flag() bool { return d.byte() != 0 }

func (d *decoder) string() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	from := len(d.text) - len(d.b)
	d.b = d.b[n:]
	return d.text[from : from+int(n)]
}

func (d *decoder) id() (u [16]byte) {
	if !d.flag() {
		return u
	}
	if len(d.b) < len(u) {
		d.fail()
		return u
	}
	copy(u[:], d.b)
	d.b = d.b[len(u):]
	return u
}

func (d *decoder) body() []byte {
	n := d.number()
	if n == 0 {
		return nil
	}
	n--
	if n > uint64(len(d.bodies)) {
		d.fail()
		return nil
	}
	v := d.bodies[:n:n]
	d.bodies = d.bodies[n:]
	return v
}

// count reads how many elements follow, each of at least size bytes: a number
// that the bytes left cannot hold allocates nothing.
func (d *decoder) count(size int) int {
	n := d.number()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}
