package chapter

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/disk"
	"weir/internal/journal/frame"
	"weir/internal/journal/manifest"
	"weir/internal/journal/sealed"
	"weir/internal/journal/table"
)

const (
	// workTime is for how long something that nobody waits for keeps the processor
	// before it rests for as long: with 5 ms, one append in a hundred waited for 6.
	workTime = time.Millisecond
	// syncEvery is after how many bytes such a thing syncs what it writes, so that
	// an append never waits for all of it.
	syncEvery = 2 * mib
	// pauseEvery is how many records are worth a look at the clock.
	pauseEvery = 64
)

// write makes a file that has its name only when all of it is durable; that the
// name is, the caller sees to. It may replace a file.
func (j *Journal) write(name string, fill func(disk.File) error) (disk.File, error) {
	temporary := name + newSuffix
	d, err := j.fs.Create(temporary)
	if err != nil {
		return nil, err
	}
	if err = fill(d); err == nil {
		err = d.Sync()
	}
	if err == nil {
		err = j.fs.Rename(temporary, name)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close(), j.fs.Remove(temporary))
	}
	return d, nil
}

// create makes a chapter with room for need bytes of frames at least. It has
// its name only when all of its header is durable.
func (j *Journal) create(h frame.Header, need int64) (f *file, allocated int64, err error) {
	f = &file{Header: h, name: chapterName(h.Number, h.Generation)}
	f.end.Store(frame.Start)
	f.last.Store(uint64(h.First - 1))
	f.table.Store(new(table.Table))
	allocated = frame.Start + max(need, minAllocate)
	page, crc := h.Encode()
	f.crc = crc
	f.disk, err = j.write(f.name, func(d disk.File) error {
		if err := d.Allocate(allocated); err != nil {
			return err
		}
		_, err := d.WriteAt(page, 0)
		return err
	})
	if err == nil {
		err = j.fs.Sync()
	}
	return f, allocated, err
}

// install makes a manifest durable, and what it names with it. From then on it
// is in force. The caller has shape.
func (j *Journal) install(m manifest.Manifest) error {
	m.DataID = hex.EncodeToString(j.dataID[:])
	b, err := m.Encode()
	if err != nil {
		return err
	}
	// What the manifest names must have its name before.
	if err := j.fs.Sync(); err != nil {
		return err
	}
	d, err := j.write(manifest.Name, func(d disk.File) error {
		_, err := d.WriteAt(b, 0)
		return err
	})
	if err == nil {
		err = errors.Join(j.fs.Sync(), d.Close())
	}
	if err == nil {
		j.manifest = m
	}
	return err
}

// discard removes files that are no longer in force. One that stays is removed
// at the next start.
func (j *Journal) discard(names ...string) {
	for _, name := range names {
		if err := j.fs.Remove(name); err != nil {
			j.log.Warn("file of the journal not removed", "file", name, "err", err)
		}
	}
}

// buildIndex writes the index of a full chapter, and checks its frames as it
// reads them.
func (j *Journal) buildIndex(f *file, p *pacer) (*index, error) {
	of := sealed.Chapter{DataID: f.DataID, ID: f.ID}
	d, err := j.write(f.indexName(), func(d disk.File) error {
		b := newIndexBuilder(d, of, p)
		_, err := f.each(p.pause, func(g frame.Frame, body []byte, off int64) error {
			return records(f, g, body, off, func(r *weir.Record, row sealed.Row, _ []byte) error { return b.add(r, row) })
		}, func(first, last weir.Seq) error {
			j.damaged(f, first, last)
			return nil
		})
		if err != nil {
			return err
		}
		return b.Finish(p.pause)
	})
	if err != nil {
		return nil, fmt.Errorf("index chapter %s: %w", f.name, err)
	}
	return openIndex(f.indexName(), d, of)
}

func openIndex(name string, d disk.File, of sealed.Chapter) (*index, error) {
	x, err := sealed.Open(name, d, of)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &index{x, d}, nil
}

// openIndex opens the index of a sealed chapter, and makes it anew where it is
// damaged or gone.
func (j *Journal) openIndex(ctx context.Context, f *file) error {
	d, err := j.fs.Open(f.indexName())
	if err == nil {
		var x *index
		if x, err = openIndex(f.indexName(), d, sealed.Chapter{DataID: f.DataID, ID: f.ID}); err == nil {
			f.index.Store(x)
			return nil
		}
	}
	return j.mend(ctx, f, err)
}

// mend makes an index anew that is damaged. The file of the old one stays open
// until nobody has it.
func (j *Journal) mend(ctx context.Context, f *file, why error) error {
	old := f.index.Load()
	f.mending.Lock()
	defer f.mending.Unlock()
	if f.index.Load() != old {
		return nil // somebody else has made it
	}
	j.log.Error("index of a chapter is made anew", "chapter", f.name, "err", why)
	x, err := j.buildIndex(f, &pacer{ctx: ctx, hurry: true})
	if err != nil {
		return weir.E("read journal", weir.Unavailable, "make a damaged index anew: %w", err)
	}
	f.index.Store(x)
	return nil
}

// indexBuilder adds records to an index.
type indexBuilder struct {
	*sealed.Builder
	p      *pacer
	hashes []uint64
	count  int
}

func newIndexBuilder(d disk.File, of sealed.Chapter, p *pacer) *indexBuilder {
	return &indexBuilder{Builder: sealed.NewBuilder(&steady{File: d}, of), p: p}
}

func (b *indexBuilder) add(r *weir.Record, row sealed.Row) error {
	if b.count++; b.count%pauseEvery == 0 {
		if err := b.p.pause(); err != nil {
			return err
		}
	}
	b.hashes = journal.AppendHashes(b.hashes[:0], r)
	return b.Add(row, b.hashes)
}

// steady syncs a file as it grows.
type steady struct {
	disk.File
	unsynced int
}

// WriteAt writes, and syncs now and then.
func (s *steady) WriteAt(b []byte, off int64) (int, error) {
	n, err := s.File.WriteAt(b, off)
	if s.unsynced += n; err == nil && s.unsynced >= syncEvery {
		s.unsynced, err = 0, s.Sync()
	}
	return n, err
}

// pacer makes room for those that somebody waits for.
type pacer struct {
	ctx   context.Context
	hurry bool
	since time.Time
}

// pause rests when it is time to, and returns the context's error.
func (p *pacer) pause() error {
	if p.hurry || time.Since(p.since) < workTime {
		return p.ctx.Err()
	}
	rest := time.NewTimer(workTime)
	defer rest.Stop()
	select {
	case <-rest.C:
		p.since = time.Now()
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}
