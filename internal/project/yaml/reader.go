package yaml

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
)

// Reader reads one file and collects what is wrong in it. Its zero value but for
// Name and Text is ready.
type Reader struct {
	Name     string // what problems call the file
	Text     string
	Problems Problems
	Warnings Problems
	lines    [][]rune // of Text, once one was asked for
}

// Report keeps a problem, until there are more than are told.
func (r *Reader) Report(p Problem) {
	if !r.full() {
		r.Problems = append(r.Problems, p)
	}
}

func (r *Reader) full() bool { return len(r.Problems) > MaxProblems }

// Fail reports a problem at a node.
func (r *Reader) Fail(at *Node, hint, format string, args ...any) {
	if !r.full() {
		r.Report(r.Problem(at, hint, fmt.Sprintf(format, args...)))
	}
}

// Warn reports what is allowed and probably not meant.
func (r *Reader) Warn(at *Node, hint, format string, args ...any) {
	r.Warnings = append(r.Warnings, r.Problem(at, hint, fmt.Sprintf(format, args...)))
}

// Problem makes a problem at a node, with the line that it stands in.
func (r *Reader) Problem(at *Node, hint, text string) Problem {
	line := r.Line(at.Line)
	p := Problem{File: r.Name, Line: at.Line, Field: at.Path(), Message: text, Hint: hint}
	p.Column = min(max(at.Column, 1), len(line)+1)
	p.Text, p.Caret = window(line, p.Column)
	return p
}

// Line returns a line of the file, from 1; nil where there is none.
func (r *Reader) Line(n int) []rune {
	if r.lines == nil {
		for text := range strings.SplitSeq(r.Text, "\n") {
			r.lines = append(r.lines, []rune(strings.TrimSuffix(text, "\r")))
		}
	}
	if n < 1 || n > len(r.lines) {
		return nil
	}
	return r.lines[n-1]
}

// Rest returns what stands in a line from a column on.
func (r *Reader) Rest(line, column int) []rune {
	text := r.Line(line)
	return text[min(max(column-1, 0), len(text)):]
}

// Keys are what a mapping may contain.
type Keys struct {
	Of      string   // "a trigger"
	Known   []string // what this build reads
	Later   []string // what the language has and this build refuses
	Example string   // of the whole mapping
}

// Entries yields the keys of a mapping that are known, and reports all others.
func (r *Reader) Entries(n *Node, k Keys) iter.Seq2[*Node, *Node] {
	return func(yield func(key, value *Node) bool) {
		if !r.IsMapping(n, k.Of, k.Example) {
			return
		}
		for _, f := range n.Fields {
			switch word := f.Key.Text; {
			case slices.Contains(k.Known, word):
				if !yield(f.Key, f.Value) {
					return
				}
			case slices.Contains(k.Later, word):
				r.NotBuilt(f.Key, word)
			default:
				known := "known here: " + strings.Join(k.Known, ", ")
				r.Fail(f.Key, Meant(word, slices.Concat(k.Known, k.Later), known), "%s has no key %q", k.Of, Clip(word))
			}
		}
	}
}

// NotBuilt reports what the language has and this build refuses.
func (r *Reader) NotBuilt(at *Node, what string) {
	r.Fail(at, "", "%s is not built yet", what)
}

// Wrong reports a node of the wrong kind.
func (r *Reader) Wrong(n *Node, want, example string) {
	hint := ""
	if example != "" {
		hint = "such as " + example
	}
	r.Fail(n, hint, "expected %s, not %s", want, n.what())
}

// Has reports whether a mapping has a key.
func (n *Node) Has(key string) bool {
	return slices.ContainsFunc(n.Fields, func(f Field) bool { return f.Key.Text == key })
}

// IsMapping reports whether a node is a mapping, and a problem where it is not.
func (r *Reader) IsMapping(n *Node, of, example string) bool {
	if n.Kind != Mapping {
		r.Wrong(n, "a mapping for "+of, example)
		return false
	}
	return true
}

// OneOrMore returns the items of a list, or the node alone.
func OneOrMore(n *Node) []*Node {
	if n.Kind == List {
		return n.Items
	}
	return []*Node{n}
}

// Words reads a text that may not be empty.
func (r *Reader) Words(n *Node, example string) string {
	switch {
	case n.IsText() && n.Text != "":
		return n.Text
	case n.Kind == Scalar && !n.IsNull() && !n.IsText():
		r.Fail(n, quoteIt(n.Text), "expected text, not %s", n.what())
	case n.IsText():
		r.Fail(n, "such as "+example, "the text is empty")
	default:
		r.Wrong(n, "text", example)
	}
	return ""
}

