package chapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/disk"
	"weir/internal/journal/frame"
	"weir/internal/journal/manifest"
	"weir/internal/journal/sealed"
)

// Check reads everything that was in the journal when it began, and says what is
// not as it was written: frames and records of every chapter, indexes, which
// must be those of their chapters byte for byte, and filters. Each ends it by an
// error, which it returns.
func (j *Journal) Check(ctx context.Context, each func(journal.Fault) error) error {
	if err := lock(ctx, j.shape); err != nil {
		return err
	}
	defer func() { <-j.shape }()
	e := j.use()
	defer j.done(e)
	for _, f := range e.files {
		if err := j.checkChapter(ctx, f, each); err != nil {
			return err
		}
	}
	for _, name := range j.manifest.Filters {
		d, err := j.fs.Open(name)
		if err == nil {
			_, err = sealed.OpenFilter(name, d, j.dataID)
			err = errors.Join(err, d.Close())
		}
		if err != nil {
			if err := each(journal.Fault{File: name, What: err.Error()}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *Journal) checkChapter(ctx context.Context, f *file, each func(journal.Fault) error) error {
	same := &comparison{}
	if x := f.index.Load(); x != nil {
		same.with = x.disk
	}
	b := sealed.NewBuilder(same, sealed.Chapter{DataID: f.DataID, ID: f.ID})
	var hashes []uint64
	_, err := f.each(ctx.Err, func(g frame.Frame, body []byte, off int64) error {
		var last weir.Seq
		err := records(f, g, body, off, func(r *weir.Record, row sealed.Row, _ []byte) error {
			last = r.Seq
			hashes = journal.AppendHashes(hashes[:0], r)
			return b.Add(row, hashes)
		})
		if err == nil || errors.Is(err, journal.ErrNewer) {
			return err
		}
		first := max(g.First, last+1)
		return each(journal.Fault{File: f.name, First: first, Last: g.First + weir.Seq(g.Count) - 1, What: err.Error()})
	}, func(first, last weir.Seq) error {
		return each(journal.Fault{File: f.name, First: first, Last: last, What: "these records are not as they were written"})
	})
	if err == nil {
		err = b.Finish(ctx.Err)
	}
	if err != nil || same.with == nil || same.differs == 0 {
		return err
	}
	return each(journal.Fault{
		File: f.indexName(), First: f.First, Last: f.through(),
		What: fmt.Sprintf("%d pages are not what the chapter says; without the file, it is made anew at the next start", same.differs),
	})
}

// comparison is a file whose writer finds out whether it writes what another
// file has.
type comparison struct {
	with    io.ReaderAt
	differs int
}

const comparedPage = 4096

// WriteAt compares.
func (c *comparison) WriteAt(b []byte, off int64) (int, error) {
	n := len(b)
	if c.with == nil {
		return n, nil
	}
	there := make([]byte, len(b))
	if _, err := c.with.ReadAt(there, off); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	for ; len(b) > 0; b, there = b[min(comparedPage, len(b)):], there[min(comparedPage, len(b)):] {
		if !bytes.Equal(b[:min(comparedPage, len(b))], there[:min(comparedPage, len(b))]) {
			c.differs++
		}
	}
	return n, nil
}

// Snapshot returns the files that the journal consists of, as of now: together
// in a directory they are a journal with all that was durable. Until they are
// released they can be read, whatever becomes of them. Trim and Erase go on: who
// copies state with it takes Hold before.
func (j *Journal) Snapshot(ctx context.Context) (files []journal.PartFile, release func(), err error) {
	if err := lock(ctx, j.shape); err != nil {
		return nil, nil, err
	}
	defer func() { <-j.shape }()
	e := j.use()
	var open []disk.File
	release = func() {
		for _, d := range open {
			_ = d.Close()
		}
		j.done(e)
	}
	if files, open, err = j.parts(e); err != nil {
		release()
		return nil, nil, err
	}
	return files, release, nil
}

// parts lists the files of an edition, and opens those that nobody has open.
func (j *Journal) parts(e *edition) (parts []journal.PartFile, open []disk.File, err error) {
	for _, f := range e.files {
		parts = append(parts, journal.PartFile{Name: f.name, Size: f.end.Load(), ReaderAt: f.disk})
		if x := f.index.Load(); x != nil {
			size, err := x.disk.Size()
			if err != nil {
				return nil, open, weir.E("copy journal", weir.Unavailable, "%w", err)
			}
			parts = append(parts, journal.PartFile{Name: f.indexName(), Size: size, ReaderAt: x.disk})
		}
	}
	names := j.manifest.Filters
	if j.manifest.Through > 0 {
		names = append([]string{manifest.Name}, names...)
	}
	for _, name := range names {
		d, err := j.fs.Open(name)
		if err != nil {
			return nil, open, weir.E("copy journal", weir.Unavailable, "%w", err)
		}
		open = append(open, d)
		size, err := d.Size()
		if err != nil {
			return nil, open, weir.E("copy journal", weir.Unavailable, "%w", err)
		}
		parts = append(parts, journal.PartFile{Name: name, Size: size, ReaderAt: d})
	}
	return parts, open, nil
}
