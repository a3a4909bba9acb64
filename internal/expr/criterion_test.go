package expr_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/expr"
)

// naive matches by trying everything: the rules of globs as plainly as can be.
func naive(p, s []rune) bool {
	if len(p) == 0 {
		return len(s) == 0
	}
	switch p[0] {
	case '*':
		return naive(p[1:], s) || len(s) > 0 && naive(p, s[1:])
	case '?':
		return len(s) > 0 && naive(p[1:], s[1:])
	case '[':
		body := p[1:]
		negated := len(body) > 0 && body[0] == '!'
		if negated {
			body = body[1:]
		}
		end := 1
		for body[end] != ']' {
			end++
		}
		return len(s) > 0 && slices.Contains(body[:end], s[0]) != negated && naive(body[end+1:], s[1:])
	}
	return len(s) > 0 && p[0] == s[0] && naive(p[1:], s[1:])
}

func checkGlob(t interface{ Fatalf(string, ...any) }, pattern, s string) {
	g, err := expr.CompileGlobs([]string{pattern})
	if err != nil {
		return
	}
	body, excluded := strings.CutPrefix(pattern, "!")
	if want := naive([]rune(body), []rune(s)) != excluded; g.Match(s) != want {
		t.Fatalf("%q on %q: %v, want %v", pattern, s, !want, want)
	}
}

func TestGlobsAgreeWithANaiveMatcher(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		checkGlob(t, rapid.StringMatching(`!?([ab.é*?]|\[!?[ab\]][ab.]?\]){1,7}`).Draw(t, "pattern"),
			rapid.StringMatching(`[ab.é\]]{0,8}`).Draw(t, "type"))
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("order.*", "order.placed.eu")
	f.Add("!a?[!b]*[]c]", "aébbc]")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 24 || !utf8.ValidString(pattern) || !utf8.ValidString(s) {
			t.Skip()
		}
		checkGlob(t, pattern, s)
	})
}

func TestTypesFollowTheRulesOfTheLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patterns  []string
		eventType string
		want      bool
	}{
		{nil, "any.thing", true},
		{[]string{}, "any.thing", false},
		{[]string{"compute.instance.*", "!compute.instance.exists"}, "compute.instance.update", true},
		{[]string{"compute.instance.*", "!compute.instance.exists"}, "compute.instance.exists", false},
		{[]string{"!a.*"}, "a.b", false},
		{[]string{"!a.*"}, "b.a", true},
		{[]string{"order.*"}, "order.placed.eu", true},
		{[]string{"Order"}, "order", false},
		{[]string{"order"}, "order.placed", false},
		{[]string{"v[12]"}, "v2", true},
		{[]string{"v[!12]"}, "v2", false},
	} {
		g, err := expr.CompileGlobs(c.patterns)
		if err != nil {
			t.Fatal(err)
		}
		if g.Match(c.eventType) != c.want {
			t.Errorf("%q on %s: want %v", c.patterns, c.eventType, c.want)
		}
	}
}

func TestBrokenGlobsAreNamed(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "!", "a[b", "a[]", "[!"} {
		if _, err := expr.CompileGlobs([]string{p}); err == nil {
			t.Errorf("%q compiles", p)
		}
	}
}

// drawCriterion makes a criterion out of few types, paths and constants, so
// that they often meet.
func drawCriterion(t *rapid.T) expr.Criterion {
	var patterns []string
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
	case 1:
		patterns = []string{}
	default:
		pattern := rapid.OneOf(
			rapid.SampledFrom([]string{"a.b", "a.c", "*", "a.*", "!a.b", "!*.c", "a.?", "[ab].b", "[!a]*", "a*b", "!a.*"}),
			rapid.StringMatching(`!?[abc.*?]{1,4}`))
		patterns = rapid.SliceOfN(pattern, 1, 3).Draw(t, "types")
	}
	types, err := expr.CompileGlobs(patterns)
	if err != nil {
		t.Fatal(err)
	}
	where := drawWhere(t, 2)
	if where == "" {
		return expr.Criterion{Types: types}
	}
	program, err := expr.CompileCondition(where, expr.ScopeEvent)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	return expr.Criterion{Types: types, Where: program}
}

