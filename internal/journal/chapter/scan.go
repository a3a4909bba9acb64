package chapter

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"weir"
)

const (
	// scanWindow is how much of a chapter is read at once.
	scanWindow = mib
	// handRecords is how many records are handed to the indexer at once.
	handRecords = 1024
)

// scan reads chapters from first to last and fills their tables.
type scan struct {
	j *Journal

	f      *file
	size   int64     // of the chapter's file
	off    int64     // of the frame that is next
	before uint32    // CRC of the frame before it
	synced int64     // greatest of the chapter's frames
	at     weir.Time // of the last record
	window []byte    // belongs to the records in it
	start  int64     // of the window

	pending []*weir.Record // not yet handed over
	bytes   int64
}

// active reads the chapter that takes appends, and repairs its end.
func (s *scan) active(ctx context.Context, f *file) error {
	if err := s.walk(ctx, f); err != nil {
		return err
	}
	for off := s.off; ; {
		past, g, ok, err := s.search(off + 1)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if g.synced > s.off {
			return weir.E("open journal", weir.Unavailable,
				"chapter %s is damaged at byte %d, record %d, though it was durable up to byte %d: see weir verify",
				f.name, s.off, f.next(), g.synced)
		}
		off = past
	}
	if s.size > s.off {
		s.j.log.Debug("journal opened", "chapter", f.name, "end", s.off, "synced", s.synced, "head", f.next()-1)
	}
	return repair(f, s.synced, s.off)
}

// full reads a chapter that is followed by another, whose first record is next.
// What is damaged is left out, and said.
func (s *scan) full(ctx context.Context, f *file, next weir.Seq) error {
	if err := s.walk(ctx, f); err != nil {
		return err
	}
	for f.next() < next {
		bad, lost := s.off, f.next()
		off, g, ok, err := s.search(s.off + 1)
		for ok && err == nil && (g.first < lost || g.first > next) {
			off, g, ok, err = s.search(off + 1)
		}
		if err != nil {
			return err
		}
		if !ok {
			off, g = s.size, frame{first: next, at: s.at}
		}
		s.hand()
		f.lose(g.first, s.at)
		s.j.log.Error("chapter damaged, records lost",
			"chapter", f.name, "byte", bad, "first", lost, "last", g.first-1)
		s.off, s.before = off, g.before
		if err := s.frames(ctx); err != nil {
			return err
		}
	}
	if f.next() > next {
		return weir.E("open journal", weir.Unavailable, "chapter %s reaches into the next one", f.name)
	}
	return nil
}

// walk reads a chapter from its beginning to its first frame that is not good.
func (s *scan) walk(ctx context.Context, f *file) (err error) {
	s.hand()
	s.f, s.off, s.before, s.synced = f, dataStart, f.crc, dataStart
	s.at = max(s.at, f.header.at)
	s.window = nil
	if s.size, err = f.disk.Size(); err != nil {
		return unreadable(f.name, err)
	}
	return s.frames(ctx)
}

// frames reads good frames from off on.
func (s *scan) frames(ctx context.Context) error {
	for {
		g, b, err := s.frameAt(s.off)
		if err != nil {
			return err
		}
		if b == nil || g.before != s.before || g.first != s.f.next() || g.at < s.at {
			return nil
		}
		if err := s.take(g, b[frameHeader:]); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s.off += g.size()
		s.f.end, s.before, s.at, s.synced = s.off, g.crc, g.at, max(s.synced, g.synced)
	}
}

// frameAt returns the frame at off with its bytes, nil where there is no good
// one.
func (s *scan) frameAt(off int64) (frame, []byte, error) {
	b, err := s.view(off, frameHeader)
	if err != nil {
		return frame{}, nil, err
	}
	g, ok := readFrameHeader(b, s.f.id)
	if !ok || off+g.size() > s.size {
		return g, nil, nil
	}
	b, err = s.view(off, int(g.size()))
	if err != nil || !g.whole(b) {
		return g, nil, err
	}
	return g, b, nil
}

// view returns n bytes at off, fewer at the end of the file. They are never
// written to again, so that records may keep parts of them.
func (s *scan) view(off int64, n int) ([]byte, error) {
	if end := s.start + int64(len(s.window)); off < s.start || off+int64(n) > end {
		b := make([]byte, min(int64(max(n, scanWindow)), max(s.size-off, 0)))
		if _, err := s.f.disk.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
			return nil, unreadable(s.f.name, err)
		}
		s.window, s.start = b, off
	}
	b := s.window[off-s.start:]
	n = min(n, len(b))
	return b[:n:n], nil
}

// search looks for the next good frame of the chapter at or past from.
func (s *scan) search(from int64) (off int64, g frame, ok bool, err error) {
	id := binary.LittleEndian.AppendUint64(nil, s.f.id)
	for at := from; ; {
		b, err := s.view(at, scanWindow)
		if err != nil || len(b) < len(id) {
			return 0, g, false, err
		}
		i := bytes.Index(b, id)
		if i < 0 {
			at += int64(len(b) - len(id) + 1)
			continue
		}
		off = at + int64(i) - 8
		at += int64(i) + 1
		if off < from {
			continue
		}
		g, b, err := s.frameAt(off)
		if b != nil || err != nil {
			return off, g, b != nil, err
		}
	}
}

// take takes in the records of a good frame.
func (s *scan) take(g frame, b []byte) error {
	f := s.f
	f.mark(g.at)
	for i := range g.count {
		r, err := decode(b)
		if err != nil {
			return fmt.Errorf("chapter %s, record %d: %w", f.name, f.next(), err)
		}
		n := recordHeader + int(binary.LittleEndian.Uint32(b))
		r.Seq, r.At = g.first+weir.Seq(i), g.at
		if id := r.Identity(); id != (weir.Identity{}) {
			f.identities.addLocked(id, f.count)
		}
		f.add(s.off + g.size() - int64(len(b)))
		b = b[n:]
		s.pending, s.bytes = append(s.pending, r), s.bytes+int64(n)
	}
	if len(s.pending) >= handRecords {
		s.hand()
	}
	return nil
}

// hand gives what was read to the tail and the indexer.
func (s *scan) hand() {
	if s.f == nil {
		return
	}
	if len(s.pending) > 0 {
		s.j.tail.add(s.pending, s.bytes)
	}
	s.j.index.queue <- durable{s.f, s.pending, s.f.next() - 1}
	s.pending, s.bytes = nil, 0
}
