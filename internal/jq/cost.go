package jq

import (
	"encoding/json"
	"math"
	"math/big"
	"math/bits"
	"strings"

	"github.com/itchyny/gojq"
)

// cost is what a call takes, made known before it is done: at least the bytes
// that it makes, and at least the bytes that it looks through.
type cost func(m *meter, x any, args []any) int64

// The sizes of things in memory, in bytes.
const (
	pointer = 16 // an element of an array, and any value
	entry   = 64 // of an object
)

// costs has every function that a program may reach. The names with an
// underscore are those of operators, and those that jq's own definitions call.
var costs = costTable()

func costTable() map[string]cost {
	table := map[string]cost{
		"_add": linear, "_multiply": multiply, "_subtract": subtract, "_divide": divide, "split": split,
		"add": second, "join": join, "flatten": deep, "transpose": transpose, "explode": times(24), "implode": times(4),
		"contains": contained, "inside": contained, "indices": indices, "index": indices, "rindex": indices, "_index": indices,
		"fromjson": times(64), "tonumber": square, "strftime": formatted, "strptime": formatted, "_match": match,
		"getpath": along, "error": written, "setpath": first, "_setpath": first, "delpaths": deleted, "_delpaths": deleted, "bsearch": compared,
		"keys": linear, "reverse": linear, "_captures": times(8),
	}
	for _, group := range []struct {
		cost  cost
		names string
	}{
		{plain, `length utf8bytelength has toboolean type startswith endswith ltrimstr rtrimstr trimstr ltrim rtrim trim
			ascii_downcase ascii_upcase _slice _plus _negate _modulo _alternative _range gmtime mktime _allocator _break
			sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh floor round nearbyint rint ceil trunc significand fabs
			sqrt cbrt exp exp10 exp2 expm1 frexp modf log log10 log1p log2 logb gamma tgamma lgamma erf erfc j0 j1 y0 y1 atan2
			copysign drem fdim fmax fmin fmod hypot jn nextafter nexttoward remainder ldexp scalb scalbln yn pow fma
			infinite isfinite isinfinite nan isnan isnormal`},
		{compared, "_equal _notequal _greater _less _greatereq _lesseq"},
		{sorted, "min max sort unique _min_by _max_by _sort_by _group_by _unique_by"},
		{written, "tojson tostring format _tohtml _touri _tourid _tocsv _totsv _tosh _tobase64 _tobase64d"},
	} {
		for _, name := range strings.Fields(group.names) {
			table[name] = group.cost
		}
	}
	return table
}

// own is the size of a value without what it holds. A number of many digits
// counts for the time that it takes to read.
func (m *meter) own(v any) int64 {
	switch v := v.(type) {
	case string:
		return pointer + int64(len(v))
	case json.Number:
		return pointer + squared(len(v))
	case *big.Int:
		return pointer + squared(v.BitLen()/8)
	case []any:
		return pointer + pointer*int64(len(v))
	case map[string]any:
		return pointer + entry*int64(len(v))
	}
	return pointer
}

// squared is what reading, writing or multiplying numbers of n digits takes.
func squared(n int) int64 { return int64(n) + int64(n)*int64(n)/64 }

// weigh is the size of a value with all that it holds, where what it holds
// twice counts twice, as it does for whoever goes through it. It stops where
// that is more than is left.
func (m *meter) weigh(v any, depth int) int64 {
	units := m.own(v)
	if depth > maxDepth {
		m.err = ErrDeep
		return units
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if units > m.left || m.err != nil {
				break
			}
			units += m.weigh(e, depth+1)
		}
	case map[string]any:
		for name, e := range v {
			if units > m.left || m.err != nil {
				break
			}
			units += int64(len(name)) + m.weigh(e, depth+1)
		}
	}
	return units
}

func count(v any) int64 {
	switch v := v.(type) {
	case []any:
		return int64(len(v))
	case map[string]any:
		return int64(len(v))
	case string:
		return int64(len(v))
	}
	return 0
}

// plain is the cost of what looks through texts and numbers, and at nothing
// inside of arrays and objects.
func plain(m *meter, x any, args []any) int64 {
	units := m.plain(x)
	for _, a := range args {
		units += m.plain(a)
	}
	return units
}

func (m *meter) plain(v any) int64 {
	switch v.(type) {
	case []any, map[string]any:
		return pointer
	}
	return m.own(v)
}

// first is the cost of what goes along a path, its first argument.
func first(m *meter, _ any, args []any) int64 { return m.own(args[0]) }

// along is first, where a part of the path may be an array that is looked for.
func along(m *meter, x any, args []any) int64 {
	units := m.own(args[0])
	path, _ := args[0].([]any)
	for _, key := range path {
		if wanted, ok := key.([]any); ok {
			units += m.weigh(x, 0)*(count(wanted)+1) + m.weigh(wanted, 0)
		}
	}
	return units
}

