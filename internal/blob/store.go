// Package blob keeps what is too large for the journal: each event's data that
// is a blob stands in a file of its own, in one directory of the server's data.
//
//	blobs/tmp/ID           being written; removed at start
//	blobs/01a3c/f7/ID      whole and durable, never changed
//
// Ids begin with the time, so that a directory of files holds those of about 17
// minutes, and of directories those of three days. A blob is durable before the record
// that names it; one that no record names a day later is an orphan, and removed.
//
// The door writes here, dispatch, work and the read side read here, each through
// an interface of its own.
package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"weir"
)

// Store is a directory of blobs. Its methods may be called by many goroutines
// at once; one process has the directory.
type Store struct {
	dir string

	mu    sync.Mutex // guards:
	ready string     // the directory that was made durable last
}

const (
	tmpDir   = "tmp"
	idDigits = 32
	outerEnd = 5 // digits of the id that name the outer directory, 2^28 ms
	innerEnd = 7 // and, after them, the inner one, 2^20 ms
)

// New opens the store in a directory, which it makes, and removes the files that
// were being written when the last process ended.
func New(dir string) (*Store, error) {
	s := &Store{dir: dir}
	tmp := filepath.Join(dir, tmpDir)
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, failure("open "+dir, err)
	}
	halves, err := os.ReadDir(tmp)
	if err != nil {
		return nil, failure("open "+dir, err)
	}
	for _, f := range halves {
		if err := os.Remove(filepath.Join(tmp, f.Name())); err != nil {
			return nil, failure("open "+dir, err)
		}
	}
	return s, errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// Create begins a blob. Its writer must end with Commit or Discard.
func (s *Store) Create(ctx context.Context) (*Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id := newID(time.Now())
	f, err := os.OpenFile(filepath.Join(s.dir, tmpDir, id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, failure("create blob", err)
	}
	return &Writer{store: s, file: f, id: id, sum: sha256.New()}, nil
}

// Keep makes a blob of data.
func (s *Store) Keep(ctx context.Context, data []byte) (weir.Blob, error) {
	w, err := s.Create(ctx)
	if err != nil {
		return weir.Blob{}, err
	}
	if _, err := w.Write(data); err != nil {
		w.Discard()
		return weir.Blob{}, err
	}
	return w.Commit()
}

// Open opens a blob for reading, without verifying it, and returns its size.
// One that is not there is a NotFound error.
func (s *Store) Open(_ context.Context, id string) (io.ReadSeekCloser, int64, error) {
	path, err := s.path(id)
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, readFailure(id, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(readFailure(id, err), f.Close())
	}
	return f, info.Size(), nil
}

// Read returns a whole blob and verifies its size and sum. One that is not there
// is a NotFound error, one that is damaged an Internal error that names it. An
// Unavailable error may pass.
func (s *Store) Read(ctx context.Context, b weir.Blob) ([]byte, error) {
	f, size, err := s.Open(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size != b.Size {
		return nil, damaged(b.ID, "it has %d bytes, and its record says %d", size, b.Size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, damaged(b.ID, "%w", err)
	}
	if sha256.Sum256(data) != b.Sum {
		return nil, damaged(b.ID, "its bytes are not those that its record tells the sum of")
	}
	return data, nil
}

// Remove removes a blob that no record will name. One that is not there is none.
func (s *Store) Remove(_ context.Context, id string) error {
	path, err := s.path(id)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failure("remove blob", err)
	}
	return nil
}

// path returns where a blob stands. What is no id is refused before it is part
// of a path.
func (s *Store) path(id string) (string, error) {
	if !isID(id) {
		return "", weir.E("", weir.Invalid, "%.40q is no id of a blob", id)
	}
	return filepath.Join(s.dir, id[:outerEnd], id[outerEnd:innerEnd], id), nil
}

// place makes sure that the directory of a path is there for good. A directory
// that another goroutine is just making is not there before that one is done.
func (s *Store) place(path string) error {
	inner := filepath.Dir(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready == inner {
		return nil
	}
	if err := os.MkdirAll(inner, 0o700); err != nil {
		return err
	}
	if err := errors.Join(syncDir(s.dir), syncDir(filepath.Dir(inner))); err != nil {
		return err
	}
	s.ready = inner
	return nil
}

func isID(id string) bool {
	if len(id) != idDigits {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// newID makes an id: 48 bits of the time in milliseconds, 80 of chance.
func newID(now time.Time) string {
	var id [idDigits / 2]byte
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	_, _ = rand.Read(id[6:]) // never fails
	return hex.EncodeToString(id[:])
}

// timeOf returns when an id was made.
func timeOf(id string) time.Time {
	var ms int64
	_, _ = fmt.Sscanf(id[:12], "%x", &ms) // of hex digits: it cannot fail
	return time.UnixMilli(ms)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// failure gives an error of the file system a code. Publishers see it, and they
// are not told where the server's files are.
func failure(op string, err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	if at, ok := errors.AsType[*os.LinkError](err); ok {
		err = fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return weir.E(op, weir.DiskFull, "no room on the disk for a blob: %w", err)
	}
	return weir.E(op, weir.Unavailable, "%w", err)
}

func readFailure(id string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return weir.E("", weir.NotFound, "blob %s is not there", id)
	case errors.Is(err, syscall.EIO):
		return damaged(id, "%w", err)
	default:
		return failure("read blob", err)
	}
}

func damaged(id, format string, args ...any) error {
	return weir.E("", weir.Internal, "blob %s is damaged: %w", id, fmt.Errorf(format, args...))
}
