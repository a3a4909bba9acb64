package chapter

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

// ask asks a chapter's table or index. An index that is damaged is made anew of
// the chapter.
func (j *Journal) ask(f *file, question func(look) error) error {
	err := question(f.look())
	if !errors.Is(err, sealed.ErrDamaged) {
		return err
	}
	if err = j.mend(j.sealer.ctx, f, err); err != nil {
		return err
	}
	return question(f.look())
}

// readFile returns records of a chapter from a place on, none past high, and the
// place to go on from. Lost ones are left out.
func (j *Journal) readFile(f *file, place, limit int, high weir.Seq) (records []*weir.Record, next int, err error) {
	rows := make([]sealed.Row, min(limit, readRows)+1) // one more than is read tells where the last ends
	var n int
	err = j.ask(f, func(l look) (err error) {
		n, err = l.Rows(rows, place)
		return err
	})
	next = f.place(f.through()) + 1
	if err != nil || n == 0 {
		return nil, next, err
	}
	end := f.end.Load()
	if n == len(rows) {
		n--
		next = rows[n].Place
		end = rows[n].Offset
	}
	for n > 0 && f.seq(rows[n-1].Place) > high {
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
	records, err = j.readRows(f, rows[:n], end)
	return records, next, err
}

// readRows reads what rows say, which is all below end.
func (j *Journal) readRows(f *file, rows []sealed.Row, end int64) ([]*weir.Record, error) {
	from := rows[0].Offset
	end = min(end, rows[len(rows)-1].Offset+frame.RecordSize+frame.Max)
	b := make([]byte, end-from)
	if n, err := f.disk.ReadAt(b, from); n < len(b) {
		return nil, weir.E("read journal", weir.Unavailable, "chapter %s: %w", f.name, err)
	}
	records := make([]*weir.Record, 0, len(rows))
	for i := range rows {
		r, err := j.decode(f, &rows[i], b[rows[i].Offset-from:])
		if err != nil {
			return nil, err
		}
		if r != nil {
			records = append(records, r)
		}
	}
	return records, nil
}

// readOne returns the record at a place, nil where there is none.
func (j *Journal) readOne(f *file, place int) (*weir.Record, error) {
	var rows [1]sealed.Row
	err := j.ask(f, func(l look) error {
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
	n, err := f.disk.ReadAt(b, rows[0].Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, weir.E("read journal", weir.Unavailable, "chapter %s: %w", f.name, err)
	}
	b = b[:n]
	switch need, ok := frame.Needs(b); {
	case ok && need <= n:
		b = bytes.Clone(b[:need]) // the record keeps it
	case ok:
		b = make([]byte, need)
		if n, err = f.disk.ReadAt(b, rows[0].Offset); err != nil && !errors.Is(err, io.EOF) {
			return nil, weir.E("read journal", weir.Unavailable, "chapter %s: %w", f.name, err)
		}
		b = b[:n]
	}
	return j.decode(f, &rows[0], b)
}

// decode reads the record of a row, which begins b. It returns nil where damage
// took it, which only the rows of an index tell.
func (j *Journal) decode(f *file, row *sealed.Row, b []byte) (*weir.Record, error) {
	seq := f.seq(row.Place)
	body, _, err := frame.Cut(b)
	if row.Sum != 0 && (err != nil || frame.Sum(body) != row.Sum) {
		j.damaged(f, seq, seq)
		return nil, nil
	}
	var r *weir.Record
	if err == nil {
		r, err = journal.DecodeRecord(body)
	}
	if err != nil {
		return nil, fmt.Errorf("chapter %s, record %d: %w", f.name, seq, err)
	}
	r.Seq, r.At = seq, row.At
	return r, nil
}

// damaged says that records are lost, once for what readers meet of a chapter.
func (j *Journal) damaged(f *file, first, last weir.Seq) {
	if !f.hurt.Swap(true) {
		j.log.Error("chapter damaged, records lost: see weir verify", "chapter", f.name, "first", first, "last", last)
	}
}
