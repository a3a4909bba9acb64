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
	"weir/internal/project/pack"
	"weir/internal/project/yaml"
)

// The bounds of what is read at once.
const (
	MaxFileSize    = pack.MaxFileSize
	MaxDefinitions = 50_000 // of all files together, as the following
	maxExpressions = 50_000
	maxSchemas     = pack.MaxSize // bytes of schemas, one that several events name as often as it is named
)

// File is a project file.
type File struct {
	Name   string // what problems call it
	Text   []byte
	From   string            // what its definitions are said to come from
	Path   string            // of the file itself, among those beside it
	Beside map[string][]byte // the files that it may name, by path; nil: it was sent alone
}

// Files returns the project files of roots.
func Files(roots []pack.Root) []File {
	var out []File
	for i := range roots {
		for _, name := range roots[i].Names() {
			if pack.IsProjectFile(name) {
				out = append(out, File{
					Name: roots[i].Shown(name), Text: roots[i].Files[name], From: roots[i].From,
					Path: name, Beside: roots[i].Files,
				})
			}
		}
	}
	return out
}

// Set is what files define, with what is needed to validate it.
type Set struct {
	Parts
	problems yaml.Problems
	warnings yaml.Problems
	runs     []runRef
	failures []failureRef

	expressions int // compiled
	schemas     int // bytes of them
	places      map[name]place
	froms       map[string]bool // of all files
}

// Problems are all that is wrong in project files, or among warnings, what is
// allowed there and probably not meant.
type Problems = yaml.Problems

// reader reads one file into a Set.
type reader struct {
	*yaml.Reader
	set  *Set
	from File
}

// name identifies a definition within a project.
type name struct {
	kind weir.DefinitionKind
	text string
}

// place is where something stands in a file.
type place struct {
	reader *reader
	node   *yaml.Node
}

// runRef is a place that names a pipeline to run on what a trigger fired.
type runRef struct {
	place
	trigger  string
	pipeline string
	many     bool // the batch may have several events
}

// failureRef is a place that names a pipeline to run when another's run died.
type failureRef struct {
	place
	of       string // that pipeline
	pipeline string
}

// Parse reads files into a Set. The error is Problems: all that is wrong in
// them but what Validate finds. The Set is never nil, so that Validate can
// complete the problems; it is fit for nothing else where there is an error.
func Parse(files ...File) (*Set, error) {
	s := &Set{places: map[name]place{}, froms: map[string]bool{}}
	for _, f := range files {
		s.froms[f.From] = true
		r := &reader{Reader: &yaml.Reader{Name: f.Name, Text: string(f.Text)}, set: s, from: f}
		r.file()
		s.problems = append(s.problems, r.Problems...)
		s.warnings = append(s.warnings, r.Warnings...)
	}
	s.sort()
	return s, s.problems.Sorted().Err()
}

// ParseOne reads the text of one definition: what a project file has below its
// name.
func ParseOne(kind weir.DefinitionKind, called string, text []byte) *Set {
	s := &Set{places: map[name]place{}}
	r := &reader{Reader: &yaml.Reader{Name: called, Text: string(text)}, set: s}
	root := r.root()
	if root == nil && len(r.Problems) == 0 {
		r.Report(yaml.Problem{File: called, Message: "there is nothing"})
	}
	if root != nil {
		r.define(kind, yaml.Key(called, "name"), root)
	}
	s.problems, s.warnings = r.Problems, r.Warnings
	return s
}

// file reads the reader's file.
func (r *reader) file() {
	root := r.root()
	if root == nil || root.IsNull() {
		return
	}
	for key, value := range r.Entries(root, projectKeys) {
		if key.Text == Strict {
			r.define(weir.KindSetting, key, value)
		} else {
			r.section(value)
		}
	}
}

// root reads the text into nodes, nil where there is none or it cannot be read.
func (r *reader) root() *yaml.Node {
	r.Text = strings.TrimPrefix(r.Text, "\ufeff")
	if len(r.Text) > MaxFileSize {
		r.Report(yaml.Problem{File: r.Name, Message: fmt.Sprintf("%d bytes, and %d are the most of a file", len(r.Text), MaxFileSize)})
		return nil
	}
	if i := invalidUTF8(r.Text); i >= 0 {
		before := r.Text[:i]
		line := strings.LastIndexByte(before, '\n') + 1
		at := &yaml.Node{Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[line:]) + 1}
		r.Fail(at, "", "not UTF-8: byte %#x", r.Text[i])
		return nil
	}
	return r.Tree()
}