// linear is the cost of what looks at its operands' own parts and makes no more
// than those.
func linear(m *meter, x any, args []any) int64 {
	units := m.own(x)
	for _, a := range args {
		units += m.own(a)
	}
	return units
}

func times(n int64) cost {
	return func(m *meter, x any, args []any) int64 { return n * linear(m, x, args) }
}

func deep(m *meter, x any, _ []any) int64 { return m.weigh(x, 0) }

// second is the cost of what puts the parts of an array together.
func second(m *meter, x any, _ []any) int64 {
	units := m.own(x)
	switch v := x.(type) {
	case []any:
		for _, e := range v {
			units += m.own(e)
		}
	case map[string]any:
		for _, e := range v {
			units += m.own(e)
		}
	}
	return units
}

func join(m *meter, x any, args []any) int64 { return second(m, x, nil) + count(x)*m.own(args[0]) }

// written is the cost of text: at most six bytes for one.
func written(m *meter, x any, _ []any) int64 { return 6 * m.weigh(x, 0) }

func square(m *meter, x any, _ []any) int64 { return pointer + squared(int(count(x))) }

// multiply is also how texts are repeated and objects merged.
func multiply(m *meter, _ any, args []any) int64 {
	for i, a := range args[:2] {
		text, ok := a.(string)
		if !ok {
			continue
		}
		n, _ := gojq.ToFloat64(args[1-i])
		return pointer + int64(min(max(n, 0), math.MaxInt32)+1)*int64(len(text))
	}
	if _, ok := args[0].(map[string]any); ok {
		return m.weigh(args[0], 0) + m.weigh(args[1], 0)
	}
	return linear(m, nil, args)
}

// subtract compares each element of one array with each of another.
func subtract(m *meter, _ any, args []any) int64 {
	if l, ok := args[0].([]any); ok {
		r, _ := args[1].([]any)
		return m.weigh(l, 0)*int64(len(r)+1) + m.weigh(r, 0)*int64(len(l)+1)
	}
	return linear(m, nil, args)
}

func divide(m *meter, _ any, args []any) int64 {
	if text, ok := args[0].(string); ok {
		return split(m, text, args[1:])
	}
	return linear(m, nil, args)
}

func split(m *meter, x any, args []any) int64 {
	return m.own(x) + 2*pointer*(count(x)/max(count(args[0]), 1)+1)
}

// transpose makes an array of as many arrays as the longest element has
// elements.
func transpose(m *meter, x any, _ []any) int64 {
	longest := int64(0)
	rows, _ := x.([]any)
	for _, row := range rows {
		longest = max(longest, count(row))
	}
	return pointer * (longest + 1) * int64(len(rows)+1)
}

func contained(m *meter, x any, args []any) int64 {
	l, r := m.weigh(x, 0), m.weigh(args[0], 0)
	if _, ok := x.(string); ok {
		return l + r
	}
	return l + r + l/pointer*(r/pointer)
}

// indices looks for a text in a text, or for an array in an array; of the
// function behind the brackets x is the first argument.
func indices(m *meter, x any, args []any) int64 {
	if len(args) == 2 {
		x, args = args[0], args[1:]
	}
	if _, ok := args[0].([]any); ok {
		return m.weigh(x, 0)*(count(args[0])+1) + m.weigh(args[0], 0)
	}
	if _, ok := args[0].(string); ok && x != nil {
		if _, ok := x.(string); ok {
			return 2 * pointer * count(x)
		}
	}
	return plain(m, nil, args)
}

// compared is the cost of a comparison, which ends with the smaller of two.
func compared(m *meter, x any, args []any) int64 {
	l := args[len(args)-1]
	r := args[0]
	if len(args) == 1 {
		return 64 * m.weigh(l, 0) // in an array, by halves
	}
	switch l.(type) {
	case []any, map[string]any:
		switch r.(type) {
		case []any, map[string]any:
			return m.weigh(l, 0) + m.weigh(r, 0)
		}
	}
	return plain(m, x, args)
}

// sorted is the cost of sorting x, or by the keys that are the argument.
func sorted(m *meter, x any, args []any) int64 {
	units := m.own(x)
	for _, a := range args {
		x = a
	}
	return units + m.weigh(x, 0)*int64(bits.Len64(uint64(count(x)))+1)
}

func deleted(m *meter, x any, args []any) int64 {
	if count(args[0]) == 0 {
		return pointer
	}
	return 2*m.weigh(x, 0) + sorted(m, args[0], nil)
}

// formatted is the cost of a time's format, in which one character may mean
// 1,024.
func formatted(m *meter, _ any, args []any) int64 { return pointer + 512*count(args[0]) }
