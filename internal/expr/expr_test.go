package expr_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/expr"
)

// record makes an event of type order.placed with JSON data.
func record(data string) *weir.Record {
	return &weir.Record{Seq: 7, At: 1_700_000_000_000_000, Project: 1, Event: &weir.Event{
		ID: "e1", Source: "/shop", Type: "order.placed", Data: []byte(data), Execution: "exe_1",
		Extensions: []weir.Extension{
			{Name: "attempt", Kind: weir.ExtensionInt, Value: "3"},
			{Name: "region", Value: "eu"},
			{Name: "sampled", Kind: weir.ExtensionBool, Value: "true"},
		},
	}}
}

func value(t *testing.T, source string, scope expr.Scope, v *expr.Vars) (any, error) {
	t.Helper()
	p, err := expr.Compile(source, scope)
	if err != nil {
		t.Fatalf("compile %s: %v", source, err)
	}
	return p.Value(v)
}

const sample = `{"user":"ann","memory_mb":1024,"n":null,"price":1.0,"big":12345678901234567890,"tags":["a","b"],
 "items":[{"sku":"x","qty":2},{"sku":"y","qty":3}],"nested":{"deep":{"v":true}},"x-y":"dash","esc\u0061pe":"A\n","exp":1e2}`

func TestValuesAreOfTheKindThatTheDataHas(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]any{
		`data.user`:                            "ann",
		`data.memory_mb`:                       int64(1024),
		`data.price`:                           1.0,
		`data.exp`:                             100.0,
		`data.big`:                             1.2345678901234567e19,
		`data.n`:                               nil,
		`data["x-y"]`:                          "dash",
		`data.escape`:                          "A\n",
		`data.nested.deep.v`:                   true,
		`data.items[1].qty`:                    int64(3),
		`data.tags`:                            []any{"a", "b"},
		`data.tags + ["c"]`:                    []any{"a", "b", "c"},
		`data.items.map(i, i.sku)`:             []any{"x", "y"},
		`data.items.filter(i, i.qty > 2)`:      []any{map[string]any{"sku": "y", "qty": int64(3)}},
		`data.nested`:                          map[string]any{"deep": map[string]any{"v": true}},
		`size(data.items)`:                     int64(2),
		`size(data)`:                           int64(11),
		`"b" in data.tags`:                     true,
		`"user" in data`:                       true,
		`data.tags == ["a", "b"]`:              true,
		`data.nested == {"deep": {"v": true}}`: true,
		`{"deep": {"v": true}} == data.nested`: true,
		`data.nested == {"deep": {"v": 1}}`:    false,
		`data == data`:                         true,
		`data.price == 1`:                      true,
		`data.memory_mb > 512.5`:               true,
		`event.type`:                           "order.placed",
		`event.data.user`:                      "ann",
		`event.attempt + 1`:                    int64(4),
		`event.region`:                         "eu",
		`event.sampled`:                        true,
		`event.execution`:                      "exe_1",
		`event.hops`:                           int64(0),
		`event.time`:                           time.UnixMicro(1_700_000_000_000_000).UTC(),
		`event.time.getFullYear()`:             int64(2023),
		`has(data.user)`:                       true,
		`has(data.other)`:                      false,
		`has(data.nested.other)`:               false,
		`has(event.subject)`:                   false,
		`has(event.subject) ? event.subject : "none"`: "none",
		`data.other == 1 || true`:                     true,
		`data.user.upperAscii()`:                      "ANN",
	} {
		got, err := value(t, source, expr.ScopeEvent, &expr.Vars{Event: record(sample)})
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", source, diff)
		}
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`data.other`:                           "missing data.other",
		`data.other == 1`:                      "missing data.other",
		`data.other.more == 1`:                 "missing data.other",
		`data.nested.other.more == 1`:          "missing data.nested.other",
		`data["a-b"] == 1`:                     `missing data["a-b"]`,
		`data[event.type] == 1`:                "missing data[…]",
		`data.items[5].qty == 1`:               "missing data.items[5].qty",
		`data.items.exists(i, i.none == 1)`:    "missing i.none",
		`data.user.name == "x"`:                "missing data.user.name",
		`event.subject == "x"`:                 "missing event.subject",
		`event.nothing`:                        "missing event.nothing",
		`has(data.other.more)`:                 "missing data.other",
		`data.other == 1 && true`:              "missing data.other",
		`has(data.user) && data.other > 1`:     "missing data.other",
		`data.user > 1`:                        "error",
		`1 / (data.memory_mb - 1024)`:          "error",
		`data.user.startsWith(data.memory_mb)`: "error",
		`data.items.map(a, data.items.map(b, data.items.map(c, data.items.map(d, 1)))).size() + int(data.user)`: "error",
	} {
		p, err := expr.Compile(source, expr.ScopeEvent)
		if err != nil {
			continue
		}
		_, err = p.Value(&expr.Vars{Event: record(sample)})
		if got := expr.Reason(err); got != want {
			t.Errorf("%s: %q (%v), want %q", source, got, err, want)
		}
	}
}