func invalidUTF8(s string) int {
	for i, c := range s {
		if c == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			return i
		}
	}
	return -1
}

var projectKeys = yaml.Keys{
	Of:      "a project file",
	Known:   []string{"sources", "triggers", "pipelines", "destinations", "events", "strict"},
	Later:   []string{"functions", "schedules", "workflows"},
	Example: "triggers: {…}",
}

// section reads all definitions of one kind.
func (r *reader) section(n *yaml.Node) {
	kind := weir.DefinitionKind(strings.TrimSuffix(n.Path(), "s"))
	if n.IsNull() || !r.IsMapping(n, n.Path(), "{name: {…}}") {
		return
	}
	for _, f := range n.Fields {
		r.define(kind, f.Key, f.Value)
	}
}

// define reads one definition.
func (r *reader) define(kind weir.DefinitionKind, key, n *yaml.Node) {
	text := r.defined(kind, key)
	if text == "" {
		return
	}
	switch kind {
	case weir.KindSource:
		r.source(text, n)
	case weir.KindTrigger:
		r.trigger(text, n)
	case weir.KindPipeline:
		r.pipeline(text, n)
	case weir.KindDestination:
		r.destination(text, n)
	case weir.KindEventType:
		r.declared(text, n)
	case weir.KindSetting:
		on := r.Flag(n)
		r.set.Strict = &on
	}
}

// defined checks the name of a definition, remembers where it is given, and
// returns it, "" where it cannot be used.
func (r *reader) defined(kind weir.DefinitionKind, key *yaml.Node) string {
	text := r.named(kind, key)
	id := name{kind, text}
	if before, taken := r.set.places[id]; taken && text != "" {
		r.Fail(key, "", "the %s %q is given twice: first in %s:%d", kind, text, before.reader.Name, before.node.Line)
		return ""
	}
	if len(r.set.places) == MaxDefinitions {
		r.Fail(key, "", "more than %d definitions", MaxDefinitions)
	}
	if len(r.set.places) >= MaxDefinitions {
		return ""
	}
	r.set.places[id] = place{r, key}
	return text
}

// named reads the name of a definition, "" where it cannot be used.
func (r *reader) named(kind weir.DefinitionKind, key *yaml.Node) string {
	switch kind {
	case weir.KindDestination:
		return r.origin(key)
	case weir.KindEventType:
		if strings.ContainsAny(key.Text, "*?[") {
			r.Fail(key, "declare each type", "%q is a glob, and what is declared is one type", yaml.Clip(key.Text))
			return ""
		}
		r.eventType(key, key.Text)
		return key.Text
	case weir.KindSetting:
		if key.Text != Strict {
			r.Fail(key, "", "there is no setting %q: there is strict", yaml.Clip(key.Text))
			return ""
		}
	case weir.KindTrigger, weir.KindPipeline, weir.KindSource:
	}
	if !validName(key.Text) {
		r.Fail(key, "use a-z, 0-9, _ and -, beginning with a letter, 63 at most", "%q is no name for a %s", yaml.Clip(key.Text), kind)
		return ""
	}
	return key.Text
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

// Definitions returns what the files define, as Parts.Definitions does, and from
// where.
func (s *Set) Definitions() []weir.Definition {
	out := s.Parts.Definitions()
	for i := range out {
		id := nameOf(out[i])
		if trigger, _, inline := strings.Cut(id.text, "."); inline && id.kind == weir.KindPipeline {
			id = name{weir.KindTrigger, trigger}
		}
		out[i].From = s.places[id].reader.from.From
	}
	return out
}

// sort puts the definitions in order of their names, which are all different.
func (p *Parts) sort() {
	slices.SortFunc(p.Sources, func(a, b weir.Source) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.Triggers, func(a, b weir.Trigger) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.Pipelines, func(a, b weir.Pipeline) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.Destinations, func(a, b weir.Destination) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.EventTypes, func(a, b weir.EventType) int { return cmp.Compare(a.Name, b.Name) })
}
