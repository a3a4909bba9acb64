package chapter

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/frame"
	"weir/internal/journal/manifest"
	"weir/internal/journal/sealed"
)

const (
	// maxRange is how many places a chapter can have, those of records that are
	// gone included.
	maxRange = math.MaxUint32
	// writeSize is about how much is written at once, and in one frame.
	writeSize = mib
)

// rewriting puts in the place of neighbouring sealed chapters one with the
// records that stay, or none.
type rewriting struct {
	j    *Journal
	from []*file
	goes func(*weir.Record) bool // nil: nothing
	p    *pacer

	f       *file    // with what stays, or nil
	records int      // that are gone
	last    weir.Seq // of them

	disk   disk.File // of f, while its frames are written
	b      []byte    // not yet written, complete frames and the one being made
	off    int64     // of b
	start  int       // in b, of the frame being made
	made   frame.Frame
	before uint32 // CRC of the frame before it
}

// rewrite does all of a rewriting: the new chapter is written beside the old
// ones and comes in force by the manifest, which is given a floor where records
// before one are gone. The caller has shape.
func (j *Journal) rewrite(w *rewriting, floor func(w *rewriting) weir.Seq) error {
	if err := j.fromReserve(w.write); err != nil {
		return err
	}
	m := j.manifest
	first := slices.IndexFunc(m.Chapters, func(c manifest.Chapter) bool { return c.File == w.from[0].name })
	var entries []manifest.Chapter
	if w.f != nil {
		entries = append(entries, entryOf(w.f, w.f.index.Load()))
	}
	m.Chapters = slices.Replace(slices.Clone(m.Chapters), first, first+len(w.from), entries...)
	m.Floor = max(m.Floor, floor(w))
	if err := j.fromReserve(func() error { return j.install(m) }); err != nil {
		return errors.Join(err, w.abandon())
	}
	w.swap(m.Floor)
	j.reserve()
	return nil
}

// write makes the new chapter with its index, or finds that nothing stays.
func (w *rewriting) write() error {
	first, last := w.from[0], w.from[len(w.from)-1]
	h := frame.Header{
		DataID: first.DataID, ID: randomID(), Number: first.Number, First: first.First, At: first.At, Last: last.through(),
	}
	for _, f := range w.from {
		h.Generation = max(h.Generation, f.Generation+1)
	}
	f := &file{Header: h, name: chapterName(h.Number, h.Generation)}
	f.last.Store(uint64(h.Last))
	var err error
	f.disk, err = w.j.write(f.name, func(d disk.File) error { return w.copy(d, f) })
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return err
	}
	w.f = f
	f.end.Store(w.off)
	x, err := w.j.buildIndex(f, w.p)
	if err != nil {
		return errors.Join(err, w.abandon())
	}
	f.index.Store(x)
	return nil
}

// errNothing says that nothing stays.
var errNothing = errors.New("nothing stays")

