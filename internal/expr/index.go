package expr

import (
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

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

// Entry is a criterion with the number by which it is selected. Alone says that
// no other entry has the number.
type Entry struct {
	Criterion
	Number int
	Alone  bool
}

// Lack is what one field that is missing does to many: the numbers of entries
// which fail, all alike, for an event without the field that they compare.
type Lack struct{ Numbers []int }

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
// each once, but for those that fail alike: to evaluate one of a Lack tells of
// all. So the time that an event takes is that of what it meets, however many
// ask for a field that it does not have.
func (x *Index) Select(v *Vars, into []int, lacks []*Lack) ([]int, []*Lack) {
	eventType := v.Event.Event.Type
	from := len(into)
	if b := x.exact[eventType]; b != nil {
		into, lacks = b.choose(v, into, lacks)
	}
	for _, n := range x.lengths {
		if n > len(eventType) {
			break
		}
		if b := x.prefixes[eventType[:n]]; b != nil {
			into, lacks = b.choose(v, into, lacks)
		}
	}
	slices.Sort(into[from:])
	return into[:from+len(slices.Compact(into[from:]))], lacks
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
	all  []int // but for those of lack
	lack Lack
}

func (b *bucket) add(e Entry) {
	// A condition that may run out of budget before it comes to its equality must
	// fail in front of everyone.
	if e.Where == nil || e.Where.counted || len(e.Where.equals) == 0 {
		b.plain = append(b.plain, e.Number)
		return
	}
	eq := e.Where.equals[0]
	if b.byPath == nil {
		b.byPath = map[string]*equal{}
	}
	name := pathName(eq.path)
	group := b.byPath[name]
	if group == nil {
		group = &equal{path: eq.path, by: map[constant][]int{}}
		b.byPath[name] = group
		b.equal = append(b.equal, group)
	}
	group.by[eq.value] = append(group.by[eq.value], e.Number)
	if e.failsAlike() {
		group.lack.Numbers = append(group.lack.Numbers, e.Number)
		return
	}
	group.all = append(group.all, e.Number)
}

// failsAlike reports whether an entry asks for nothing but one field's value, of
// events of one type or with one beginning. Where the field is missing it fails
// as others that compare the same.
func (e *Entry) failsAlike() bool { return e.Alone && e.Where.single && e.Types.plain() }

// choose appends the criteria whose constant is the field's value. Where the
// field is missing or no scalar, the condition may fail rather than not hold,
// so all are chosen.
func (b *bucket) choose(v *Vars, into []int, lacks []*Lack) ([]int, []*Lack) {
	into = append(into, b.plain...)
	for _, group := range b.equal {
		value, found := v.Lookup(group.path)
		key, ok := constantOf(value)
		if !found || !ok {
			into = append(into, group.all...)
			if len(group.lack.Numbers) > 0 {
				lacks = append(lacks, &group.lack)
			}
			continue
		}
		into = append(into, group.by[key]...)
	}
	return into, lacks
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
