// Package pack carries project files from a directory to a server: it collects
// them with the files that they name, writes them as a tar, and reads that tar
// with bounds.
//
// It does not know what project files mean, but for where they name other files.
// The command line collects and writes, the API reads.
package pack

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"weir"
	"weir/internal/project/yaml"
)

// The bounds of what is applied at once.
const (
	MaxSize     = 16 << 20 // bytes of the tar
	MaxEntries  = 1000
	MaxFileSize = 1 << 20 // bytes of one file
)

// Root is a directory with the files of it that are applied.
type Root struct {
	Dir   string            // as it was named: names in errors begin with it
	From  string            // what the definitions are said to come from
	Files map[string][]byte // by slash-separated path below Dir
}

// IsProjectFile reports whether a file is one of definitions: all others are what
// those may name.
func IsProjectFile(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// Names returns the paths of the files, sorted.
func (r *Root) Names() []string {
	names := make([]string, 0, len(r.Files))
	for name := range r.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Shown returns what errors call a file.
func (r *Root) Shown(name string) string { return path.Join(filepath.ToSlash(r.Dir), name) }

// Collect reads the files and directories that paths name. Of a directory these
// are all project files below it that are not hidden. With each go the files that
// it names; what is not there, the server tells with its place.
func Collect(paths ...string) ([]Root, error) {
	var roots []Root
	for _, p := range paths {
		r, err := collect(filepath.Clean(p))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(roots, func(other Root) bool { return other.From == r.From }) {
			return nil, weir.E("", weir.Invalid, "%s is given twice", r.From)
		}
		roots = append(roots, r)
	}
	return roots, nil
}

func collect(named string) (Root, error) {
	info, err := os.Stat(named)
	if err != nil {
		return Root{}, weir.E("", weir.Invalid, "%w", err)
	}
	r := Root{Dir: named, From: filepath.ToSlash(named), Files: map[string][]byte{}}
	if !info.IsDir() {
		r.Dir = filepath.Dir(named)
	}
	dir, err := os.OpenRoot(r.Dir)
	if err != nil {
		return Root{}, weir.E("", weir.Invalid, "%w", err)
	}
	defer dir.Close() //nolint:errcheck // only read
	c := collector{root: &r, dir: dir.FS()}
	if info.IsDir() {
		err = fs.WalkDir(c.dir, ".", c.walk)
	} else {
		err = c.named(named)
	}
	switch {
	case err != nil:
	case len(r.Files) == 0:
		err = weir.E("", weir.Invalid, "%s has no .yaml file", named)
	case len(r.Files) > 1 && !info.IsDir() && !IsProjectFile(named):
		err = weir.E("", weir.Invalid, "%s names other files, so its own name has to end in .yaml", named)
	}
	return r, err
}

// named takes the one file that was named, which may be a link or a pipe.
func (c *collector) named(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return weir.E("", weir.Invalid, "%w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return weir.E("", weir.Invalid, "%w", err)
	}
	if len(text) > MaxFileSize {
		return weir.E("", weir.TooLarge, "%s has more than the %d bytes that a file may have", file, MaxFileSize)
	}
	c.root.Files[filepath.Base(file)] = text
	return c.projectFile(filepath.Base(file))
}

// collector fills a root. What dir opens does not leave it, by links neither.
type collector struct {
	root *Root
	dir  fs.FS
}

func (c *collector) walk(name string, entry fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return weir.E("", weir.Invalid, "%w", err)
	case name != "." && strings.HasPrefix(entry.Name(), "."):
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	case entry.IsDir() || !IsProjectFile(name):
		return nil
	}
	return c.projectFile(name)
}

// projectFile takes a project file with what it names.
func (c *collector) projectFile(name string) error {
	if err := c.take(name); err != nil {
		return err
	}
	r := yaml.Reader{Name: name, Text: string(c.root.Files[name])}
	root := r.Tree()
	if root == nil || !root.Has("events") {
		return nil // the server says what is wrong
	}
	for _, event := range root.At("events").Fields {
		schema := event.Value.At("schema")
		at := path.Join(path.Dir(name), schema.Text)
		if !event.Value.Has("schema") || !schema.IsText() || schema.Text == "" || path.IsAbs(schema.Text) || !fs.ValidPath(at) {
			continue
		}
		if err := c.take(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// take reads one file.
func (c *collector) take(name string) error {
	if _, taken := c.root.Files[name]; taken {
		return nil
	}
	shown := c.root.Shown(name)
	info, err := fs.Stat(c.dir, name)
	if err != nil {
		return weir.E("", weir.Invalid, "%s: %w", shown, reason(err))
	}
	if !info.Mode().IsRegular() {
		return weir.E("", weir.Invalid, "%s is no regular file", shown)
	}
	if info.Size() > MaxFileSize {
		return weir.E("", weir.TooLarge, "%s has %d bytes, and %d are the most of a file", shown, info.Size(), MaxFileSize)
	}
	if len(c.root.Files) == MaxEntries {
		return weir.E("", weir.TooLarge, "more than %d files", MaxEntries)
	}
	text, err := fs.ReadFile(c.dir, name)
	if err != nil {
		return weir.E("", weir.Invalid, "%s: %w", shown, reason(err))
	}
	c.root.Files[name] = text
	return nil
}

// reason returns what an error of a path says besides the path.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
