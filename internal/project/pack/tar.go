package pack

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"weir"
)

// Write returns the roots' files as a tar. Names are those below a root; of
// several roots the place of the root, from 0, stands before them.
func Write(roots []Root) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	entries := 0
	for i := range roots {
		for _, name := range roots[i].Names() {
			text := roots[i].Files[name]
			if len(roots) > 1 {
				name = path.Join(strconv.Itoa(i), name)
			}
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
				return nil, weir.E("", weir.Invalid, "%s: %w", name, err)
			}
			_, _ = w.Write(text) // into memory, as many bytes as the header says
			entries++
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if entries > MaxEntries || b.Len() > MaxSize {
		return nil, weir.E("", weir.TooLarge, "%d files of %d bytes in all, and %d files of %d bytes are the most",
			entries, b.Len(), MaxEntries, MaxSize)
	}
	return b.Bytes(), nil
}

// Read reads a tar into roots, which have what it does not tell: a Dir and a
// From. Directories and hidden files are passed over. Links, devices, what leaves
// the root, comes twice or is too large are Invalid or TooLarge, with the name as
// the field.
func Read(b []byte, roots []Root) error {
	r, size := tar.NewReader(bytes.NewReader(b)), int64(0)
	for entries := 1; ; entries++ {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
			return weir.E("", weir.Invalid, "the tar is compressed: send it plain")
		case err != nil:
			return weir.E("", weir.Invalid, "not a tar: %v", err)
		case entries > MaxEntries:
			return weir.E("", weir.TooLarge, "more than %d entries", MaxEntries)
		}
		if size += h.Size; size > MaxSize || h.Size < 0 { // a small tar may tell of much that is not in it
			return weir.E("", weir.TooLarge, "more than %d bytes", MaxSize)
		}
		name, taken, err := entryName(h)
		if err == nil && taken {
			err = add(roots, name, h, r)
		}
		if e, failed := errors.AsType[*weir.Error](err); failed {
			return e.WithField(h.Name)
		}
	}
}

// entryName returns the name of a file in a tar, and whether it is taken.
func entryName(h *tar.Header) (name string, taken bool, err error) {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader, tar.TypeDir:
		return "", false, nil
	case tar.TypeReg:
	default:
		return "", false, weir.E("", weir.Invalid, "is no regular file: links, devices and sparse files are not taken")
	}
	name = strings.TrimPrefix(h.Name, "./")
	if !fs.ValidPath(name) || strings.ContainsRune(name, '\x00') {
		return "", false, weir.E("", weir.Invalid, "is no path within the directory")
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return "", false, nil
		}
	}
	return name, true, nil
}

// add puts a file into its root.
func add(roots []Root, name string, h *tar.Header, r io.Reader) error {
	to := &roots[0]
	if len(roots) > 1 {
		place, rest, _ := strings.Cut(name, "/")
		i, err := strconv.Atoi(place)
		if err != nil || i < 0 || i >= len(roots) || rest == "" {
			return weir.E("", weir.Invalid, "begins with the place of no root: there are %d", len(roots))
		}
		to, name = &roots[i], rest
	}
	if h.Size > MaxFileSize {
		return weir.E("", weir.TooLarge, "has %d bytes, and %d are the most of a file", h.Size, MaxFileSize)
	}
	if _, twice := to.Files[name]; twice {
		return weir.E("", weir.Invalid, "is there twice")
	}
	text, err := io.ReadAll(io.LimitReader(r, MaxFileSize))
	if err != nil {
		return weir.E("", weir.Invalid, "not a tar: %v", err)
	}
	if to.Files == nil {
		to.Files = map[string][]byte{}
	}
	to.Files[name] = text
	return nil
}
