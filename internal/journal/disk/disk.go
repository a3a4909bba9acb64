// Package disk is the directory of a journal on the operating system: the few
// things that its engine asks of one, so that tests can put a disk in its place
// that forgets what was not synced.
package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FS is the directory of a journal. Names have no slashes.
type FS interface {
	// Lock takes the directory for this process until the closer is closed.
	Lock(name string) (io.Closer, error)
	List() ([]string, error)
	// Create makes an empty file, or empties the one that is there.
	Create(name string) (File, error)
	Open(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// Sync makes durable which names there are.
	Sync() error
}

// File is a file for reading and writing at any place.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Allocate makes the file at least size bytes long, with room on the disk
	// for all of them. An error that is ENOSPC or EDQUOT leaves it usable.
	Allocate(size int64) error
	Truncate(size int64) error
	Size() (int64, error)
	// Sync makes the file's bytes and size durable.
	Sync() error
	Close() error
}

// directory is FS on the operating system.
type directory string

// OpenDirectory returns a directory, which it makes if it is absent.
func OpenDirectory(dir string) (FS, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return directory(dir), nil
}

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

// Lock implements FS by flock, which ends with the process.
func (d directory) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return flock{f}, nil
}

// flock is a file that is locked.
type flock struct{ *os.File }

// Close unlocks the file and closes it. Closing alone would leave it locked for
// as long as a process that is being started has the descriptor too.
func (l flock) Close() error {
	return errors.Join(unix.Flock(int(l.Fd()), unix.LOCK_UN), l.File.Close())
}

// List implements FS; names are sorted.
func (d directory) List() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Create implements FS.
func (d directory) Create(name string) (File, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

// Open implements FS.
func (d directory) Open(name string) (File, error) { return d.open(name, os.O_RDWR) }

func (d directory) open(name string, flag int) (File, error) {
	f, err := os.OpenFile(d.path(name), flag, 0o600)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

// Rename implements FS.
func (d directory) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

// Remove implements FS.
func (d directory) Remove(name string) error { return os.Remove(d.path(name)) }

// Sync implements FS.
func (d directory) Sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// file is a File of the operating system.
type file struct{ *os.File }

// Size implements File.
func (f file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Sync implements File by fdatasync: the times of the file need not be durable.
func (f file) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// Allocate implements File. Where the file system cannot allocate, zeros are
// written, so that later writes find room all the same.
func (f file) Allocate(size int64) error {
	now, err := f.Size()
	if err != nil || now >= size {
		return err
	}
	for {
		err = unix.Fallocate(int(f.Fd()), 0, now, size-now)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return os.NewSyscallError("fallocate", err)
	}
	zeros := make([]byte, 1<<16)
	for now < size {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-now)], now)
		if err != nil {
			return errors.Join(err, f.Truncate(now))
		}
		now += int64(n)
	}
	return nil
}

// IsFull reports whether an error says that the disk has no room.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
