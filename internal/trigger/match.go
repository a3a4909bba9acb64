package trigger

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/expr"
)

// Set is the triggers of one project at one revision. It never changes.
type Set struct {
	project  weir.ProjectID
	triggers []*Compiled // sorted by name
	index    *expr.Index
	tests    int // most tests of a trigger
}

// NewSet makes a set of a project's compiled triggers, which may be in other
// sets too.
func NewSet(project weir.ProjectID, triggers []*Compiled) *Set {
	s := &Set{project: project, triggers: slices.Clone(triggers)}
	slices.SortFunc(s.triggers, func(a, b *Compiled) int { return strings.Compare(a.Def.Name, b.Def.Name) })
	var entries []expr.Entry
	for i, c := range s.triggers {
		for _, test := range c.match {
			entries = append(entries, expr.Entry{Criterion: c.tests[test], Number: i, Alone: len(c.match) == 1})
		}
		s.tests = max(s.tests, len(c.tests))
	}
	s.index = expr.NewIndex(entries)
	return s
}

// Triggers returns the triggers, sorted by name.
func (s *Set) Triggers() []*Compiled { return s.triggers }

// Match is a trigger that takes an event.
type Match struct {
	Trigger *Compiled
	Key     string        // JSON object, parts in the order of group_by; "{}" without group_by
	Hash    weir.Identity // of project, trigger, shape and key
	Meets   []int         // the criteria of fire that the event counts for, by index; of the Result's memory
}

// Miss is a trigger that does not take an event, or a criterion of it that the
// event does not count for, because an expression failed.
type Miss struct {
	Trigger *Compiled
	Reason  string // "missing data.user", "cost", "error", "panic": for counting
	Err     error  // for explaining
	Alike   Alike  // triggers that miss it as this one does, which is among them; none: it alone
}

// Alike are triggers of a set that miss an event alike: they ask for the same
// field, and it is missing. It is comparable, so that events can be counted by
// it, and triggers only now and then.
type Alike struct {
	set  *Set
	lack *expr.Lack
}

// Triggers returns them; nil where there are none.
func (a Alike) Triggers() []*Compiled {
	if a.lack == nil {
		return nil
	}
	all := make([]*Compiled, len(a.lack.Numbers))
	for i, n := range a.lack.Numbers {
		all[i] = a.set.triggers[n]
	}
	return all
}

// Result is what sets make of events: for one event after another, by name of
// the trigger. Reset makes its memory free for the next events, so nothing in
// it may be kept beyond that but what Key and Trigger refer to.
type Result struct {
	Matches []Match
	Misses  []Miss

	vars     expr.Vars
	selected []int
	lacks    []*expr.Lack
	outcomes []outcome
	meets    []int
	key      []byte
}

// outcome is what is known of one test for one trigger and event.
type outcome uint8

const (
	unknown outcome = iota
	holds
	holdsNot
)

// Reset empties the result.
func (r *Result) Reset() { r.Matches, r.Misses, r.meets = r.Matches[:0], r.Misses[:0], r.meets[:0] }

// Match offers an event to all triggers and adds what they make of it. It never
// panics: what would is a Miss.
func (s *Set) Match(rec *weir.Record, into *Result) {
	into.vars.Reset(rec)
	into.selected, into.lacks = s.index.Select(&into.vars, into.selected[:0], into.lacks[:0])
	if cap(into.outcomes) < s.tests {
		into.outcomes = make([]outcome, s.tests)
	}
	for _, n := range into.selected {
		into.offer(s.project, s.triggers[n])
	}
	for _, lack := range into.lacks {
		from := len(into.Misses)
		into.offer(s.project, s.triggers[lack.Numbers[0]])
		for i := from; i < len(into.Misses) && len(lack.Numbers) > 1; i++ {
			into.Misses[i].Alike = Alike{s, lack}
		}
	}
}

// offer decides about one trigger.
func (r *Result) offer(project weir.ProjectID, c *Compiled) {
	matches, misses := len(r.Matches), len(r.Misses)
	defer func() {
		if p := recover(); p != nil {
			r.Matches, r.Misses = r.Matches[:matches], r.Misses[:misses]
			r.Misses = append(r.Misses, Miss{Trigger: c, Reason: "panic", Err: fmt.Errorf("panic: %v", p)})
		}
	}()
	clear(r.outcomes[:len(c.tests)])
	if !slices.ContainsFunc(c.match, func(test int) bool { return r.test(c, test) }) {
		return
	}
	key, err := r.keyOf(c)
	if err != nil {
		r.miss(c, err)
		return
	}
	from := len(r.meets)
	for i, test := range c.fire {
		if r.test(c, test) {
			r.meets = append(r.meets, i)
		}
	}
	r.Matches = append(r.Matches, Match{
		Trigger: c, Key: key, Hash: c.Hash(project, key), Meets: r.meets[from:len(r.meets):len(r.meets)],
	})
}

// test evaluates a test once per event.
func (r *Result) test(c *Compiled, n int) bool {
	if r.outcomes[n] == unknown {
		r.outcomes[n] = holdsNot
		ok, err := c.tests[n].Holds(&r.vars)
		if err != nil {
			r.miss(c, err)
		}
		if ok {
			r.outcomes[n] = holds
		}
	}
	return r.outcomes[n] == holds
}

func (r *Result) miss(c *Compiled, err error) {
	r.Misses = append(r.Misses, Miss{Trigger: c, Reason: expr.Reason(err), Err: err})
}
