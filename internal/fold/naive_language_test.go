package fold_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir"
)

// The small part of the language that the tests write, read plainly.

// holds reports whether an event meets a criterion. A where that fails is put
// into failed, under the criterion, with the words that it is counted by.
func holds(c weir.Criterion, e *weir.Event, failed map[string]string) bool {
	if !typesHold(c.Types, e.Type) {
		return false
	}
	if c.Where == "" {
		return true
	}
	ok, why := condition(c.Where, e)
	if why != "" {
		failed[fmt.Sprintf("%v %q %s", c.Types == nil, c.Types, c.Where)] = why
	}
	return ok
}

// typesHold: a leading ! excludes; exclusions alone mean all without them; no
// list is all, an empty one nothing.
func typesHold(globs []string, text string) bool {
	if globs == nil {
		return true
	}
	included, positives := false, 0
	for _, g := range globs {
		if rest, excludes := strings.CutPrefix(g, "!"); excludes {
			if globHolds(rest, text) {
				return false
			}
			continue
		}
		positives++
		included = included || globHolds(g, text)
	}
	return included || positives == 0 && len(globs) > 0
}

func globHolds(glob, text string) bool {
	if glob == "" {
		return text == ""
	}
	if glob[0] == '*' {
		return globHolds(glob[1:], text) || text != "" && globHolds(glob, text[1:])
	}
	if text == "" {
		return false
	}
	switch glob[0] {
	case '?':
		return globHolds(glob[1:], text[1:])
	case '[':
		set, rest, _ := strings.Cut(glob[1:], "]")
		set, not := strings.CutPrefix(set, "!")
		return strings.Contains(set, text[:1]) != not && globHolds(rest, text[1:])
	}
	return glob[0] == text[0] && globHolds(glob[1:], text[1:])
}

// condition evaluates `A || B`, `A && B` or one atom. A true side decides an or
// and a false one an and, even beside one that fails.
func condition(source string, e *weir.Event) (ok bool, why string) {
	for _, op := range []string{" || ", " && "} {
		left, right, found := strings.Cut(source, op)
		if !found {
			continue
		}
		a, whyA := condition(left, e)
		b, whyB := condition(right, e)
		decides := op == " || "
		switch {
		case whyA == "" && a == decides, whyB == "" && b == decides:
			return decides, ""
		case whyA != "":
			return false, whyA
		case whyB != "":
			return false, whyB
		}
		return !decides, ""
	}
	return atom(source, e)
}

func atom(source string, e *weir.Event) (ok bool, why string) {
	if rest, found := strings.CutPrefix(source, "!"); found {
		ok, why := atom(rest, e)
		return !ok && why == "", why
	}
	if rest, found := strings.CutPrefix(source, "has(data."); found {
		_, present := data(e)[strings.TrimSuffix(rest, ")")]
		return present, ""
	}
	part := strings.SplitN(source, " ", 3)
	left, present := field(part[0], e)
	if !present {
		return false, "missing " + part[0]
	}
	right := scalar(part[2])
	if part[1] == "==" {
		return equal(left, right), ""
	}
	a, okA := number(left)
	b, okB := number(right)
	if !okA || !okB {
		return false, "error"
	}
	return a > b, ""
}

func equal(a, b any) bool {
	x, okA := number(a)
	y, okB := number(b)
	if okA && okB {
		return x == y
	}
	return a == b
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func field(name string, e *weir.Event) (any, bool) {
	if name == "event.type" {
		return e.Type, true
	}
	raw, ok := data(e)[strings.TrimPrefix(name, "data.")]
	if !ok {
		return nil, false
	}
	return scalar(string(raw)), true
}

func data(e *weir.Event) map[string]json.RawMessage {
	fields := map[string]json.RawMessage{}
	if len(e.Data) > 0 {
		decode(e.Data, &fields)
	}
	return fields
}

// scalar reads a JSON literal: nil, bool, int64, float64 or string.
func scalar(raw string) any {
	if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return n
	}
	var v any
	decode(json.RawMessage(raw), &v)
	return v
}

// keyOf is the JSON of the key, or the words by which the failure is counted.
// The tests write numbers as the key does: 1 and 1.0 differ.
func keyOf(parts []weir.KeyPart, e *weir.Event) (key, missing string) {
	var out []string
	for _, p := range parts {
		if p.Of == "event.type" {
			out = append(out, fmt.Sprintf("%q:%q", p.Name, e.Type))
			continue
		}
		raw, ok := data(e)[strings.TrimPrefix(p.Of, "data.")]
		if !ok {
			return "", "missing " + p.Of
		}
		out = append(out, fmt.Sprintf("%q:%s", p.Name, raw))
	}
	return "{" + strings.Join(out, ",") + "}", ""
}

// expiry evaluates `never`, or a time with durations added or taken away.
func expiry(source string, times map[string]weir.Time) (due weir.Time, never bool) {
	if source == "never" {
		return 0, true
	}
	words := strings.Fields(source)
	due = times[words[0]]
	for i := 1; i < len(words); i += 2 {
		d, err := time.ParseDuration(words[i+1])
		if err != nil {
			panic(err)
		}
		if words[i] == "-" {
			d = -d
		}
		due += weir.Time(d.Microseconds())
	}
	return due, false
}

// originOf is the origin of the first action step that is not done, where it is
// an http step.
func originOf(p weir.Pipeline, done []weir.StepOutcome) string {
	for i, s := range p.Steps {
		finished := false
		for _, d := range done {
			finished = finished || d.Index == i && d.Finished
		}
		if s.Filter != nil || finished {
			continue
		}
		if s.HTTP == nil {
			return ""
		}
		u, err := url.Parse(s.HTTP.URL)
		if err != nil {
			panic(err)
		}
		return u.Scheme + "://" + u.Host
	}
	return ""
}

func versionName(pipeline string, revision uint64) string {
	return fmt.Sprintf("%s@%d", pipeline, revision)
}
