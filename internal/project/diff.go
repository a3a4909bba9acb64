package project

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
)

// Missing says what becomes of definitions that came from the same place before
// and that the files do not have any more.
type Missing string

// The ways.
const (
	Keep  Missing = "keep"
	Prune Missing = "prune"
)

// Change is one difference between files and what is in force. A new definition
// has no Before, a removed one no body.
type Change struct {
	weir.Definition
	Before *weir.Definition
	Keys   []string // of a changed one: the keys that differ, in order
	Shape  bool     // open groups of the trigger take no more events
}

// Moved returns from where a definition came that now comes from elsewhere, ""
// where that is not so.
func (c *Change) Moved() string {
	if c.Before == nil || c.Body == nil || c.Before.From == c.From {
		return ""
	}
	return c.Before.From
}

// Difference is what an apply changes.
type Difference struct {
	Changes   []Change          // by kind and name
	Unchanged int               // definitions of the files that are in force as they are
	Missing   []weir.Definition // of what is in force: came from the same place and stays
	rest      []weir.Definition // of what is in force: all that stays beside the files
}

// Diff compares the files with what is in force. What the files do not name
// stays, but for the steps that a trigger of theirs no longer has and for what
// missing says.
func (s *Set) Diff(inForce []weir.Definition, missing Missing) *Difference {
	d := &Difference{}
	old, wanted := map[name]weir.Definition{}, map[name]bool{}
	for _, f := range inForce {
		old[nameOf(f)] = f
	}
	for _, w := range s.Definitions() {
		wanted[nameOf(w)] = true
		before, found := old[nameOf(w)]
		keys := changedKeys(before, w)
		switch {
		case !found:
			d.Changes = append(d.Changes, Change{Definition: w})
		case len(keys) > 0 || w.From != "" && w.From != before.From:
			d.Changes = append(d.Changes, Change{Definition: w, Before: &before, Keys: keys, Shape: ofShape(w.Kind, keys)})
		default:
			d.Unchanged++
		}
	}
	for _, f := range inForce {
		trigger, _, inline := strings.Cut(f.Name, ".")
		inline = inline && f.Kind == weir.KindPipeline
		switch here := f.From != "" && s.froms[f.From]; {
		case wanted[nameOf(f)]:
		case inline && wanted[name{weir.KindTrigger, trigger}], here && missing == Prune:
			d.Changes = append(d.Changes, removal(f))
		default:
			d.rest = append(d.rest, f)
			if here && !inline {
				d.Missing = append(d.Missing, f)
			}
		}
	}
	slices.SortFunc(d.Changes, func(a, b Change) int { return compare(a.Definition, b.Definition) })
	return d
}

// Remove says what changes where one definition goes, with the steps that stand
// in it. Validate it with an empty Set. NotFound: it is not in force. Invalid: it
// stands in another, and goes with that.
func Remove(inForce []weir.Definition, kind weir.DefinitionKind, called string) (*Difference, error) {
	d := &Difference{}
	for _, f := range inForce {
		trigger, _, inline := strings.Cut(f.Name, ".")
		inline = inline && f.Kind == weir.KindPipeline
		here := f.Kind == kind && f.Name == called
		switch {
		case here && inline:
			return nil, weir.E("", weir.Invalid, "the steps of %s stand in the trigger %q: change that", called, trigger)
		case here, inline && kind == weir.KindTrigger && trigger == called:
			d.Changes = append(d.Changes, removal(f))
		default:
			d.rest = append(d.rest, f)
		}
	}
	if len(d.Changes) == 0 {
		return nil, weir.E("", weir.NotFound, "there is no %s %q", kind, called)
	}
	return d, nil
}

func removal(f weir.Definition) Change {
	return Change{Definition: weir.Definition{Kind: f.Kind, Name: f.Name}, Before: &f, Shape: f.Kind == weir.KindTrigger}
}

// Order returns what an apply order puts and deletes.
func (d *Difference) Order() (put, del []weir.Definition) {
	for _, c := range d.Changes {
		if c.Body == nil {
			del = append(del, c.Definition)
		} else {
			put = append(put, c.Definition)
		}
	}
	return put, del
}

// String returns a line per change: "+ trigger x" for a new definition, "~" with
// the keys for a changed and "-" for a removed one.
func (d *Difference) String() string {
	var b strings.Builder
	for _, c := range d.Changes {
		sign, more := "~", ""
		switch {
		case c.Before == nil:
			sign = "+"
		case c.Body == nil:
			sign = "-"
		case len(c.Keys) > 0:
			more = " (" + strings.Join(c.Keys, ", ") + ")"
		}
		if from := c.Moved(); from != "" {
			more += " was from " + from
		}
		fmt.Fprintf(&b, "%s %s %s%s\n", sign, c.Kind, c.Name, more)
	}
	return b.String()
}

func nameOf(d weir.Definition) name { return name{d.Kind, d.Name} }

// ofShape reports whether keys of a trigger say which events belong to its
// groups, and when those fire.
func ofShape(kind weir.DefinitionKind, keys []string) bool {
	return kind == weir.KindTrigger && slices.ContainsFunc(keys, func(k string) bool {
		return k == "match" || k == "group_by" || k == "fire"
	})
}

// changedKeys returns the keys in which two definitions differ, however they are
// written; what has no keys differs in "value".
func changedKeys(a, b weir.Definition) []string {
	if bytes.Equal(a.Body, b.Body) {
		return nil
	}
	x, y := keysOf(a), keysOf(b)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(y)) {
		if !bytes.Equal(x[key], y[key]) {
			out = append(out, key)
		}
		delete(x, key)
	}
	out = slices.AppendSeq(out, maps.Keys(x))
	slices.Sort(out)
	return out
}

// keysOf returns the body of a definition by its keys, as this build writes it.
func keysOf(d weir.Definition) map[string]json.RawMessage {
	if parts, err := Decode(d); err == nil {
		d = parts.Definitions()[0]
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(d.Body, &keys); err != nil {
		return map[string]json.RawMessage{"value": d.Body}
	}
	return keys
}
