package project

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
)

// reader reads one file into a Set and collects what is wrong in it.
type reader struct {
	set      *Set
	name     string
	text     string
	lines    [][]rune // of text, once one was asked for
	problems Problems
	warnings Problems
}

// report keeps a problem, until there are more than are told.
func (r *reader) report(p Problem) {
	if !r.full() {
		r.problems = append(r.problems, p)
	}
}

func (r *reader) full() bool { return len(r.problems) > maxProblems }

// fail reports a problem at a node.
func (r *reader) fail(at *node, hint, format string, args ...any) {
	if !r.full() {
		r.report(r.problem(at, hint, fmt.Sprintf(format, args...)))
	}
}

// warn reports what is allowed and probably not meant.
func (r *reader) warn(at *node, hint, format string, args ...any) {
	r.warnings = append(r.warnings, r.problem(at, hint, fmt.Sprintf(format, args...)))
}

func (r *reader) problem(at *node, hint, text string) Problem {
	line := r.line(at.line)
	p := Problem{File: r.name, Line: at.line, Field: at.path, Message: text, Hint: hint}
	p.Column = min(max(at.column, 1), len(line)+1)
	p.Text, p.Caret = window(line, p.Column)
	return p
}

// line returns a line of the file, from 1; nil where there is none.
func (r *reader) line(n int) []rune {
	if r.lines == nil {
		for text := range strings.SplitSeq(r.text, "\n") {
			r.lines = append(r.lines, []rune(strings.TrimSuffix(text, "\r")))
		}
	}
	if n < 1 || n > len(r.lines) {
		return nil
	}
	return r.lines[n-1]
}

// rest returns what stands in a line from a column on.
func (r *reader) rest(line, column int) []rune {
	text := r.line(line)
	return text[min(max(column-1, 0), len(text)):]
}

// keys are what a mapping may contain.
type keys struct {
	of      string   // "a trigger"
	known   []string // what this build reads
	later   []string // what the language has and this build refuses
	example string   // of the whole mapping
}

// entries yields the keys of a mapping that are known, and reports all others.
func (r *reader) entries(n *node, k keys) iter.Seq2[*node, *node] {
	return func(yield func(key, value *node) bool) {
		if !r.isMapping(n, k.of, k.example) {
			return
		}
		for _, f := range n.fields {
			switch word := f.key.text; {
			case slices.Contains(k.known, word):
				if !yield(f.key, f.value) {
					return
				}
			case slices.Contains(k.later, word):
				r.notBuilt(f.key, word)
			default:
				known := "known here: " + strings.Join(k.known, ", ")
				r.fail(f.key, meant(word, slices.Concat(k.known, k.later), known), "%s has no key %q", k.of, clip(word))
			}
		}
	}
}

func (r *reader) notBuilt(at *node, what string) {
	r.fail(at, "", "%s is not built yet", what)
}

// wrong reports a node of the wrong kind.
func (r *reader) wrong(n *node, want, example string) {
	hint := ""
	if example != "" {
		hint = "such as " + example
	}
	r.fail(n, hint, "expected %s, not %s", want, n.what())
}

// has reports whether a mapping has a key.
func (n *node) has(key string) bool {
	return slices.ContainsFunc(n.fields, func(f field) bool { return f.key.text == key })
}

func (r *reader) isMapping(n *node, of, example string) bool {
	if n.kind != mapping {
		r.wrong(n, "a mapping for "+of, example)
		return false
	}
	return true
}

// oneOrMore returns the items of a list, or the node alone.
func oneOrMore(n *node) []*node {
	if n.kind == list {
		return n.items
	}
	return []*node{n}
}

// words reads a text that may not be empty.
func (r *reader) words(n *node, example string) string {
	switch {
	case n.isText() && n.text != "":
		return n.text
	case n.kind == scalar && !n.isNull() && !n.isText():
		r.fail(n, quoteIt(n.text), "expected text, not %s", n.what())
	case n.isText():
		r.fail(n, "such as "+example, "the text is empty")
	default:
		r.wrong(n, "text", example)
	}
	return ""
}

// code reads the text of an expression, which may look like a boolean or a
// number.
func (r *reader) code(n *node, example string) string {
	if n.kind != scalar || n.isNull() || strings.TrimSpace(n.text) == "" {
		r.wrong(n, "an expression", example)
		return ""
	}
	return n.text
}

// whole reads an integer within bounds.
func (r *reader) whole(n *node, low, high int) int {
	if n.kind != scalar || n.quoted || !intPattern.MatchString(n.text) {
		r.wrong(n, "a whole number", strconv.Itoa(max(low, 5)))
		return low
	}
	v, err := strconv.Atoi(n.text)
	if err != nil || v < low || v > high {
		r.fail(n, "", "%s is not from %d to %d", clip(n.text), low, high)
		return low
	}
	return v
}

// factor reads a number within bounds.
func (r *reader) factor(n *node, low, high float64) float64 {
	v, err := strconv.ParseFloat(n.text, 64)
	if n.kind != scalar || n.quoted || !floatPattern.MatchString(n.text) || err != nil {
		r.wrong(n, "a number", "2")
		return low
	}
	if v < low || v > high {
		r.fail(n, "", "%s is not from %g to %g", clip(n.text), low, high)
		return low
	}
	return v
}

// flag reads a boolean.
func (r *reader) flag(n *node) bool {
	if !n.isBool() {
		r.wrong(n, "true or false", "")
	}
	return n.isTrue()
}

// duration reads a duration of at least a millisecond.
func (r *reader) duration(n *node, high time.Duration) weir.Duration {
	if n.isNumber() {
		r.fail(n, "such as "+n.text+"s", "%s has no unit", clip(n.text))
		return 0
	}
	if !n.isText() {
		r.wrong(n, "a duration", "250ms, 5s, 1h30m or 7d")
		return 0
	}
	d, err := weir.ParseDuration(n.text)
	switch {
	case err != nil:
		r.fail(n, "such as 250ms, 5s, 1h30m or 7d", "%q is not a duration", clip(n.text))
	case d.Std() < time.Millisecond || d.Std() > high:
		r.fail(n, "", "%s is not from 1ms to %s", clip(n.text), weir.Duration(high))
	default:
		return d
	}
	return 0
}

// choice reads one of several words; those of later are refused by name.
func (r *reader) choice(n *node, known, later []string) string {
	all := strings.Join(known, ", ")
	switch {
	case !n.isText():
		r.wrong(n, "one of "+all, "")
	case slices.Contains(known, n.text):
		return n.text
	case slices.Contains(later, n.text):
		r.notBuilt(n, lastKey(n.path)+": "+n.text)
	default:
		r.fail(n, meant(n.text, slices.Concat(known, later), "use "+all), "%q is not known here", clip(n.text))
	}
	return ""
}

// lastKey returns the last key of a path.
func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
