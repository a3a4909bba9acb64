package yaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"weir"
)

// MaxProblems bounds how many problems are told at once.
const MaxProblems = 100

// Problem is one thing that is wrong in a project file, or, among warnings, one
// that is allowed and probably not meant.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`            // from 1; 0: the file as a whole
	Column  int    `json:"column"`          // from 1, in characters
	Field   string `json:"field,omitempty"` // "triggers.usage.fire[0].count"
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`  // what to write instead
	Text    string `json:"text,omitempty"`  // the line at fault, of a long one the part around the column
	Caret   int    `json:"caret,omitempty"` // where the column is in Text, from 1
}

// String returns "file:line:column: message (hint)".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Show returns the problem for a terminal: "file:line:column: message", the
// line at fault with a caret under its column, and the hint, each on its line.
func (p Problem) Show() string {
	bare := p
	bare.Hint = ""
	lines := []string{bare.String()}
	if p.Text != "" {
		lines = append(lines, "  "+p.Text, "  "+indent(p.Text, p.Caret)+"^")
	}
	if p.Hint != "" {
		lines = append(lines, "  "+p.Hint)
	}
	return strings.Join(lines, "\n") + "\n"
}

// window cuts a long line around a column, and returns the column in the rest.
func window(line []rune, column int) (string, int) {
	const width, before = 120, 40
	from := 0
	if len(line) > width && column > before {
		from = min(column-before, len(line)-width)
	}
	return string(line[from:min(from+width, len(line))]), column - from
}

// indent returns what stands before the column, blanked out; tabs stay, so that
// the caret lies under its column however wide they are shown.
func indent(text string, column int) string {
	var b strings.Builder
	n := 1
	for _, c := range text {
		if n >= column {
			break
		}
		n++
		if c != '\t' {
			c = ' '
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Problems are all that is wrong, sorted by place. As an error it has the code
// weir.Invalid.
type Problems []Problem

// Error returns one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns a *weir.Error with the first problem's field and message, so
// that callers branch on its code.
func (ps Problems) Unwrap() error {
	if len(ps) == 0 {
		return nil
	}
	return weir.E("", weir.Invalid, "%s", ps[0].String()).WithField(ps[0].Field)
}

// Show returns the problems for a terminal, with an empty line between them.
func (ps Problems) Show() string {
	parts := make([]string, len(ps))
	for i, p := range ps {
		parts[i] = p.Show()
	}
	return strings.Join(parts, "\n")
}

// Sorted returns the problems by place, each once, maxProblems at most.
func (ps Problems) Sorted() Problems {
	out := slices.Clone(ps)
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Message, b.Message))
	})
	out = slices.Compact(out)
	if len(out) > MaxProblems {
		last := out[MaxProblems-1]
		out = append(out[:MaxProblems:MaxProblems], Problem{File: last.File, Message: "and more"})
	}
	return out
}

// Err returns the problems as an error, nil where there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Meant returns a hint that names the candidate that word was probably meant to
// be, or, where none is near, otherwise.
func Meant(word string, candidates []string, otherwise string) string {
	best, least := "", max(1, utf8.RuneCountInString(word)/3)+1
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if d := distance(word, c); d < least {
			best, least = c, d
		}
	}
	if best == "" {
		return otherwise
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance is how many letters are to be added, dropped, replaced or swapped
// with their neighbour to make b of a. Words of very different length are far
// apart without counting.
func distance(a, b string) int {
	x, y := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	if len(x) > len(y)+8 || len(y) > len(x)+8 {
		return len(x) + len(y)
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+substitution(x[i], y[j]))
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}

func substitution(a, b rune) int {
	if a == b {
		return 0
	}
	return 1
}
