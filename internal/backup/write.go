package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"weir"
)

// File is a file of the journal as of one moment.
type File struct {
	Name string // without a directory
	Size int64
	io.ReaderAt
}

// Source is what a backup is made of. All but Key are required.
type Source struct {
	// CopyState writes the state as of one moment into a new file at path.
	CopyState func(ctx context.Context, path string) error
	// Journal returns the journal's files as of now. Nothing of it is trimmed
	// before release is called.
	Journal func(ctx context.Context) (files []File, release func(), err error)
	Dir     string // the data directory, for the blobs and a copy of the state
	Key     bool   // with the key of the secrets
}

// The names in a data directory.
const (
	stateName  = "state.db"
	journalDir = "journal"
	blobDir    = "blobs"
	keyName    = "secret.key"
)

// Write writes a backup of a running server's stores to w. An error leaves a
// file that Extract refuses as incomplete; one without room for a copy of the state
// comes before the first byte.
func Write(ctx context.Context, w io.Writer, head Head, s Source) error {
	head.Format, head.Key = Format, s.Key
	out := &writer{ctx: ctx, tar: tar.NewWriter(w), head: head}
	for _, part := range [...]func(*writer, Source) error{writeState, writeJournal, writeBlobs, writeKey, writeSums} {
		if err := part(out, s); err != nil {
			return err
		}
	}
	return out.tar.Close()
}

type writer struct {
	ctx  context.Context
	tar  *tar.Writer
	head Head
	sums sums
}

// put writes one part of exactly size bytes.
func (w *writer) put(name string, size int64, from io.Reader) error {
	h := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: w.head.Made.Std(), Format: tar.FormatPAX}
	if err := w.tar.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, sum), io.LimitReader(reader{w.ctx, from}, size))
	if err == nil && n < size {
		err = weir.E("backup", weir.Internal, "%s has %d bytes, and had %d", name, n, size)
	}
	w.sums.Parts = append(w.sums.Parts, Sum{name, size, hex.EncodeToString(sum.Sum(nil))})
	return err
}

func (w *writer) putJSON(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.put(name, int64(len(text)), strings.NewReader(string(text)))
}

func (w *writer) putFile(name, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return w.put(name, info.Size(), f)
}

// copyPattern is how the directory with a copy of the state is called.
const copyPattern = ".backup-*"

// Clear removes from a data directory, which no server has, what a server that
// was killed while it wrote a backup left there.
func Clear(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, copyPattern))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// writeState writes the head and the state, once that is copied: where there is no
// room for it, nothing was written, and whoever asked can be told why.
func writeState(w *writer, s Source) (err error) {
	dir, err := os.MkdirTemp(s.Dir, copyPattern)
	if err != nil {
		return weir.E("backup", weir.DiskFull, "make room for a copy of the state: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied := filepath.Join(dir, stateName)
	if err := s.CopyState(w.ctx, copied); err != nil {
		return err
	}
	if err := w.putJSON(headName, w.head); err != nil {
		return err
	}
	return w.putFile(stateName, copied)
}

// writeJournal writes the journal as of after the copy of the state, which
// therefore is not ahead of it.
func writeJournal(w *writer, s Source) error {
	files, release, err := s.Journal(w.ctx)
	if err != nil {
		return err
	}
	defer release()
	for i := range files {
		f := &files[i]
		if err := w.put(path.Join(journalDir, f.Name), f.Size, io.NewSectionReader(f, 0, f.Size)); err != nil {
			return err
		}
	}
	return nil
}

// writeBlobs writes all blobs that are whole. Those of the records in the
// backup are: they were durable before their records. One that vanishes
// meanwhile was an orphan.
func writeBlobs(w *writer, s Source) error {
	root := filepath.Join(s.Dir, blobDir)
	return fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && name == "tmp":
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		err = w.putFile(path.Join(blobDir, name), filepath.Join(root, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func writeKey(w *writer, s Source) error {
	if !s.Key {
		return nil
	}
	return w.putFile(keyName, filepath.Join(s.Dir, keyName))
}

func writeSums(w *writer, _ Source) error {
	return w.putJSON(sumsName, w.sums)
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}
