package chapter

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/frame"
	"weir/internal/journal/manifest"
	"weir/internal/journal/table"
)

// recover opens the chapters, reads those that are not sealed, repairs the end
// of the last one, and returns the committer that goes on there.
func (j *Journal) recover(ctx context.Context) (*committer, error) {
	files, err := j.openAll(ctx)
	j.edition = newEdition(files)
	if err != nil {
		return nil, err
	}
	j.reserve()
	if err := j.tell(files); err != nil {
		return nil, err
	}
	s := scan{j: j}
	for i, f := range files[:len(files)-1] {
		if f.Number <= j.manifest.Through {
			continue
		}
		f.last.Store(uint64(files[i+1].First - 1))
		if err := s.full(ctx, f); err != nil {
			return nil, err
		}
	}
	active := files[len(files)-1]
	r, err := s.active(ctx, active)
	if err != nil {
		return nil, err
	}
	s.hand()
	j.head, j.at, j.floor = r.Next-1, r.At, j.manifest.Floor
	j.filler.Hand(table.Durable{Table: s.t, First: active.First, Last: j.head})
	return &committer{
		j: j, active: active, next: r.Next, synced: r.Off, allocated: r.Off, before: r.Before, clock: clock{last: r.At},
	}, nil
}

// tell calls who does something beside the reading.
func (j *Journal) tell(files []*file) error {
	if j.opts.Opening == nil {
		return nil
	}
	f := files[0]
	b := make([]byte, frame.Size)
	if _, err := f.disk.ReadAt(b, frame.Start); err != nil && !errors.Is(err, io.EOF) {
		return unreadable(f.name, err)
	}
	j.opts.Opening(Opening{j.dataID, frame.Begins(b, f.ID) || len(files) > 1 || j.manifest.Through > 0})
	return nil
}

// openAll opens the chapters that are in force, and checks that they belong
// together. What is not in force is removed. Where there is nothing, the first
// chapter is made.
func (j *Journal) openAll(ctx context.Context) ([]*file, error) {
	names, err := j.fs.List()
	if err != nil {
		return nil, unreadable("the directory", err)
	}
	slices.Sort(names)
	known, err := j.openManifest(names)
	if err != nil {
		return nil, err
	}
	var files []*file
	for i := range j.manifest.Chapters {
		f, err := j.openSealed(ctx, &j.manifest.Chapters[i])
		if f != nil {
			files = append(files, f)
		}
		if err != nil {
			return files, err
		}
	}
	newer := len(files)
	for _, name := range names {
		if known[name] || !ours(name) {
			continue
		}
		f, err := j.openNewer(name)
		if f != nil {
			files = append(files, f)
		}
		if err != nil {
			return files, err
		}
	}
	if err := j.belong(files, newer); err != nil {
		return files, err
	}
	if len(files) > newer {
		j.dataID = files[newer].DataID
		return files, j.openFilters(ctx, files)
	}
	return j.first()
}

// ours reports whether a name is one of the files that the manifest names, or
// could have named.
func ours(name string) bool {
	return slices.ContainsFunc([]string{suffix, indexSuffix, filterSuffix, newSuffix}, func(s string) bool {
		return strings.HasSuffix(name, s)
	})
}

// openManifest reads the manifest, if there is one, and returns which files it
// names.
func (j *Journal) openManifest(names []string) (known map[string]bool, err error) {
	if !slices.Contains(names, manifest.Name) {
		return nil, nil
	}
	b, err := j.content(manifest.Name)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Decode(b)
	if err != nil {
		return nil, err
	}
	known = map[string]bool{}
	for _, c := range m.Chapters {
		known[c.File], known[c.Index] = true, true
	}
	for _, name := range m.Filters {
		known[name] = true
	}
	j.manifest = *m
	return known, nil
}

func (j *Journal) content(name string) ([]byte, error) {
	d, err := j.fs.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	size, err := d.Size()
	b := make([]byte, size)
	if err == nil && size > 0 {
		_, err = d.ReadAt(b, 0)
	}
	if err = errors.Join(err, d.Close()); err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable(name, err)
	}
	return b, nil
}

// openSealed opens a chapter that the manifest names, with its index.
func (j *Journal) openSealed(ctx context.Context, c *manifest.Chapter) (*file, error) {
	f, err := j.openChapter(c.File)
	if err != nil {
		return f, err
	}
	f.last.Store(uint64(c.Last))
	f.end.Store(c.Bytes)
	if f.First != c.First || f.Generation > 0 && f.Last != c.Last {
		return f, weir.E("open journal", weir.Unavailable, "%s is not the chapter that the manifest names", c.File)
	}
	return f, j.openIndex(ctx, f)
}

// openNewer opens a chapter that is newer than the manifest. Anything else it
// removes: it is what was replaced, or was never put in force.
func (j *Journal) openNewer(name string) (*file, error) {
	if !strings.HasSuffix(name, suffix) {
		return nil, j.remove(name)
	}
	f, err := j.openChapter(name)
	if err != nil {
		return f, err
	}
	if f.Number > j.manifest.Through && f.Generation == 0 {
		return f, nil
	}
	if f.Number > j.manifest.Through {
		return f, weir.E("open journal", weir.Unavailable, "%s was made of other chapters, and the manifest that says which is missing", name)
	}
	return nil, errors.Join(f.close(), j.remove(name))
}