// copy writes what stays to d.
func (w *rewriting) copy(d disk.File, f *file) error {
	page, crc := f.Encode()
	f.crc = crc
	w.disk, w.b, w.off, w.start, w.before = &steady{File: d}, page, 0, len(page), crc
	w.made, w.records, w.last = frame.Frame{Chapter: f.ID, Synced: frame.Start}, 0, 0
	copied := 0
	for _, from := range w.from {
		_, err := from.each(w.p.pause, func(g frame.Frame, b []byte, off int64) error {
			return records(from, g, b, off, func(r *weir.Record, _ sealed.Row, body []byte) error {
				if w.goes != nil && w.goes(r) {
					w.records, w.last = w.records+1, r.Seq
					return nil
				}
				copied++
				return w.add(r, body)
			})
		}, func(first, last weir.Seq) error {
			w.j.damaged(from, first, last)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if copied == 0 {
		return errNothing
	}
	w.endFrame()
	return w.flush()
}

// add puts a record into the frame being made, where it follows the one before.
func (w *rewriting) add(r *weir.Record, body []byte) error {
	g := &w.made
	if g.Count > 0 && (r.Seq != g.First+weir.Seq(g.Count) || r.At != g.At || len(w.b)-w.start >= writeSize) {
		w.endFrame()
	}
	if g.Count == 0 {
		if len(w.b) >= writeSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
		g.First, g.At = r.Seq, r.At
		w.start = len(w.b)
		w.b = append(w.b, make([]byte, frame.Size)...)
	}
	g.Count++
	w.b = append(binary.LittleEndian.AppendUint32(w.b, uint32(len(body))), body...)
	if g.Count%pauseEvery == 0 {
		return w.p.pause()
	}
	return nil
}

func (w *rewriting) endFrame() {
	w.made.Before = w.before
	w.before = w.made.Seal(w.b[w.start:])
	w.made.Count = 0
}

func (w *rewriting) flush() error {
	_, err := w.disk.WriteAt(w.b, w.off)
	w.off += int64(len(w.b))
	w.b = w.b[:0]
	return err
}

// abandon removes the new chapter again.
func (w *rewriting) abandon() error {
	if w.f == nil {
		return nil
	}
	names := []string{w.f.name}
	if w.f.index.Load() != nil {
		names = append(names, w.f.indexName())
	}
	err := w.f.close()
	w.j.discard(names...)
	w.f = nil
	return err
}

// swap shows the new chapter to readers, and removes the old ones.
func (w *rewriting) swap(floor weir.Seq) {
	j := w.j
	j.renew(func(files []*file) []*file {
		first := slices.Index(files, w.from[0])
		files = slices.Delete(slices.Clone(files), first, first+len(w.from))
		if w.f != nil {
			files = slices.Insert(files, first, w.f)
		}
		j.floor = floor
		j.tail.drop(w.last)
		return files
	})
	for _, f := range w.from {
		j.discard(f.name, f.indexName())
	}
}

// bytes returns what the rewriting made free, about.
func (w *rewriting) bytes() int64 {
	var n int64
	for _, f := range w.from {
		n += f.end.Load()
	}
	if w.f != nil {
		n -= w.f.end.Load()
	}
	return n
}

// mergeNext makes one of neighbouring small chapters, if there are enough.
func (j *Journal) mergeNext(ctx context.Context) (more bool, err error) {
	if err := lock(ctx, j.shape); err != nil {
		return false, err
	}
	defer func() { <-j.shape }()
	e := j.use()
	defer j.done(e)
	files := j.mergeable(e.files)
	if len(files) == 0 {
		return false, nil
	}
	w := &rewriting{j: j, from: files, p: &pacer{ctx: ctx}}
	if err := j.rewrite(w, func(*rewriting) weir.Seq { return 0 }); err != nil {
		return false, err
	}
	j.log.Info("chapters merged", "first", files[0].name, "last", files[len(files)-1].name, "into", w.f.name)
	return true, nil
}

// mergeFan is how many chapters are merged. As none of them may be larger than
// the others together, a record is copied no more often than the logarithm of
// how many small chapters make a large one.
const mergeFan = 4

// mergeable returns sealed neighbours that fit into one chapter together. What
// was damaged is left as it is, for whoever wants to save something of it.
func (j *Journal) mergeable(files []*file) []*file {
	for n := len(files) - 1; n >= mergeFan; n-- {
		run := files[n-mergeFan : n]
		records, bytes, largest := 0, int64(0), 0
		ok := run[mergeFan-1].through()-run[0].First < maxRange
		for _, f := range run {
			if ok = ok && f.isSealed() && !f.hurt.Load(); !ok {
				break
			}
			count := f.index.Load().Count()
			records, bytes, largest = records+count, bytes+f.end.Load(), max(largest, count)
		}
		if ok && records <= j.opts.MaxRecords && bytes <= j.opts.MaxBytes && largest <= records-largest {
			return run
		}
	}
	return nil
}
