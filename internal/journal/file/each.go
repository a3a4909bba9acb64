package file

import (
	"errors"
	"fmt"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/frame"
	"weir/internal/journal/sealed"
)

// Visit is what Each calls. Any error ends it.
type Visit struct {
	// Record is given each record in order, with what an index knows of it, and
	// its bytes without its length.
	Record func(r *weir.Record, row sealed.Row, body []byte) error
	// Frame, if set, is given each frame with its records, as they are, and where
	// it is, instead.
	Frame func(g frame.Frame, b []byte, off int64) error
	// Lost, if set, is told what is lost between frames; if not, the log is.
	Lost func(first, last weir.Seq) error
	// Bad, if set, is told that the records of a good frame cannot be decoded from
	// one on; if not, that is an error.
	Bad func(first, last weir.Seq, why error) error
	// Pause is called after each frame.
	Pause func() error
}

// Each goes through the records of a chapter up to its Through. It returns where
// its frames end.
func (c *Chapter) Each(v Visit) (end int64, err error) {
	size := c.End()
	if size == 0 {
		if size, err = c.Disk.Size(); err != nil {
			return 0, unreadable(c.Name, err)
		}
	}
	if v.Lost == nil {
		v.Lost = func(first, last weir.Seq) error {
			c.damaged(first, last)
			return nil
		}
	}
	next := c.Through() + 1
	r := c.Reader(size)
	for r.Off < size && (c.Generation > 0 || r.Next < next) {
		off := r.Off
		g, b, err := r.Read()
		switch {
		case err != nil:
			return 0, err
		case b != nil:
			err = c.visit(&v, g, b, off)
		default:
			first := r.Next
			if err = r.Skip(next); err == nil {
				err = v.Lost(first, max(first, r.Next-1))
			}
		}
		if err == nil {
			err = v.Pause()
		}
		if err != nil {
			return 0, err
		}
	}
	if c.Generation == 0 && r.Next < next {
		err = v.Lost(r.Next, next-1)
	}
	return r.Off, err
}

// EachLeft goes through all records of a sealed chapter that can be read. Of
// frames that are damaged these are the ones that are not themselves: the index
// knows where they are, and their sums.
func (c *Chapter) EachLeft(take func(r *weir.Record, body []byte) error, pause func() error) error {
	_, err := c.Each(Visit{
		Pause:  pause,
		Record: func(r *weir.Record, _ sealed.Row, body []byte) error { return take(r, body) },
		Lost: func(first, last weir.Seq) error {
			c.damaged(first, last)
			return c.eachIndexed(first, last, take)
		},
	})
	return err
}

// eachIndexed goes through the records of a range by their places.
func (c *Chapter) eachIndexed(first, last weir.Seq, take func(r *weir.Record, body []byte) error) error {
	rows := make([]sealed.Row, readRows)
	for place := c.Place(first); ; {
		var n int
		err := c.Ask(func(l Look) (err error) {
			n, err = l.Rows(rows, place)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		for _, row := range rows[:n] {
			if c.Seq(row.Place) > last {
				return nil
			}
			r, err := c.ReadOne(row.Place)
			if err == nil && r != nil {
				err = take(r, journal.AppendRecord(nil, r))
			}
			if err != nil {
				return err
			}
		}
		place = rows[n-1].Place + 1
	}
}

// Reader returns a reader of its frames, of which the file has size bytes.
func (c *Chapter) Reader(size int64) *frame.Reader {
	return frame.NewReader(frame.File{Name: c.Name, ReaderAt: c.Disk, Size: size}, c.Header, c.CRC)
}

func (c *Chapter) visit(v *Visit, g frame.Frame, b []byte, off int64) error {
	if v.Frame != nil {
		return v.Frame(g, b, off)
	}
	err := c.Records(g, b, off, v.Record)
	if bad := new(badRecord); v.Bad != nil && errors.As(err, &bad) && !errors.Is(err, journal.ErrNewer) {
		return v.Bad(bad.seq, g.First+weir.Seq(g.Count)-1, bad.why)
	}
	return err
}

// badRecord is a record of a good frame that cannot be decoded.
type badRecord struct {
	chapter string
	seq     weir.Seq
	why     error
}

// Error names the record.
func (b *badRecord) Error() string {
	return fmt.Sprintf("chapter %s, record %d: %v", b.chapter, b.seq, b.why)
}

// Unwrap returns why.
func (b *badRecord) Unwrap() error { return b.why }

// Records decodes the records of a frame that was read at off, from b.
func (c *Chapter) Records(g frame.Frame, b []byte, off int64, take func(r *weir.Record, row sealed.Row, body []byte) error) error {
	off += frame.Size
	for i := range g.Count {
		row := sealed.Row{Place: c.Place(g.First) + int(i), Offset: off, At: g.At}
		body, rest, err := frame.Cut(b)
		var r *weir.Record
		if err == nil {
			r, err = journal.DecodeRecord(body)
		}
		if err != nil {
			return &badRecord{c.Name, c.Seq(row.Place), err}
		}
		r.Seq, r.At = c.Seq(row.Place), g.At
		row.Identity, row.Sum = r.Identity(), frame.Sum(body)
		if err := take(r, row, body); err != nil {
			return err
		}
		off += int64(len(b) - len(rest))
		b = rest
	}
	return nil
}