func drawWhere(t *rapid.T, depth int) string {
	path := rapid.SampledFrom([]string{"data.x", "data.y", "data.o.p", `data["x"]`, "event.subject", "event.source", "event.hops"})
	constant := rapid.SampledFrom([]string{
		"1", "1.0", `"1"`, "true", "null", `"s"`, "2u", "-0.0", "0", "9007199254740993", "9007199254740992.0",
	})
	switch rapid.IntRange(0, 6).Draw(t, "where") {
	case 0:
		return ""
	case 1:
		return constant.Draw(t, "constant") + " == " + path.Draw(t, "path")
	case 2:
		return rapid.SampledFrom([]string{
			"has(data.x)", "data.x != 1", "data.x > 1", "data.list.all(e, e == 1)", `data.o.exists(k, data.o[k] == 1)`, "data.x",
		}).Draw(t, "other")
	case 3, 4:
		if depth > 0 {
			op := rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "op")
			left, right := drawWhere(t, depth-1), drawWhere(t, depth-1)
			if left != "" && right != "" {
				return "(" + left + op + right + ")"
			}
		}
	}
	return path.Draw(t, "path") + " == " + constant.Draw(t, "constant")
}

func drawEvent(t *rapid.T) *weir.Record {
	value := rapid.SampledFrom([]string{
		"1", "1.0", `"1"`, "true", "null", `"s"`, "2", "0", "-0", "1e0", `{"p":1}`, `{"p":"s","q":1}`, "[1]", "9007199254740993", "9007199254740992",
	})
	var members []string
	for _, name := range []string{"x", "y", "o", "list"} {
		if rapid.Bool().Draw(t, name+" there") {
			members = append(members, fmt.Sprintf("%q:%s", name, value.Draw(t, name)))
		}
	}
	data := "{" + strings.Join(members, ",") + "}"
	if rapid.IntRange(0, 19).Draw(t, "none") == 0 {
		data = ""
	}
	return &weir.Record{At: 1, Event: &weir.Event{
		ID: "1", Source: rapid.SampledFrom([]string{"s", "1"}).Draw(t, "source"),
		Subject: rapid.SampledFrom([]string{"", "s"}).Draw(t, "subject"),
		Type:    rapid.OneOf(rapid.SampledFrom([]string{"a.b", "a.c", "b.b", "c"}), rapid.StringMatching(`[abc.]{1,4}`)).Draw(t, "type"),
		Data:    []byte(data),
	}}
}

func TestTheIndexFindsWhatPlainEvaluationFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		entries := make([]expr.Entry, rapid.IntRange(1, 12).Draw(t, "criteria"))
		for i := range entries {
			entries[i] = expr.Entry{Criterion: drawCriterion(t), Number: i, Alone: true}
		}
		index := expr.NewIndex(entries)
		for range 5 {
			var v expr.Vars
			v.Reset(drawEvent(t))
			selected, lacks := index.Select(&v, nil, nil)
			for _, lack := range lacks {
				first, err := entries[lack.Numbers[0]].Holds(&v)
				for _, n := range lack.Numbers {
					ok, other := entries[n].Holds(&v)
					if first || ok || (err == nil) != (other == nil) || err != nil && expr.Reason(other) != expr.Reason(err) {
						t.Fatalf("of those that fail alike, %d: %v, %v; and %d: %v, %v", lack.Numbers[0], first, err, n, ok, other)
					}
					if slices.Contains(selected, n) {
						t.Fatalf("%d is selected, too", n)
					}
				}
				selected = append(selected, lack.Numbers...)
			}
			var plain, indexed []string
			for i := range entries {
				ok, err := entries[i].Holds(&v)
				if !ok && err == nil {
					continue
				}
				outcome := fmt.Sprint(i, ok, err)
				plain = append(plain, outcome)
				if slices.Contains(selected, i) {
					indexed = append(indexed, outcome)
				}
			}
			if diff := cmp.Diff(plain, indexed); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
