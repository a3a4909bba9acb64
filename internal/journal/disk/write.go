package disk

import (
	"errors"
	"io"
	"io/fs"
)

// NewSuffix ends the name of a file that is being written.
const NewSuffix = ".new"

// syncEvery is after how many bytes a steady file is synced.
const syncEvery = 2 << 20

// Write makes a file that has its name only when all of it is durable; that the
// name is, the caller sees to. It may replace a file.
func Write(d FS, name string, fill func(File) error) (File, error) {
	temporary := name + NewSuffix
	f, err := d.Create(temporary)
	if err != nil {
		return nil, err
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = d.Rename(temporary, name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), d.Remove(temporary))
	}
	return f, nil
}

// Content returns all that is in a file.
func Content(d FS, name string) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	b := make([]byte, size)
	if err == nil {
		if _, err = f.ReadAt(b, 0); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return b, errors.Join(err, f.Close())
}

// Steady returns a file that is synced as it grows, so that others who sync
// never wait for all of it.
func Steady(f File) File { return &steady{File: f} }

type steady struct {
	File
	unsynced int
}

// WriteAt implements File.
func (s *steady) WriteAt(b []byte, off int64) (int, error) {
	n, err := s.File.WriteAt(b, off)
	if s.unsynced += n; err == nil && s.unsynced >= syncEvery {
		s.unsynced, err = 0, s.Sync()
	}
	return n, err
}

// Reserve is a file that keeps some space of the disk, so that on a full one
// there is room to begin to make room.
type Reserve struct {
	FS
	Name string
	Size int64
}

// Keep allocates it, unless it is there. On a disk that is full already there is
// nothing to keep.
func (r Reserve) Keep() error {
	f, err := r.Open(r.Name)
	if err == nil {
		return f.Close()
	}
	if f, err = r.Create(r.Name); err != nil {
		return err
	}
	if err = errors.Join(f.Allocate(r.Size), f.Close()); err != nil {
		return errors.Join(err, r.Remove(r.Name))
	}
	return nil
}

// Use does what may need room, on a full disk by giving up what is kept.
func (r Reserve) Use(do func() error) error {
	err := do()
	if !IsFull(err) {
		return err
	}
	if gone := r.Remove(r.Name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		return errors.Join(err, gone)
	}
	return do()
}
