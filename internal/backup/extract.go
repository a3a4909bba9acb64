package backup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"weir"
)

// maxText bounds head and sums, in bytes.
const maxText = 256 << 20

// Extract writes what a backup holds into dir, which it makes and which must be
// empty, and checks every sum. Told, which may be nil, hears how far it is. On
// an error nothing is left in dir. A file that is no backup, incomplete, changed
// or of a newer format is Invalid, a dir that is not empty a Conflict.
func Extract(ctx context.Context, from io.Reader, dir string, told func(Standing)) (head Head, err error) {
	made, err := makeEmpty(dir)
	if err != nil {
		return head, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clean(dir, made))
		}
	}()
	x, err := begin(ctx, from, dir)
	if err != nil {
		return head, err
	}
	x.told = told
	if err := x.all(); err != nil {
		return x.head, err
	}
	for made := range x.dirs {
		if err := syncDir(made); err != nil {
			return x.head, err
		}
	}
	return x.head, x.complete()
}

// partSuffix ends the name of the state until all is there: no server begins on
// a journal without its state.
const partSuffix = ".part"

// complete gives the state its name.
func (x *extractor) complete() error {
	to := filepath.Join(x.dir, stateName)
	if err := os.Rename(to+partSuffix, to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDir(x.dir)
}

// Check reads a whole backup and checks every sum, without writing anything. Its
// errors are those of Extract.
func Check(ctx context.Context, from io.Reader) (Head, error) {
	x, err := begin(ctx, from, "")
	if err != nil {
		return Head{}, err
	}
	return x.head, x.all()
}

// begin reads what the file says that it is.
func begin(ctx context.Context, from io.Reader, dir string) (*extractor, error) {
	unpacked, err := unpack(from)
	if err != nil {
		return nil, err
	}
	x := &extractor{ctx: ctx, tar: tar.NewReader(unpacked), dir: dir, dirs: map[string]bool{dir: true}}
	return x, x.readHead()
}

// makeEmpty makes dir, or takes one that is empty.
func makeEmpty(dir string) (made bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return true, os.MkdirAll(dir, 0o700)
	case err != nil:
		return false, weir.E("restore", weir.Invalid, "%w", err)
	case len(entries) > 0:
		return false, weir.E("restore", weir.Conflict, "%s is not empty: name a directory that is, or that is not there yet", dir)
	}
	return false, nil
}

// clean takes out of dir what was put there.
func clean(dir string, made bool) error {
	if made {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// unpack undoes gzip, where the file is one.
func unpack(from io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(from, 1<<20)
	if magic, _ := b.Peek(2); len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, invalid("%w", err)
	}
	return z, nil
}

type extractor struct {
	ctx   context.Context
	tar   *tar.Reader
	dir   string // "": nothing is written
	told  func(Standing)
	head  Head
	seen  []Sum
	dirs  map[string]bool
	bytes int64
}

func invalid(format string, args ...any) error {
	return weir.E("read backup", weir.Invalid, format, args...)
}

// entry returns the next part's name and size.
func (x *extractor) entry() (*tar.Header, error) {
	h, err := x.tar.Next()
	switch {
	case errors.Is(err, io.EOF) && x.seen == nil:
		return nil, invalid("the file is no backup of weir: it is empty")
	case err != nil && x.seen == nil:
		return nil, invalid("the file is no backup of weir: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, invalid("the file is incomplete: it ends before %s, after %d parts", sumsName, len(x.seen))
	case err != nil:
		return nil, invalid("after %d parts: %w", len(x.seen), err)
	case h.Typeflag != tar.TypeReg:
		return nil, invalid("%q is no file", h.Name)
	}
	return h, nil
}

func (x *extractor) readHead() error {
	h, err := x.entry()
	if err != nil {
		return err
	}
	if h.Name != headName {
		return invalid("the file is no backup of weir: it begins with %q", h.Name)
	}
	if err := x.readJSON(h, &x.head); err != nil {
		return err
	}
	if x.head.Format > Format {
		return invalid("it has format %d, written by weir %s, and this one reads up to %d: use that weir or a newer one",
			x.head.Format, x.head.Version, Format)
	}
	return nil
}

// all takes all parts that are left.
func (x *extractor) all() error {
	for {
		if done, err := x.next(); done || err != nil {
			return err
		}
	}
}

// next takes one part, and reports whether it was the last.
func (x *extractor) next() (bool, error) {
	h, err := x.entry()
	if err != nil {
		return false, err
	}
	if h.Name == sumsName {
		return true, x.check(h)
	}
	if !belongs(h.Name) {
		return false, invalid("%q is no part of a backup", h.Name)
	}
	return false, x.part(h)
}

// part takes a file.
func (x *extractor) part(h *tar.Header) (err error) {
	if x.dir == "" {
		return x.copy(h, io.Discard)
	}
	f, err := x.create(h.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
	return x.copy(h, f)
}

// belongs reports whether a name may stand in a data directory.
func belongs(name string) bool {
	if !filepath.IsLocal(name) || filepath.ToSlash(filepath.Clean(name)) != name {
		return false
	}
	return name == stateName || name == keyName || strings.HasPrefix(name, journalDir+"/") || strings.HasPrefix(name, blobDir+"/")
}

// create makes the file of a part, and the directories that it stands in.
func (x *extractor) create(name string) (*os.File, error) {
	to := filepath.Join(x.dir, filepath.FromSlash(name))
	if name == stateName {
		to += partSuffix
	}
	for dir := filepath.Dir(to); !x.dirs[dir]; dir = filepath.Dir(dir) {
		x.dirs[dir] = true
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, invalid("%s stands in it twice", name)
	}
	return f, err
}

func (x *extractor) copy(h *tar.Header, to io.Writer) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum), reader{x.ctx, x.tar})
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the file is incomplete: it ends within %s", h.Name)
	}
	x.took(Sum{h.Name, n, hex.EncodeToString(sum.Sum(nil))})
	return err
}

func (x *extractor) took(s Sum) {
	x.seen = append(x.seen, s)
	x.bytes += s.Size
	if x.told != nil {
		x.told(Standing{Part: s.Name, Parts: len(x.seen), Bytes: x.bytes})
	}
}

func (x *extractor) readJSON(h *tar.Header, v any) error {
	text, err := io.ReadAll(io.LimitReader(x.tar, maxText))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the file is incomplete: it ends within %s", h.Name)
	}
	if err != nil {
		return invalid("%s: %w", h.Name, err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return invalid("%s: %w", h.Name, err)
	}
	sum := sha256.Sum256(text)
	x.took(Sum{h.Name, int64(len(text)), hex.EncodeToString(sum[:])})
	return nil
}

// check compares what was read with what was written.
func (x *extractor) check(h *tar.Header) error {
	read := x.seen
	var want sums
	if err := x.readJSON(h, &want); err != nil {
		return err
	}
	if len(want.Parts) != len(read) {
		return invalid("it has %d parts, and was written with %d", len(read), len(want.Parts))
	}
	for i, s := range want.Parts {
		if s != read[i] {
			return invalid("%s was changed since it was written: its sum is not the one in %s", read[i].Name, sumsName)
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
