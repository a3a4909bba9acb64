package chapter

import (
	"context"

	"weir"
	"weir/internal/journal/file"
	"weir/internal/journal/frame"
	"weir/internal/journal/sealed"
	"weir/internal/journal/table"
)

// handRecords is how many records are handed to the filler at once.
const handRecords = 1024

// scan reads chapters from first to last into tables.
type scan struct {
	j  *Journal
	f  *file.Chapter
	t  *table.Table
	at weir.Time // of the last record

	pending []*weir.Record // not yet handed over
	bytes   int64
}

// begin gives a chapter an empty table.
func (s *scan) begin(f *file.Chapter) {
	s.hand()
	s.f, s.t = f, &table.Table{}
	s.at = max(s.at, f.At)
}

// active reads the chapter that takes appends, and repairs its end. It returns
// the reader, which is there.
func (s *scan) active(ctx context.Context, f *file.Chapter) (*frame.Reader, error) {
	s.begin(f)
	size, err := f.Disk.Size()
	if err != nil {
		return nil, unreadable(f.Name, err)
	}
	r := f.Reader(size)
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
				"chapter %s is damaged at byte %d, record %d, though it was durable up to byte %d: restore from a backup",
				f.Name, r.Off, r.Next, g.Synced)
		}
		off = past
	}
	if size > r.Off {
		s.j.log.Debug("journal opened", "chapter", f.Name, "end", r.Off, "synced", r.Synced, "head", r.Next-1)
	}
	s.end(r.Off, r.Next-1)
	return r, f.Repair(r.Synced, r.Off)
}

// full reads a chapter that is followed by another. What is damaged is left out,
// and said.
func (s *scan) full(ctx context.Context, f *file.Chapter) error {
	s.begin(f)
	end, err := f.Each(file.Visit{Pause: ctx.Err, Frame: s.take})
	if err != nil {
		return err
	}
	s.t.Pad(f.Place(f.Through())+1, s.at)
	s.end(end, f.Through())
	return nil
}

// end makes the table that of the chapter.
func (s *scan) end(end int64, through weir.Seq) {
	s.f.Grow(end, through)
	s.f.Fill(s.t)
}

// take takes in the records of a good frame.
func (s *scan) take(g frame.Frame, b []byte, off int64) error {
	s.at = g.At
	if place := s.f.Place(g.First); place > s.t.Count() { // after what damage took
		s.hand()
		s.t.Pad(place, g.At)
	}
	s.t.Identities.Lock()
	defer s.t.Identities.Unlock()
	var offsets []int64
	err := s.f.Records(g, b, off, func(r *weir.Record, row sealed.Row, _ []byte) error {
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
		s.j.tail.Add(s.pending, s.bytes)
	}
	last := s.f.First - 1
	if n := len(s.pending); n > 0 {
		last = s.pending[n-1].Seq
	}
	s.j.filler.Hand(table.Durable{Table: s.t, First: s.f.First, Records: s.pending, Last: last})
	s.pending, s.bytes = nil, 0
}