// Code reads the text of an expression, which may look like a boolean or a
// number.
func (r *Reader) Code(n *Node, example string) string {
	if n.Kind != Scalar || n.IsNull() || strings.TrimSpace(n.Text) == "" {
		r.Wrong(n, "an expression", example)
		return ""
	}
	return n.Text
}

// Whole reads an integer within bounds.
func (r *Reader) Whole(n *Node, low, high int) int {
	if n.Kind != Scalar || n.Quoted || !intPattern.MatchString(n.Text) {
		r.Wrong(n, "a whole number", strconv.Itoa(max(low, 5)))
		return low
	}
	v, err := strconv.Atoi(n.Text)
	if err != nil || v < low || v > high {
		r.Fail(n, "", "%s is not from %d to %d", Clip(n.Text), low, high)
		return low
	}
	return v
}

// Factor reads a number within bounds.
func (r *Reader) Factor(n *Node, low, high float64) float64 {
	v, err := strconv.ParseFloat(n.Text, 64)
	if n.Kind != Scalar || n.Quoted || !floatPattern.MatchString(n.Text) || err != nil {
		r.Wrong(n, "a number", "2")
		return low
	}
	if v < low || v > high {
		r.Fail(n, "", "%s is not from %g to %g", Clip(n.Text), low, high)
		return low
	}
	return v
}

// Flag reads a boolean.
func (r *Reader) Flag(n *Node) bool {
	switch word := strings.ToLower(n.Text); {
	case n.isBool():
		return n.isTrue()
	case n.Kind == Scalar && oneOf(word, "yes", "on", "y"):
		r.Fail(n, "use true", "%s is text: YAML 1.2 has true and false", n.Text)
	case n.Kind == Scalar && oneOf(word, "no", "off", "n"):
		r.Fail(n, "use false", "%s is text: YAML 1.2 has true and false", n.Text)
	default:
		r.Wrong(n, "true or false", "")
	}
	return false
}

// Duration reads a duration of at least a millisecond.
func (r *Reader) Duration(n *Node, high time.Duration) weir.Duration {
	if n.isNumber() {
		r.Fail(n, "such as "+n.Text+"s", "%s has no unit", Clip(n.Text))
		return 0
	}
	if !n.IsText() {
		r.Wrong(n, "a duration", "250ms, 5s, 1h30m or 7d")
		return 0
	}
	d, err := weir.ParseDuration(n.Text)
	switch {
	case err != nil:
		r.Fail(n, "such as 250ms, 5s, 1h30m or 7d", "%q is not a duration", Clip(n.Text))
	case d.Std() < time.Millisecond || d.Std() > high:
		r.Fail(n, "", "%s is not from 1ms to %s", Clip(n.Text), weir.Duration(high))
	default:
		return d
	}
	return 0
}

// Rate reads a rate such as 50/s.
func (r *Reader) Rate(n *Node) weir.Rate {
	const example = "50/s, 100/m or 10/h"
	switch {
	case n.isNumber():
		r.Fail(n, "such as "+n.Text+"/s", "%s has no unit of time", Clip(n.Text))
	case !n.IsText():
		r.Wrong(n, "a rate", example)
	default:
		rate, err := weir.ParseRate(n.Text)
		if err != nil {
			r.Fail(n, "such as "+example, "%q is not a rate from 1 to 1000000", Clip(n.Text))
		}
		return rate
	}
	return weir.Rate{}
}

// Choice reads one of several words; those of later are refused by name.
func (r *Reader) Choice(n *Node, known, later []string) string {
	all := strings.Join(known, ", ")
	switch {
	case !n.IsText():
		r.Wrong(n, "one of "+all, "")
	case slices.Contains(known, n.Text):
		return n.Text
	case slices.Contains(later, n.Text):
		r.NotBuilt(n, lastKey(n.Path())+": "+n.Text)
	default:
		r.Fail(n, Meant(n.Text, slices.Concat(known, later), "use "+all), "%q is not known here", Clip(n.Text))
	}
	return ""
}

// lastKey returns the last key of a path.
func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// At returns what stands below n at keys of mappings and places in lists, as far
// as they are there.
func (n *Node) At(keys ...string) *Node {
	at := n
	for _, key := range keys {
		i := slices.IndexFunc(at.Fields, func(f Field) bool { return f.Key.Text == key })
		place, err := strconv.Atoi(key)
		switch {
		case i >= 0:
			at = at.Fields[i].Value
		case err == nil && place >= 0 && place < len(at.Items):
			at = at.Items[place]
		default:
			return at
		}
	}
	return at
}
