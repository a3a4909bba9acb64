package blob

import (
	"errors"
	"hash"
	"os"
	"path/filepath"

	"weir"
)

// Writer writes one blob. It is used by one goroutine.
type Writer struct {
	store *Store
	file  *os.File // nil once it has ended
	id    string
	sum   hash.Hash
	size  int64
}

// Write adds bytes. A disk without room is a DiskFull error.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.sum.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		return n, failure("write blob", err)
	}
	return n, nil
}

// Commit makes the blob durable, under its name and for good, and returns it.
// After an error nothing is left of it.
func (w *Writer) Commit() (weir.Blob, error) {
	b := weir.Blob{ID: w.id, Size: w.size}
	w.sum.Sum(b.Sum[:0])
	if err := w.commit(); err != nil {
		w.Discard()
		return weir.Blob{}, failure("commit blob", err)
	}
	return b, nil
}

func (w *Writer) commit() error {
	path, err := w.store.path(w.id)
	if err != nil {
		return err
	}
	if err := errors.Join(w.file.Sync(), w.file.Close()); err != nil {
		return err
	}
	if err := w.store.place(path); err != nil {
		return err
	}
	if err := os.Rename(w.file.Name(), path); err != nil {
		return err
	}
	w.file = nil
	if err := syncDir(filepath.Dir(path)); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Discard ends the blob unwritten. After Commit it does nothing.
func (w *Writer) Discard() {
	if w.file == nil {
		return
	}
	_ = w.file.Close() // may be closed already
	_ = os.Remove(w.file.Name())
	w.file = nil
}
