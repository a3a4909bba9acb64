// Package project reads project files: it turns their text into definitions,
// says with file, line and column what is wrong in them, and what an apply of
// them changes.
//
// It reads and compares values and does no I/O. The API validates what is
// applied with it, the CLI shows its problems. The language is in
// docs/guide/language.md.
package project

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"weir"
)

// The bounds of what is read at once.
const (
	MaxFileSize    = 1 << 20 // bytes of one file
	MaxDefinitions = 50_000  // of all files together
)

// File is a project file. Name is what problems call it.
type File struct {
	Name string
	Text []byte
}

// Set is what files define, with what is needed to validate it.
type Set struct {
	Parts
	problems Problems
	warnings Problems
	runs     []runRef
	places   map[name]place
}

// name identifies a definition within a project.
type name struct {
	kind weir.DefinitionKind
	text string
}

// place is where something stands in a file.
type place struct {
	reader *reader
	node   *node
}

// runRef is a place that names a pipeline to run on what a trigger fired.
type runRef struct {
	place
	trigger  string
	pipeline string
	many     bool // the batch may have several events
}

// Parse reads files into a Set. The error is Problems: all that is wrong in
// them but what Validate finds. The Set is never nil, so that Validate can
// complete the problems; it is fit for nothing else where there is an error.
func Parse(files ...File) (*Set, error) {
	s := &Set{places: map[name]place{}}
	for _, f := range files {
		r := &reader{set: s, name: f.Name, text: string(f.Text)}
		r.file()
		s.problems = append(s.problems, r.problems...)
		s.warnings = append(s.warnings, r.warnings...)
	}
	s.sort()
	return s, s.problems.sorted().err()
}

// file reads the reader's file.
func (r *reader) file() {
	r.text = strings.TrimPrefix(r.text, "\ufeff")
	if len(r.text) > MaxFileSize {
		r.report(Problem{File: r.name, Message: fmt.Sprintf("%d bytes, and %d are the most of a file", len(r.text), MaxFileSize)})
		return
	}
	if i := invalidUTF8(r.text); i >= 0 {
		before := r.text[:i]
		line := strings.LastIndexByte(before, '\n') + 1
		at := &node{line: strings.Count(before, "\n") + 1, column: utf8.RuneCountInString(before[line:]) + 1}
		r.fail(at, "", "not UTF-8: byte %#x", r.text[i])
		return
	}
	root := r.tree()
	if root == nil || root.isNull() {
		return
	}
	for _, section := range r.entries(root, projectKeys) {
		r.section(section)
	}
}

func invalidUTF8(s string) int {
	for i, c := range s {
		if c == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			return i
		}
	}
	return -1
}

var projectKeys = keys{
	of:      "a project file",
	known:   []string{"sources", "triggers", "pipelines", "destinations"},
	later:   []string{"events", "strict", "functions", "schedules", "workflows"},
	example: "triggers: {…}",
}

// section reads all definitions of one kind.
func (r *reader) section(n *node) {
	kind := weir.DefinitionKind(strings.TrimSuffix(n.path, "s"))
	if n.isNull() || !r.isMapping(n, n.path, "{name: {…}}") {
		return
	}
	for _, f := range n.fields {
		text := r.defined(kind, f.key)
		if text == "" {
			continue
		}
		switch kind {
		case weir.KindSource:
			r.source(text, f.value)
		case weir.KindTrigger:
			r.trigger(text, f.value)
		case weir.KindPipeline:
			r.pipeline(text, f.value)
		case weir.KindDestination:
			r.destination(text, f.value)
		}
	}
}

// defined checks the name of a definition, remembers where it is given, and
// returns it, "" where it cannot be used.
func (r *reader) defined(kind weir.DefinitionKind, key *node) string {
	text := key.text
	if kind == weir.KindDestination {
		text = r.origin(key)
	} else if !validName(text) {
		r.fail(key, "use a-z, 0-9, _ and -, beginning with a letter, 63 at most", "%q is no name for a %s", clip(text), kind)
		return ""
	}
	id := name{kind, text}
	if before, taken := r.set.places[id]; taken && text != "" {
		r.fail(key, "", "the %s %q is given twice: first in %s:%d", kind, text, before.reader.name, before.node.line)
		return ""
	}
	if len(r.set.places) == MaxDefinitions {
		r.fail(key, "", "more than %d definitions", MaxDefinitions)
	}
	if len(r.set.places) >= MaxDefinitions {
		return ""
	}
	r.set.places[id] = place{r, key}
	return text
}

// validName reports whether s is [a-z][a-z0-9_-]{0,62}.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// sort puts the definitions in order of their names, which are all different.
func (p *Parts) sort() {
	slices.SortFunc(p.Sources, func(a, b weir.Source) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.Triggers, func(a, b weir.Trigger) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.Pipelines, func(a, b weir.Pipeline) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.Destinations, func(a, b weir.Destination) int { return cmp.Compare(a.Name, b.Name) })
}
