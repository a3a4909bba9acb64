package chapter

import (
	"context"
	"fmt"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/frame"
	"weir/internal/journal/sealed"
	"weir/internal/journal/table"
)

// handRecords is how many records are handed to the filler at once.
const handRecords = 1024

// scan reads chapters from first to last into tables.
type scan struct {
	j  *Journal
	f  *file
	t  *table.Table
	at weir.Time // of the last record

	pending []*weir.Record // not yet handed over
	bytes   int64
}

// begin gives a chapter an empty table.
func (s *scan) begin(f *file) {
	s.hand()
	s.f, s.t = f, &table.Table{}
	s.at = max(s.at, f.At)
}

// active reads the chapter that takes appends, and repairs its end. It returns
// the reader, which is there.
func (s *scan) active(ctx context.Context, f *file) (*frame.Reader, error) {
	s.begin(f)
	size, err := f.disk.Size()
	if err != nil {
		return nil, unreadable(f.name, err)
	}
	r := frame.NewReader(f.name, f.disk, size, f.Header, f.crc)
	for {
		off := r.Off
		g, b, err := r.Read()
		if err != nil {
			return nil, err
		}
		if b == nil {
			break
		}
		if err := s.take(g, b, off); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	for off := r.Off; ; {
		past, g, ok, err := r.Search(off + 1)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if g.Synced > r.Off {
			return nil, weir.E("open journal", weir.Unavailable,
				"chapter %s is damaged at byte %d, record %d, though it was durable up to byte %d: see weir verify",
				f.name, r.Off, r.Next, g.Synced)
		}
		off = past
	}
	if size > r.Off {
		s.j.log.Debug("journal opened", "chapter", f.name, "end", r.Off, "synced", r.Synced, "head", r.Next-1)
	}
	s.end(r.Off, r.Next-1)
	return r, repair(f, r.Synced, r.Off)
}

// full reads a chapter that is followed by another. What is damaged is left out,
// and said.
func (s *scan) full(ctx context.Context, f *file) error {
	s.begin(f)
	end, err := f.each(ctx.Err, s.take, func(first, last weir.Seq) error {
		s.hand()
		s.j.damaged(f, first, last)
		return nil
	})
	if err != nil {
		return err
	}
	s.t.Pad(f.place(f.through())+1, s.at)
	s.end(end, f.through())
	return nil
}

// end makes the table that of the chapter.
func (s *scan) end(end int64, last weir.Seq) {
	s.f.end.Store(end)
	s.f.last.Store(uint64(last))
	s.f.table.Store(s.t)
}

// take takes in the records of a good frame.
func (s *scan) take(g frame.Frame, b []byte, off int64) error {
	s.at = g.At
	s.t.Pad(s.f.place(g.First), g.At)
	s.t.Identities.Lock()
	defer s.t.Identities.Unlock()
	var offsets []int64
	err := records(s.f, g, b, off, func(r *weir.Record, row sealed.Row, _ []byte) error {
		if row.Identity != (weir.Identity{}) {
			s.t.Identities.AddLocked(row.Identity, row.Place)
		}
		offsets = append(offsets, row.Offset)
		s.pending = append(s.pending, r)
		return nil
	})
	s.t.Add(g.At, offsets...)
	s.bytes += int64(len(b))
	if len(s.pending) >= handRecords {
		s.hand()
	}
	return err
}

// hand gives what was read to the tail and the filler.
func (s *scan) hand() {
	if s.f == nil {
		return
	}
	if len(s.pending) > 0 {
		s.j.tail.add(s.pending, s.bytes)
	}
	last := s.f.First - 1
	if n := len(s.pending); n > 0 {
		last = s.pending[n-1].Seq
	}
	s.j.filler.Hand(table.Durable{Table: s.t, First: s.f.First, Records: s.pending, Last: last})
	s.pending, s.bytes = nil, 0
}

// each reads the frames of a full chapter in order, and says what is lost
// between them. Pause is called after each frame, and its error ends the
// reading. It returns where the frames end.
func (f *file) each(
	pause func() error, take func(g frame.Frame, b []byte, off int64) error, lost func(first, last weir.Seq) error,
) (end int64, err error) {
	size := f.end.Load()
	if size == 0 {
		if size, err = f.disk.Size(); err != nil {
			return 0, unreadable(f.name, err)
		}
	}
	next := f.through() + 1
	r := frame.NewReader(f.name, f.disk, size, f.Header, f.crc)
	for r.Off < size && (f.Generation > 0 || r.Next < next) {
		off := r.Off
		g, b, err := r.Read()
		switch {
		case err != nil:
			return 0, err
		case b != nil:
			err = take(g, b, off)
		default:
			first := r.Next
			if err = r.Skip(next); err == nil {
				err = lost(first, max(first, r.Next-1))
			}
		}
		if err == nil {
			err = pause()
		}
		if err != nil {
			return 0, err
		}
	}
	if f.Generation == 0 && r.Next < next {
		err = lost(r.Next, next-1)
	}
	return r.Off, err
}

// records decodes the records of a frame at off, with what an index knows of
// each, and its bytes without its length.
func records(f *file, g frame.Frame, b []byte, off int64, take func(r *weir.Record, row sealed.Row, body []byte) error) error {
	off += frame.Size
	for i := range g.Count {
		row := sealed.Row{Place: f.place(g.First) + int(i), Offset: off, At: g.At}
		body, rest, err := frame.Cut(b)
		var r *weir.Record
		if err == nil {
			r, err = journal.DecodeRecord(body)
		}
		if err != nil {
			return fmt.Errorf("chapter %s, record %d: %w", f.name, f.seq(row.Place), err)
		}
		r.Seq, r.At = f.seq(row.Place), g.At
		row.Identity, row.Sum = r.Identity(), frame.Sum(body)
		if err := take(r, row, body); err != nil {
			return err
		}
		off += int64(len(b) - len(rest))
		b = rest
	}
	return nil
}
