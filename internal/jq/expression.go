package jq

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// expression is what is known of a regular expression before it is compiled.
type expression struct {
	size   int64 // instructions of its machine
	groups int64
}

// match is the cost of a regular expression: of its size times the text's, and,
// where all matches are wanted, of a look through the text for each.
func match(m *meter, x any, args []any) int64 {
	text, _ := x.(string)
	pattern, _ := args[0].(string)
	flags, _ := args[1].(string)
	n, e := int64(len(text)), m.expression(pattern, flags)
	units := pointer + (n+1)*e.size
	each := 1024 + e.groups*(512+n) // what tells of a match
	switch {
	case args[2] == true:
		return units
	case !strings.Contains(flags, "g"):
		return units + each
	case units > m.left:
		return units
	}
	found := n + 1
	if r, err := regexp.Compile(pattern); err == nil && n > 1024 {
		found = 2 * int64(len(r.FindAllStringIndex(text, int(m.left/(each+n))+1)))
	}
	return units + found*(each+n)
}

// expression measures a regular expression. One that is new is charged for what
// is made of it, which gojq keeps as long as the code.
func (m *meter) expression(pattern, flags string) expression {
	key := [2]string{pattern, flags}
	if e, ok := m.expressions[key]; ok {
		return e
	}
	units := pointer + 64*int64(len(pattern)+len(flags)) // to parse it, and for errors
	if !m.charge(units) {
		return expression{}
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return expression{size: 1}
	}
	var e expression
	e.size, e.groups = measure(parsed), int64(parsed.MaxCap())
	m.kept += units + 512*e.size
	if m.charge(512 * e.size) {
		m.expressions[key] = e
	}
	return e
}

// measure is about how many instructions the machine of a regular expression
// has; ranges of characters count by their number.
func measure(re *syntax.Regexp) int64 {
	size := int64(2)
	for _, sub := range re.Sub {
		size += measure(sub)
	}
	if re.Op == syntax.OpCharClass {
		return size + int64(len(re.Rune))/16
	}
	if re.Op == syntax.OpRepeat {
		return size * int64(max(re.Min, re.Max)+1)
	}
	return size + int64(len(re.Rune)) // of text
}
