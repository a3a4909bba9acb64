package state

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"weir"
)

// What no query looks into is one blob per row, in varints behind a byte that
// names the form. Times are whole microseconds; members are kept as differences
// to the one before, a few bytes each. Against JSON the blob of a run is a sixth
// as long, and 0.5 us instead of 15 to write and read (BenchmarkRunBody).

const form = 2

var errForm = errors.New("state: a stored row is damaged or of a newer form")

// AppendRun appends to b what of r is in no column of its own: all but ID,
// Project, State, Pipeline, Due, the lane, Queued, Holds and Firing's Trigger and
// Executions.
func AppendRun(b []byte, r *weir.Run) []byte {
	f := &r.Firing
	b = append(b, form, byte(f.Reason), flag(f.Quiet))
	b = binary.AppendUvarint(b, uint64(r.N))
	b = binary.AppendUvarint(b, uint64(r.Tries))
	b = appendText(b, r.Error)
	b = binary.AppendVarint(b, int64(r.Ended))
	b = binary.AppendUvarint(b, f.Revision)
	b = binary.AppendUvarint(b, f.PipeRev)
	b = appendText(b, f.Key)
	if f.Group.IsZero() {
		b = append(b, 0)
	} else {
		b = append(append(b, 1), f.Group[:]...)
	}
	b = binary.AppendVarint(b, int64(f.Made))
	b = binary.AppendUvarint(b, uint64(f.Chunks))
	b = binary.AppendUvarint(b, uint64(f.Hops))
	b = appendMembers(b, f.Members)
	b = appendText(b, f.Error)
	b = binary.AppendUvarint(b, uint64(len(r.Done)))
	for i := range r.Done {
		b = appendOutcome(b, &r.Done[i])
	}
	return b
}

// DecodeRun sets the fields of r that AppendRun wrote to body.
func DecodeRun(body []byte, r *weir.Run) error {
	d := decoder{b: body}
	d.form()
	f := &r.Firing
	f.Reason, f.Quiet = weir.Reason(d.byte()), d.byte() == 1
	r.N, r.Tries = uint32(d.uint()), int(d.uint())
	r.Error, r.Ended = d.text(), weir.Time(d.int())
	f.Revision, f.PipeRev = d.uint(), d.uint()
	f.Key = d.text()
	if d.byte() == 1 {
		copy(f.Group[:], d.take(uint64(len(f.Group))))
	}
	f.Made = weir.Time(d.int())
	f.Chunks, f.Hops = int(d.uint()), int(d.uint())
	f.Members = d.members()
	f.Error = d.text()
	if n := d.count(outcomeLeast); n > 0 {
		r.Done = make([]weir.StepOutcome, n)
	}
	for i := range r.Done {
		d.outcome(&r.Done[i])
	}
	return d.end()
}

// outcomeLeast is the least number of bytes that an outcome takes.
const outcomeLeast = 9

func appendOutcome(b []byte, o *weir.StepOutcome) []byte {
	b = binary.AppendUvarint(b, uint64(o.Index))
	b = append(b, flag(o.Finished))
	b = binary.AppendVarint(b, int64(o.Took))
	b = binary.AppendUvarint(b, uint64(o.Emitted))
	b = binary.AppendUvarint(b, uint64(o.Acted))
	b = appendText(b, o.Kind)
	b = appendText(b, o.Error)
	b = appendText(b, o.Detail)
	b = binary.AppendUvarint(b, uint64(len(o.Output)))
	return append(b, o.Output...)
}

func (d *decoder) outcome(o *weir.StepOutcome) {
	o.Index = int(d.uint())
	o.Finished = d.byte() == 1
	o.Took = time.Duration(d.int())
	o.Emitted = int(d.uint())
	o.Acted = int(d.uint())
	o.Kind, o.Error, o.Detail = d.text(), d.text(), d.text()
	if out := d.take(d.uint()); len(out) > 0 {
		o.Output = append([]byte(nil), out...)
	}
}

// AppendGroup appends to b what of g is in no column of its own: all but ID,
// Project, Trigger, KeyHash and Due.
func AppendGroup(b []byte, g *weir.Group) []byte {
	b = append(b, form, byte(g.DueReason), flag(g.Quiet)|flag(g.Late)<<1|flag(g.Full)<<2)
	b = binary.AppendUvarint(b, g.Revision)
	b = appendText(b, g.Key)
	for _, t := range [...]weir.Time{g.Opened, g.Joined, g.First, g.Last} {
		b = binary.AppendVarint(b, int64(t))
	}
	b = binary.AppendUvarint(b, uint64(g.Count))
	b = binary.AppendUvarint(b, uint64(g.Hops))
	b = binary.AppendUvarint(b, uint64(g.Chunks))
	b = binary.AppendUvarint(b, uint64(len(g.Have)))
	for _, n := range g.Have {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = appendText(b, JoinExecutions(g.Executions))
	return appendMembers(b, g.Tail)
}

// DecodeGroup sets the fields of g that AppendGroup wrote to body.
func DecodeGroup(body []byte, g *weir.Group) error {
	d := decoder{b: body}
	d.form()
	g.DueReason = weir.Reason(d.byte())
	flags := d.byte()
	g.Quiet, g.Late, g.Full = flags&1 != 0, flags&2 != 0, flags&4 != 0
	g.Revision, g.Key = d.uint(), d.text()
	for _, t := range [...]*weir.Time{&g.Opened, &g.Joined, &g.First, &g.Last} {
		*t = weir.Time(d.int())
	}
	g.Count, g.Hops, g.Chunks = int(d.uint()), int(d.uint()), int(d.uint())
	if n := d.count(1); n > 0 {
		g.Have = make([]int, n)
	}
	for i := range g.Have {
		g.Have[i] = int(d.uint())
	}
	g.Executions = SplitExecutions(d.text())
	g.Tail = d.members()
	return d.end()
}

// AppendChunk appends the members of a chunk to b.
func AppendChunk(b []byte, members []weir.Member) []byte {
	return appendMembers(append(b, form), members)
}

// DecodeChunk reads what AppendChunk wrote.
func DecodeChunk(body []byte) ([]weir.Member, error) {
	d := decoder{b: body}
	d.form()
	members := d.members()
	return members, d.end()
}

// JoinExecutions makes one text of executions, which contain no line break, so
// that SQL can look for one.
func JoinExecutions(executions []string) string { return strings.Join(executions, "\n") }

// SplitExecutions undoes JoinExecutions.
func SplitExecutions(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func appendMembers(b []byte, members []weir.Member) []byte {
	b = binary.AppendUvarint(b, uint64(len(members)))
	var last weir.Member
	for _, m := range members {
		b = binary.AppendVarint(b, int64(m.Time-last.Time))
		b = binary.AppendVarint(b, int64(m.Seq-last.Seq))
		last = m
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}
