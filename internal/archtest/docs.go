package archtest

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// documents are the pages whose file and package names must exist.
var documents = []string{"README.md", "CONTRIBUTING.md", "docs/architecture.md"}

// tops are the first parts of paths in this repository.
var tops = map[string]bool{
	".ci": true, "bench": true, "client": true, "cmd": true, "docs": true, "e2e": true, "examples": true,
	"internal": true, "scripts": true, "tools": true, "web": true,
}

var quoted = regexp.MustCompile("`([^`\n]+)`")

// checkDocuments reports names of files and packages in the documents that do not exist.
func checkDocuments(r *Repo) ([]Finding, error) {
	files := map[string]bool{} // base name -> is there
	for _, p := range r.packages {
		for _, f := range p.Files {
			files[path.Base(f.Path)] = true
		}
	}
	var out []Finding
	for _, doc := range documents {
		if !r.exists(doc) {
			continue
		}
		text, err := fs.ReadFile(r.fsys, doc)
		if err != nil {
			return nil, err
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				if !r.named(m[1], files) {
					out = append(out, Finding{"document", doc, i + 1, m[1] + " does not exist"})
				}
			}
		}
	}
	return out, nil
}

// named reports whether a quoted word is something other than a name of a file or package, or one that exists.
func (r *Repo) named(word string, files map[string]bool) bool {
	word = strings.TrimSuffix(strings.TrimPrefix(word, "./"), "/")
	if strings.ContainsAny(word, " *<>{}$=:,") || strings.HasPrefix(word, "/") {
		return true
	}
	first, _, slash := strings.Cut(word, "/")
	switch {
	case !slash && strings.HasSuffix(word, ".go"):
		return files[word]
	case !slash:
		return true
	case tops[first]:
		return r.exists(word) || r.declared(word)
	case strings.HasSuffix(word, ".go") || r.exists("internal/"+first):
		return r.exists("internal/"+word) || r.declared("internal/"+word)
	}
	return true
}

// declared reports whether word is PACKAGE.NAME of a package that exists, as in `internal/fold.Turn`.
func (r *Repo) declared(word string) bool {
	dir, base := path.Split(word)
	pkg, name, ok := strings.Cut(base, ".")
	return ok && name != "" && name[0] >= 'A' && name[0] <= 'Z' && r.exists(dir+pkg)
}

var required = regexp.MustCompile(`^(?:require )?\s*(\S+\.\S+/\S+) (v\S+)$`)

// checkDependencies reports modules that the module imports and that docs/dependencies.md does not name with their version.
func checkDependencies(r *Repo) ([]Finding, error) {
	if !r.exists("go.mod") {
		return nil, nil
	}
	mod, err := fs.ReadFile(r.fsys, "go.mod")
	if err != nil {
		return nil, err
	}
	page, err := fs.ReadFile(r.fsys, "docs/dependencies.md")
	if err != nil {
		return nil, err
	}
	var out []Finding
	for i, line := range strings.Split(string(mod), "\n") {
		m := required.FindStringSubmatch(line)
		if m != nil && !strings.Contains(string(page), "| "+m[1]+" | "+m[2]+" |") {
			out = append(out, Finding{"dependency", "go.mod", i + 1, m[1] + " " + m[2] + " is not in docs/dependencies.md"})
		}
	}
	return out, nil
}
