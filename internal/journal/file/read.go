package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/frame"
	"weir/internal/journal/sealed"
)

const (
	// readSize is about how many bytes one read of a file takes in, and readRows
	// how many records at most.
	readSize = 256 << 10
	readRows = 1024
	// pointSize is what is read for one record at first.
	pointSize = 4096
)

// ReadFrom returns records of a chapter from a place on, none past high, and the
// place to go on from. Lost ones are left out.
func (c *Chapter) ReadFrom(place, limit int, high weir.Seq) (records []*weir.Record, next int, err error) {
	rows := make([]sealed.Row, min(limit, readRows)+1) // one more than is read tells where the last ends
	var n int
	err = c.Ask(func(l Look) (err error) {
		n, err = l.Rows(rows, place)
		return err
	})
	next = c.Place(c.Through()) + 1
	if err != nil || n == 0 {
		return nil, next, err
	}
	end := c.End()
	if n == len(rows) {
		n--
		next = rows[n].Place
		end = rows[n].Offset
	}
	for n > 0 && c.Seq(rows[n-1].Place) > high {
		n--
		end = rows[n].Offset
	}
	for i := 1; i < n; i++ {
		if rows[i].Offset-rows[0].Offset >= readSize {
			n, next, end = i, rows[i].Place, rows[i].Offset
		}
	}
	if n == 0 {
		return nil, next, nil
	}
	records, err = c.readRows(rows[:n], end)
	return records, next, err
}

// readRows reads what rows say, which is all below end.
func (c *Chapter) readRows(rows []sealed.Row, end int64) ([]*weir.Record, error) {
	from := rows[0].Offset
	end = min(end, rows[len(rows)-1].Offset+frame.RecordSize+frame.Max)
	b := make([]byte, end-from)
	if n, err := c.Disk.ReadAt(b, from); n < len(b) {
		return nil, weir.E("read journal", weir.Unavailable, "chapter %s: %w", c.Name, err)
	}
	records := make([]*weir.Record, 0, len(rows))
	for i := range rows {
		r, err := c.decode(&rows[i], b[rows[i].Offset-from:])
		if err != nil {
			return nil, err
		}
		if r != nil {
			records = append(records, r)
		}
	}
	return records, nil
}

// ReadOne returns the record at a place, nil where there is none.
func (c *Chapter) ReadOne(place int) (*weir.Record, error) {
	var rows [1]sealed.Row
	err := c.Ask(func(l Look) error {
		n, err := l.Rows(rows[:], place)
		if n == 0 {
			rows[0].Place = -1
		}
		return err
	})
	if err != nil || rows[0].Place != place || rows[0].Offset == 0 {
		return nil, err
	}
	b := make([]byte, pointSize)
	n, err := c.Disk.ReadAt(b, rows[0].Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, weir.E("read journal", weir.Unavailable, "chapter %s: %w", c.Name, err)
	}
	b = b[:n]
	switch need, ok := frame.Needs(b); {
	case ok && need <= n:
		b = bytes.Clone(b[:need]) // the record keeps it
	case ok:
		b = make([]byte, need)
		if n, err = c.Disk.ReadAt(b, rows[0].Offset); err != nil && !errors.Is(err, io.EOF) {
			return nil, weir.E("read journal", weir.Unavailable, "chapter %s: %w", c.Name, err)
		}
		b = b[:n]
	}
	return c.decode(&rows[0], b)
}

// decode reads the record of a row, which begins b. It returns nil where damage
// took it, which only the rows of an index tell.
func (c *Chapter) decode(row *sealed.Row, b []byte) (*weir.Record, error) {
	seq := c.Seq(row.Place)
	body, _, err := frame.Cut(b)
	if row.Sum != 0 && (err != nil || frame.Sum(body) != row.Sum) {
		c.damaged(seq, seq)
		return nil, nil
	}
	var r *weir.Record
	if err == nil {
		r, err = journal.DecodeRecord(body)
	}
	if err != nil {
		return nil, fmt.Errorf("chapter %s, record %d: %w", c.Name, seq, err)
	}
	r.Seq, r.At = seq, row.At
	return r, nil
}
