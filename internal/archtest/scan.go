package archtest

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Module is the path of the module whose source is read.
const Module = "weir"

// Repo is the parsed source of the module, by package and file.
type Repo struct {
	fsys     fs.FS
	fset     *token.FileSet
	packages []*Package // by path
}

// Package is one folder with Go files; Path is relative to the module, "." for its root.
type Package struct {
	Path  string
	Files []*File // by path
}

// File is one Go file, tests and all build tags included.
type File struct {
	Path      string
	Test      bool
	Generated bool
	Lines     int
	AST       *ast.File
}

// Finding is one place where a rule is broken.
type Finding struct {
	Rule string
	Path string
	Line int // 0 when the whole file or package is meant
	Text string
}

func (f Finding) String() string {
	place := f.Path
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.Path, f.Line)
	}
	return fmt.Sprintf("%s: %s [%s]", place, f.Text, f.Rule)
}

// Scan reads all Go files below the root of fsys, except those of nested
// modules, testdata and hidden folders.
func Scan(fsys fs.FS) (*Repo, error) {
	r := &Repo{fsys: fsys, fset: token.NewFileSet()}
	byPath := map[string]*Package{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return r.enter(name, d.Name())
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := r.parse(name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if byPath[dir] == nil {
			byPath[dir] = &Package{Path: dir}
			r.packages = append(r.packages, byPath[dir])
		}
		byPath[dir].Files = append(byPath[dir].Files, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(r.packages, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return r, nil
}

// enter says whether the walk goes into a folder.
func (r *Repo) enter(name, base string) error {
	if name == "." {
		return nil
	}
	if strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(r.fsys, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (r *Repo) parse(name string) (*File, error) {
	src, err := fs.ReadFile(r.fsys, name)
	if err != nil {
		return nil, err
	}
	tree, err := parser.ParseFile(r.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &File{
		Path:      name,
		Test:      strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(tree),
		Lines:     bytes.Count(src, []byte("\n")),
		AST:       tree,
	}, nil
}

func (r *Repo) line(p token.Pos) int { return r.fset.Position(p).Line }

// exists reports whether name is a file or folder of the repository.
func (r *Repo) exists(name string) bool {
	_, err := fs.Stat(r.fsys, name)
	return !errors.Is(err, fs.ErrNotExist) && err == nil
}

// code returns the files of p that are neither tests nor generated.
func (p *Package) code() []*File {
	var out []*File
	for _, f := range p.Files {
		if !f.Test && !f.Generated {
			out = append(out, f)
		}
	}
	return out
}

// importName returns the name under which f imports the package at importPath, or "".
func (f *File) importName(importPath string) string {
	for _, spec := range f.AST.Imports {
		if strings.Trim(spec.Path.Value, `"`) != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// calls returns the places where f uses the function or variable name of the package at importPath.
func (f *File) calls(importPath, name string) []token.Pos {
	local := f.importName(importPath)
	if local == "" {
		return nil
	}
	var out []token.Pos
	ast.Inspect(f.AST, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != name {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == local {
			out = append(out, sel.Pos())
		}
		return true
	})
	return out
}
