package chapter

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/file"
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
		f.Grow(0, files[i+1].First-1)
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
func (j *Journal) tell(files []*file.Chapter) error {
	if j.opts.Opening == nil {
		return nil
	}
	f := files[0]
	b := make([]byte, frame.Size)
	if _, err := f.Disk.ReadAt(b, frame.Start); err != nil && !errors.Is(err, io.EOF) {
		return unreadable(f.Name, err)
	}
	j.opts.Opening(Opening{j.dataID, frame.Begins(b, f.ID) || len(files) > 1 || j.manifest.Through > 0})
	return nil
}

// openAll opens the chapters that are in force, and checks that they belong
// together. What is not in force is removed. Where there is nothing, the first
// chapter is made.
func (j *Journal) openAll(ctx context.Context) ([]*file.Chapter, error) {
	names, err := j.fs.List()
	if err != nil {
		return nil, unreadable("the directory", err)
	}
	slices.Sort(names)
	known, err := j.openManifest(names)
	if err != nil {
		return nil, err
	}
	var files []*file.Chapter
	for i := range j.manifest.Chapters {
		f, err := j.openSealed(&j.manifest.Chapters[i])
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
	return slices.ContainsFunc([]string{file.Suffix, file.IndexSuffix, filterSuffix, disk.NewSuffix}, func(s string) bool {
		return strings.HasSuffix(name, s)
	})
}

// openManifest reads the manifest, if there is one, and returns which files it
// names.
func (j *Journal) openManifest(names []string) (known map[string]bool, err error) {
	if !slices.Contains(names, manifest.Name) {
		return nil, nil
	}
	b, err := disk.Content(j.fs, manifest.Name)
	if err != nil {
		return nil, unreadable(manifest.Name, err)
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

// openSealed opens a chapter that the manifest names, with its index.
func (j *Journal) openSealed(c *manifest.Chapter) (*file.Chapter, error) {
	f, err := j.dir().Open(c.File)
	if err != nil {
		return f, err
	}
	f.Grow(c.Bytes, c.Last)
	if f.First != c.First || f.Generation > 0 && f.Last != c.Last {
		return f, weir.E("open journal", weir.Unavailable, "%s is not the chapter that the manifest names", c.File)
	}
	return f, f.OpenIndex()
}

// openNewer opens a chapter that is newer than the manifest. Anything else it
// removes: it is what was replaced, or was never put in force.
func (j *Journal) openNewer(name string) (*file.Chapter, error) {
	if !strings.HasSuffix(name, file.Suffix) {
		return nil, j.remove(name)
	}
	f, err := j.dir().Open(name)
	if err != nil {
		return f, err
	}
	if f.Number > j.manifest.Through && f.Generation == 0 {
		return f, nil
	}
	if f.Number > j.manifest.Through {
		return f, weir.E("open journal", weir.Unavailable, "%s was made of other chapters, and the manifest that says which is missing", name)
	}
	return nil, errors.Join(f.Close(), j.remove(name))
}

func (j *Journal) remove(name string) error {
	if err := j.fs.Remove(name); err != nil {
		return weir.E("open journal", weir.Unavailable, "remove %s: %w", name, err)
	}
	return nil
}

// belong checks that the chapters are of one journal, and that of those from
// newer on, which the manifest does not name, none is missing.
func (j *Journal) belong(files []*file.Chapter, newer int) error {
	for i, f := range files {
		switch {
		case f.DataID != files[0].DataID:
			return weir.E("open journal", weir.Unavailable, "chapter %s belongs to another journal", f.Name)
		case i > newer && (files[i-1].Number+1 != f.Number || files[i-1].First > f.First):
			return weir.E("open journal", weir.Unavailable, "a chapter is missing between %s and %s", files[i-1].Name, f.Name)
		}
	}
	m := &j.manifest
	switch {
	case len(files) == newer && m.Through > 0:
		return weir.E("open journal", weir.Unavailable, "the chapter after %s is missing", file.Name(m.Through, 0))
	case len(files) == newer:
		return nil
	case files[newer].Number != m.Through+1:
		return weir.E("open journal", weir.Unavailable, "the chapters before %s are missing", files[newer].Name)
	case m.Through > 0 && m.DataID != hex.EncodeToString(files[newer].DataID[:]):
		return weir.E("open journal", weir.Unavailable, "the manifest belongs to another journal")
	}
	return nil
}

// first makes the first chapter of a new journal.
func (j *Journal) first() ([]*file.Chapter, error) {
	rand.Read(j.dataID[:])
	f, _, err := j.create(frame.Header{DataID: j.dataID, ID: randomID(), Number: 1, First: 1}, minAllocate)
	switch {
	case disk.IsFull(err):
		return nil, weir.E("open journal", weir.DiskFull, "no room on the disk for the first chapter: %w", err)
	case err != nil:
		return nil, weir.E("open journal", weir.Unavailable, "make the first chapter: %w", err)
	}
	return []*file.Chapter{f}, nil
}

func unreadable(name string, err error) error {
	return weir.E("open journal", weir.Unavailable, "read %s: %w", name, err)
}

func randomID() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// dir is the directory as chapters see it.
func (j *Journal) dir() file.Dir { return file.Dir{FS: j.fs, Log: j.log} }

func (j *Journal) space() disk.Reserve {
	return disk.Reserve{FS: j.fs, Name: reserveName, Size: reserveSize}
}

// reserve keeps some space of the disk, so that on a full one trimming has room
// to begin with.
func (j *Journal) reserve() {
	if err := j.space().Keep(); err != nil {
		j.log.Warn("no space kept in reserve", "err", err)
	}
}

// fromReserve does what may need room on the disk, on a full one with what was
// kept in reserve. What is left of that is kept again at once, before appends
// take it: whoever makes room next needs it.
func (j *Journal) fromReserve(do func() error) error {
	err := j.space().Use(do)
	j.reserve()
	if disk.IsFull(err) {
		return weir.E("rewrite journal", weir.DiskFull, "no room on the disk, also with what was kept in reserve: %w", err)
	}
	return err
}

// create makes a chapter with room for need bytes of frames at least.
func (j *Journal) create(h frame.Header, need int64) (f *file.Chapter, allocated int64, err error) {
	allocated = frame.Start + max(need, minAllocate)
	if f, err = j.dir().Create(h, allocated); err == nil {
		err = j.fs.Sync()
	}
	return f, allocated, err
}
