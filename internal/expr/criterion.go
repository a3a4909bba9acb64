package expr

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Criterion is a compiled criterion: which types, and what must hold.
type Criterion struct {
	Types *Globs
	Where *Program // nil: nothing
}

// Holds evaluates the criterion in full. An error is that of Where.
func (c *Criterion) Holds(v *Vars) (bool, error) {
	if !c.Types.Match(v.Event.Event.Type) {
		return false, nil
	}
	if c.Where == nil {
		return true, nil
	}
	return c.Where.Bool(v)
}

// Globs says which event types a criterion takes: those that fit a pattern and
// no pattern with a leading "!". Patterns cover the whole type: * is any text,
// dots too, ? one character, [abc] one of them, [!abc] one of no other.
type Globs struct {
	any      bool
	patterns []string
	excluded []string
}

// CompileGlobs reads the patterns of a criterion: nil takes any type, none
// takes no type, exclusions alone take all but them.
func CompileGlobs(patterns []string) (*Globs, error) {
	g := &Globs{any: patterns == nil}
	for _, p := range patterns {
		body, excluded := strings.CutPrefix(p, "!")
		if at, message := checkGlob(body); message != "" {
			return nil, (&CompileError{Text: body[at:], Message: message}).in(p, at+len(p)-len(body))
		}
		if excluded {
			g.excluded = append(g.excluded, body)
		} else {
			g.patterns = append(g.patterns, body)
		}
	}
	if len(g.patterns) == 0 && len(g.excluded) > 0 {
		g.any = true
	}
	return g, nil
}

// checkGlob returns what is wrong with a pattern and where, or "".
func checkGlob(p string) (at int, message string) {
	if p == "" {
		return 0, "an empty pattern fits no type"
	}
	for i := 0; i < len(p); i++ {
		if p[i] != '[' {
			continue
		}
		end := classEnd(p[i:])
		if end < 0 {
			return i, "[ has no closing ]"
		}
		i += end - 1
	}
	return 0, ""
}

// Match reports whether a type is taken.
func (g *Globs) Match(eventType string) bool {
	fits := func(p string) bool { return matchGlob(p, eventType) }
	return (g.any || slices.ContainsFunc(g.patterns, fits)) && !slices.ContainsFunc(g.excluded, fits)
}

// plain reports whether all types are taken, or one, or those with one beginning.
func (g *Globs) plain() bool {
	one := len(g.patterns) == 1 && !strings.ContainsAny(strings.TrimSuffix(g.patterns[0], "*"), "*?[")
	return (g.any || one) && len(g.excluded) == 0
}

// matchGlob goes back to the last * only, so its time is at most the product of
// both lengths.
func matchGlob(p, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		if i < len(p) && p[i] == '*' {
			star, mark = i, j
			i++
			continue
		}
		if n, m := matchOne(p[i:], s[j:]); n > 0 {
			i, j = i+n, j+m
			continue
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(s[mark:])
		mark += size
		i, j = star+1, mark
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// matchOne matches the first element of p, which is no *, with the first
// character of s. It returns the lengths of both, or 0 where they do not fit.
func matchOne(p, s string) (inPattern, inText int) {
	if p == "" {
		return 0, 0
	}
	c, size := utf8.DecodeRuneInString(s)
	switch p[0] {
	case '?':
		return 1, size
	case '[':
		end := classEnd(p)
		class, negated := strings.CutPrefix(p[1:end-1], "!")
		if strings.ContainsRune(class, c) == negated {
			return 0, 0
		}
		return end, size
	}
	if strings.HasPrefix(p, s[:size]) {
		return size, size
	}
	return 0, 0
}

// classEnd returns the place after the ] of the class that p begins with, or
// -1. A ] that stands first belongs to the class.
func classEnd(p string) int {
	from := 1
	if strings.HasPrefix(p[from:], "!") {
		from++
	}
	if from >= len(p) {
		return -1
	}
	i := strings.IndexByte(p[from+1:], ']')
	if i < 0 {
		return -1
	}
	return from + 1 + i + 1
}

// literal returns the text before the first special character of a pattern,
// and whether that is all of it.
func literal(p string) (prefix string, whole bool) {
	i := strings.IndexAny(p, "*?[")
	if i < 0 {
		return p, true
	}
	return p[:i], false
}