func TestDataThatIsNotJSONIsMissing(t *testing.T) {
	t.Parallel()
	rec := record("plain text")
	rec.Event.ContentType = "text/plain"
	v := &expr.Vars{Event: rec}

	for source, want := range map[string]string{
		`data.x`:      "missing data.x",
		`data`:        "missing data",
		`data == "x"`: "missing data",
		`event.data`:  "missing event.data",
	} {
		if _, err := value(t, source, expr.ScopeEvent, v); expr.Reason(err) != want {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
	if got, err := value(t, `has(data.x) || has(event.data)`, expr.ScopeEvent, v); err != nil || got != false {
		t.Errorf("has: %v, %v", got, err)
	}
}

func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source  string
		scope   expr.Scope
		line    int
		column  int
		text    string
		message string
	}{
		{`evnt.type == "x"`, expr.ScopeEvent, 1, 1, "evnt", "unknown name evnt: did you mean event?"},
		{"true &&\n  dat.x > 1", expr.ScopeEvent, 2, 3, "dat", "unknown name dat: did you mean data?"},
		{`event.type.startWith("x")`, expr.ScopeEvent, 1, 21, "(", "unknown function startWith: did you mean startsWith?"},
		{`secret.x == "y"`, expr.ScopeEvent, 1, 1, "secret", "secret is not known here: this expression sees event, data"},
		{`data.x >`, expr.ScopeEvent, 1, 9, "", "the expression ends too early"},
		{`data.x > )`, expr.ScopeEvent, 1, 10, ")", "')' does not belong here"},
		{`data.x data.y`, expr.ScopeEvent, 1, 8, "data", "'data' does not belong here"},
		{`data.x # 1`, expr.ScopeEvent, 1, 8, "#", "'#' does not belong here"},
		{`"ä" + 1`, expr.ScopeEvent, 1, 5, "+", "found no matching overload for '_+_' applied to '(string, int)'"},
		{`size(secret) > 0`, expr.ScopeStep, 1, 6, "secret", "name the secret: secret.NAME"},
		{
			`data.a.all(x, data.b.all(y, data.c.all(z, x + y > z && data.d.all(w, w > z))))`, expr.ScopeEvent, 1, 1, "data",
			"costs too much: with lists of 100 elements it may take more than a million operations",
		},
	} {
		_, err := expr.Compile(c.source, c.scope)
		got, ok := errors.AsType[*expr.CompileError](err)
		if !ok {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		want := &expr.CompileError{Offset: got.Offset, Line: c.line, Column: c.column, Text: c.text, Message: c.message}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.source, diff)
		}
		if got.Text != "" && c.source[got.Offset:got.Offset+len(got.Text)] != got.Text {
			t.Errorf("%s: offset %d is not at %s", c.source, got.Offset, got.Text)
		}
	}
}

func TestAConditionIsTrueOrFalse(t *testing.T) {
	t.Parallel()

	_, err := expr.CompileCondition(`"abc"`, expr.ScopeEvent)
	p, dynErr := expr.CompileCondition(`data.user`, expr.ScopeEvent)

	if err == nil || dynErr != nil {
		t.Fatalf("string: %v, data: %v", err, dynErr)
	}
	if _, err := p.Bool(&expr.Vars{Event: record(sample)}); expr.Reason(err) != "error" {
		t.Errorf("evaluated: %v", err)
	}
}

func TestTheBudgetIsCountedCost(t *testing.T) {
	t.Parallel()
	many := `{"a":[` + strings.TrimSuffix(strings.Repeat("1,", 5000), ",") + `]}`
	p, err := expr.CompileCondition(`data.a.all(x, data.a.all(y, x == y))`, expr.ScopeEvent)
	if err != nil {
		t.Fatal(err)
	}

	_, errMany := p.Bool(&expr.Vars{Event: record(many)})
	ok, errFew := p.Bool(&expr.Vars{Event: record(`{"a":[1,1,1]}`)})

	if !errors.Is(errMany, expr.ErrCost) || expr.Reason(errMany) != "cost" {
		t.Errorf("many: %v", errMany)
	}
	if errFew != nil || !ok {
		t.Errorf("few: %v %v", ok, errFew)
	}
}

func BenchmarkWhere(b *testing.B) {
	for _, source := range []string{
		`data.memory_mb > 512`,
		`data.user == "ann" && event.source == "/shop"`,
		`data.nested.deep.v`,
		`data.other == 1`,
		`data.items.exists(i, i.qty > 2)`,
		`event.type.startsWith("order.")`,
	} {
		p, err := expr.CompileCondition(source, expr.ScopeEvent)
		if err != nil {
			b.Fatal(err)
		}
		rec := record(sample)
		b.Run("warm/"+source, func(b *testing.B) {
			b.ReportAllocs()
			var v expr.Vars
			v.Reset(rec)
			for b.Loop() {
				_, _ = p.Bool(&v)
			}
		})
		b.Run("cold/"+source, func(b *testing.B) {
			b.ReportAllocs()
			var v expr.Vars
			for b.Loop() {
				v.Reset(rec)
				_, _ = p.Bool(&v)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := expr.CompileCondition(`data.customer == "c123" && event.source == "/shop"`, expr.ScopeEvent); err != nil {
			b.Fatal(err)
		}
	}
}
