package chapter

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"

	"weir"
)

// recover opens the chapters, reads them, repairs the end of the last one, and
// returns the committer that goes on there.
func (j *Journal) recover(ctx context.Context) (*committer, error) {
	if err := j.openAll(); err != nil {
		return nil, err
	}
	j.reserve()
	if err := j.tell(); err != nil {
		return nil, err
	}
	s := scan{j: j}
	for i, f := range j.chapters[:len(j.chapters)-1] {
		if err := s.full(ctx, f, j.chapters[i+1].first); err != nil {
			return nil, err
		}
	}
	active := j.chapters[len(j.chapters)-1]
	if err := s.active(ctx, active); err != nil {
		return nil, err
	}
	j.head, j.at = active.next()-1, s.at
	s.hand()
	return &committer{
		j: j, active: active, next: active.next(), synced: s.off, allocated: s.off, before: s.before,
		clock: clock{last: s.at},
	}, nil
}

// tell calls who does something beside the reading.
func (j *Journal) tell() error {
	if j.opts.Opening == nil {
		return nil
	}
	f := j.chapters[0]
	b := make([]byte, frameHeader)
	if _, err := f.disk.ReadAt(b, dataStart); err != nil && !errors.Is(err, io.EOF) {
		return unreadable(f.name, err)
	}
	_, began := readFrameHeader(b, f.id)
	j.opts.Opening(Opening{j.dataID, began || len(j.chapters) > 1})
	return nil
}

// openAll opens every chapter and checks that they belong together. A chapter
// whose making was cut short is removed; where there is none, the first is made.
func (j *Journal) openAll() error {
	names, err := j.fs.List()
	if err != nil {
		return unreadable("the directory", err)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, newSuffix):
			err = j.fs.Remove(name)
		case strings.HasSuffix(name, suffix):
			err = j.openChapter(name)
		}
		if err != nil {
			return err
		}
	}
	if len(j.chapters) > 0 {
		j.dataID = j.chapters[0].dataID
		return nil
	}
	rand.Read(j.dataID[:])
	f, _, err := j.create(header{dataID: j.dataID, id: randomID(), number: 1, first: 1}, minAllocate)
	if isFull(err) {
		return weir.E("open journal", weir.DiskFull, "no room on the disk for the first chapter: %w", err)
	}
	if err != nil {
		return weir.E("open journal", weir.Unavailable, "make the first chapter: %w", err)
	}
	j.chapters = []*file{f}
	return nil
}

func (j *Journal) openChapter(name string) error {
	d, err := j.fs.Open(name)
	if err != nil {
		return unreadable(name, err)
	}
	f := &file{name: name, disk: d, end: dataStart}
	j.chapters = append(j.chapters, f)
	b := make([]byte, headerLength)
	if _, err := d.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return unreadable(name, err)
	}
	if f.crc, err = f.decode(name, b); err != nil {
		return err
	}
	if chapterName(f.number) != name {
		return weir.E("open journal", weir.Unavailable, "%s is chapter %d, renamed", name, f.number)
	}
	if n := len(j.chapters); n > 1 {
		before := j.chapters[n-2]
		if before.dataID != f.dataID {
			return weir.E("open journal", weir.Unavailable, "chapter %s belongs to another journal", name)
		}
		if before.number+1 != f.number || before.first > f.first {
			return weir.E("open journal", weir.Unavailable, "a chapter is missing between %s and %s", before.name, name)
		}
	}
	return nil
}

func unreadable(name string, err error) error {
	return weir.E("open journal", weir.Unavailable, "read %s: %w", name, err)
}

// create makes a chapter with room for need bytes of frames at least. It has
// its name only when all of its header is durable.
func (j *Journal) create(h header, need int64) (f *file, allocated int64, err error) {
	f = &file{header: h, name: chapterName(h.number), end: dataStart}
	allocated = dataStart + max(need, minAllocate)
	page, crc := h.encode()
	f.crc = crc
	temporary := f.name + newSuffix
	if f.disk, err = j.fs.Create(temporary); err != nil {
		return nil, 0, err
	}
	if err = f.disk.Allocate(allocated); err == nil {
		_, err = f.disk.WriteAt(page, 0)
	}
	if err == nil {
		err = f.disk.Sync()
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.disk.Close(), j.fs.Remove(temporary))
	}
	if err = j.fs.Rename(temporary, f.name); err == nil {
		err = j.fs.Sync()
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.disk.Close())
	}
	return f, allocated, nil
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
