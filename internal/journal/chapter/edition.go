package chapter

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/disk"
	"weir/internal/journal/file"
	"weir/internal/journal/manifest"
	"weir/internal/journal/sealed"
)

// edition is a list of chapters by seq. The last takes the appends.
type edition struct {
	files []*file.Chapter
	uses  atomic.Int64
}

// newEdition returns an edition that is in use once.
func newEdition(files []*file.Chapter) *edition {
	e := &edition{files: files}
	e.uses.Store(1)
	for _, f := range files {
		f.Use()
	}
	return e
}

// release ends one use.
func (e *edition) release() error {
	if e.uses.Add(-1) > 0 {
		return nil
	}
	var errs []error
	for _, f := range e.files {
		errs = append(errs, f.Done())
	}
	return errors.Join(errs...)
}

// active is the chapter that takes the appends.
func (e *edition) active() *file.Chapter { return e.files[len(e.files)-1] }

// full are the chapters that take no more.
func (e *edition) full() []*file.Chapter { return e.files[:len(e.files)-1] }

// of returns the chapter whose range has seq, or nil.
func (e *edition) of(seq weir.Seq) *file.Chapter {
	i, found := slices.BinarySearchFunc(e.files, seq, func(f *file.Chapter, q weir.Seq) int {
		switch {
		case f.Through() < q:
			return -1
		case f.First > q:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return e.files[i]
}

// use returns the chapters as they are now, for a reader, who says when it is
// done with them.
func (j *Journal) use() *edition {
	j.mu.RLock()
	defer j.mu.RUnlock()
	j.edition.uses.Add(1)
	return j.edition
}

func (j *Journal) done(e *edition) {
	if err := e.release(); err != nil {
		j.log.Warn("files of the journal not closed", "err", err)
	}
}

// renew puts another list of chapters in the place of the one in force: what
// becomes of that is the new one. Become has Journal.mu.
func (j *Journal) renew(become func(files []*file.Chapter) []*file.Chapter) {
	j.mu.Lock()
	old := j.edition
	j.edition = newEdition(become(old.files))
	j.mu.Unlock()
	j.done(old)
}

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
		if err := f.Check(ctx, each); err != nil {
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
			if err := each(journal.Fault{File: name, What: err.Error(), Do: "nothing: the next start makes it anew"}); err != nil {
				return err
			}
		}
	}
	return nil
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
	add := func(name string, d disk.File, err error) error {
		var size int64
		if err == nil {
			size, err = d.Size()
		}
		if err != nil {
			return weir.E("copy journal", weir.Unavailable, "%w", err)
		}
		parts = append(parts, journal.PartFile{Name: name, Size: size, ReaderAt: d})
		return nil
	}
	for _, f := range e.files {
		parts = append(parts, journal.PartFile{Name: f.Name, Size: f.End(), ReaderAt: f.Disk})
		if x := f.Index(); x != nil {
			if err := add(f.IndexName(), x.Disk, nil); err != nil {
				return nil, open, err
			}
		}
	}
	names := j.manifest.Filters
	if j.manifest.Through > 0 {
		names = append([]string{manifest.Name}, names...)
	}
	for _, name := range names {
		d, err := j.fs.Open(name)
		if err == nil {
			open = append(open, d)
		}
		if err := add(name, d, err); err != nil {
			return nil, open, err
		}
	}
	return parts, open, nil
}