func (j *Journal) remove(name string) error {
	if err := j.fs.Remove(name); err != nil {
		return weir.E("open journal", weir.Unavailable, "remove %s: %w", name, err)
	}
	return nil
}

func (j *Journal) openChapter(name string) (*file, error) {
	d, err := j.fs.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	f := &file{name: name, disk: d}
	b := make([]byte, frame.HeaderSize)
	if _, err := d.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return f, unreadable(name, err)
	}
	if f.crc, err = f.Decode(name, b); err != nil {
		return f, err
	}
	if chapterName(f.Number, f.Generation) != name {
		return f, weir.E("open journal", weir.Unavailable, "%s is chapter %d, renamed", name, f.Number)
	}
	return f, nil
}

// belong checks that the chapters are of one journal, and that of those from
// newer on, which the manifest does not name, none is missing.
func (j *Journal) belong(files []*file, newer int) error {
	for i, f := range files {
		switch {
		case f.DataID != files[0].DataID:
			return weir.E("open journal", weir.Unavailable, "chapter %s belongs to another journal", f.name)
		case i > newer && (files[i-1].Number+1 != f.Number || files[i-1].First > f.First):
			return weir.E("open journal", weir.Unavailable, "a chapter is missing between %s and %s", files[i-1].name, f.name)
		}
	}
	m := &j.manifest
	switch {
	case len(files) == newer && m.Through > 0:
		return weir.E("open journal", weir.Unavailable, "the chapter after %s is missing", chapterName(m.Through, 0))
	case len(files) == newer:
		return nil
	case files[newer].Number != m.Through+1:
		return weir.E("open journal", weir.Unavailable, "the chapters before %s are missing", files[newer].name)
	case m.Through > 0 && m.DataID != hex.EncodeToString(files[newer].DataID[:]):
		return weir.E("open journal", weir.Unavailable, "the manifest belongs to another journal")
	}
	return nil
}

// first makes the first chapter of a new journal.
func (j *Journal) first() ([]*file, error) {
	rand.Read(j.dataID[:])
	f, _, err := j.create(frame.Header{DataID: j.dataID, ID: randomID(), Number: 1, First: 1}, minAllocate)
	switch {
	case disk.IsFull(err):
		return nil, weir.E("open journal", weir.DiskFull, "no room on the disk for the first chapter: %w", err)
	case err != nil:
		return nil, weir.E("open journal", weir.Unavailable, "make the first chapter: %w", err)
	}
	return []*file{f}, nil
}

func unreadable(name string, err error) error {
	return weir.E("open journal", weir.Unavailable, "read %s: %w", name, err)
}

func randomID() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// reserve keeps some space of the disk, so that on a full one trimming has room
// to begin with. On a disk that is full already there is none to keep.
func (j *Journal) reserve() {
	f, err := j.fs.Open(reserveName)
	if err == nil {
		_ = f.Close()
		return
	}
	if f, err = j.fs.Create(reserveName); err == nil {
		err = errors.Join(f.Allocate(reserveSize), f.Close())
	}
	if err != nil {
		j.log.Warn("no space kept in reserve", "err", errors.Join(err, j.fs.Remove(reserveName)))
	}
}

// fromReserve does what may need room on the disk, on a full one with what was
// kept in reserve.
func (j *Journal) fromReserve(do func() error) error {
	err := do()
	if !disk.IsFull(err) {
		return err
	}
	if gone := j.fs.Remove(reserveName); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		return errors.Join(err, gone)
	}
	err = do()
	j.reserve()
	if disk.IsFull(err) {
		return weir.E("rewrite journal", weir.DiskFull, "no room on the disk, also with what was kept in reserve: %w", err)
	}
	return err
}

// repair cuts what is torn off the active chapter, and writes all that might
// stand in the page cache only, from synced on, once more: after a failed sync
// the system forgets that it did not reach the disk.
func repair(f *file, synced, end int64) error {
	if err := f.disk.Truncate(end); err != nil {
		return weir.E("open journal", weir.Unavailable, "cut the torn end off chapter %s: %w", f.name, err)
	}
	b := make([]byte, mib)
	for off := synced; off < end; {
		n, err := f.disk.ReadAt(b[:min(int64(len(b)), end-off)], off)
		if n == 0 && err != nil {
			return unreadable(f.name, err)
		}
		if _, err := f.disk.WriteAt(b[:n], off); err != nil {
			return weir.E("open journal", weir.Unavailable, "write the end of chapter %s again: %w", f.name, err)
		}
		off += int64(n)
	}
	if err := f.disk.Sync(); err != nil {
		return weir.E("open journal", weir.Unavailable, "sync chapter %s: %w", f.name, err)
	}
	return nil
}
