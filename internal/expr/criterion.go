package expr

import (
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
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

// Index finds the criteria that an event may meet without looking at all. What
// it leaves out neither holds nor fails for the event; what it selects must
// still be evaluated.
//
// A criterion stands under its literal types and the literal beginnings of its
// patterns; there, where its condition needs a field to equal a constant, under
// that constant.
type Index struct {
	exact    map[string]*bucket
	prefixes map[string]*bucket
	lengths  []int // of prefixes, sorted
}

// Entry is a criterion with the number by which it is selected.
type Entry struct {
	Criterion
	Number int
}

// NewIndex builds an index.
func NewIndex(entries []Entry) *Index {
	x := &Index{exact: map[string]*bucket{}, prefixes: map[string]*bucket{}}
	for _, e := range entries {
		if e.Types.any {
			x.add(x.prefixes, "", e)
		}
		for _, p := range e.Types.patterns {
			prefix, whole := literal(p)
			if whole {
				x.add(x.exact, prefix, e)
			} else {
				x.add(x.prefixes, prefix, e)
			}
		}
	}
	for prefix := range x.prefixes {
		if !slices.Contains(x.lengths, len(prefix)) {
			x.lengths = append(x.lengths, len(prefix))
		}
	}
	slices.Sort(x.lengths)
	return x
}

func (x *Index) add(to map[string]*bucket, under string, e Entry) {
	if to[under] == nil {
		to[under] = &bucket{}
	}
	to[under].add(e)
}

// Select appends the numbers of all criteria that v.Event may meet, sorted and
// each once.
func (x *Index) Select(v *Vars, into []int) []int {
	eventType := v.Event.Event.Type
	from := len(into)
	if b := x.exact[eventType]; b != nil {
		into = b.choose(v, into)
	}
	for _, n := range x.lengths {
		if n > len(eventType) {
			break
		}
		if b := x.prefixes[eventType[:n]]; b != nil {
			into = b.choose(v, into)
		}
	}
	slices.Sort(into[from:])
	return into[:from+len(slices.Compact(into[from:]))]
}

// bucket holds the criteria under one type or beginning.
type bucket struct {
	plain  []int
	equal  []*equal // one per path
	byPath map[string]*equal
}

// equal holds the criteria that need one field to equal a constant.
type equal struct {
	path []string
	by   map[constant][]int
	all  []int
}

func (b *bucket) add(e Entry) {
	path, key, ok := indexable(e.Where)
	if !ok {
		b.plain = append(b.plain, e.Number)
		return
	}
	if b.byPath == nil {
		b.byPath = map[string]*equal{}
	}
	name := pathName(path)
	group := b.byPath[name]
	if group == nil {
		group = &equal{path: path, by: map[constant][]int{}}
		b.byPath[name] = group
		b.equal = append(b.equal, group)
	}
	group.by[key] = append(group.by[key], e.Number)
	group.all = append(group.all, e.Number)
}

// choose appends the criteria whose constant is the field's value. Where the
// field is missing or no scalar, the condition may fail rather than not hold,
// so all are chosen.
func (b *bucket) choose(v *Vars, into []int) []int {
	into = append(into, b.plain...)
	for _, group := range b.equal {
		value, found := v.Lookup(group.path)
		key, ok := constantOf(value)
		if !found || !ok {
			into = append(into, group.all...)
			continue
		}
		into = append(into, group.by[key]...)
	}
	return into
}

// indexable returns the first equality of a condition by which it can be found.
// A condition that may run out of budget before it comes to its equality must
// fail in front of everyone.
func indexable(p *Program) (path []string, key constant, ok bool) {
	if p == nil || p.counted {
		return nil, constant{}, false
	}
	for _, eq := range p.equals {
		if key, ok := constantOf(eq.Value); ok {
			return eq.Path, key, true
		}
	}
	return nil, constant{}, false
}

// constant is a scalar by which CEL's equality can be looked up: values that
// are equal for CEL have the same constant. Numbers of all kinds are equal by
// value.
type constant struct {
	kind byte
	text string
	num  float64
}

func constantOf(v ref.Val) (constant, bool) {
	switch v := v.(type) {
	case types.String:
		return constant{kind: 's', text: string(v)}, true
	case types.Int:
		return constant{kind: 'n', num: float64(v)}, true
	case types.Uint:
		return constant{kind: 'n', num: float64(v)}, true
	case types.Double:
		return constant{kind: 'n', num: float64(v)}, true
	case types.Bool:
		if v {
			return constant{kind: 't'}, true
		}
		return constant{kind: 'f'}, true
	case types.Null:
		return constant{kind: '0'}, true
	}
	return constant{}, false
}
