package expr_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/internal/expr"
)

// whole reads a document with an expression.
func whole(t interface{ Fatalf(string, ...any) }, raw string) (any, error) {
	p, err := expr.Compile("body", expr.ScopeSource)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p.Value(&expr.Vars{Body: expr.JSON(raw)})
}

// standard reads a document with encoding/json, with our rule for numbers.
func standard(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return numbers(v), err
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			if n, err := v.Int64(); err == nil {
				return n
			}
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

func drawJSON(t *rapid.T, depth int) string {
	space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")
	kinds := 5
	if depth > 0 {
		kinds = 7
	}
	text := rapid.OneOf(
		rapid.SampledFrom([]string{`"a"`, `"b"`, `""`, `"a\"b\\"`, `"\u00e9\ud83d\ude00"`, `"\ud800"`, `"é}{]["`, `"\u0061"`}),
		rapid.Map(rapid.String(), func(s string) string { b, _ := json.Marshal(s); return string(b) }))
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return space + rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "word") + space
	case 1, 2:
		return space + rapid.SampledFrom([]string{
			"0", "-0", "1", "1.0", "-1.5e3", "1E2", "9223372036854775807", "9223372036854775808", "123456789012345678901234567890", "0.1",
		}).Draw(t, "number")
	case 3, 4, 5:
		return text.Draw(t, "text") + space
	case 6:
		var out []string
		for range rapid.IntRange(0, 20).Draw(t, "elements") {
			out = append(out, drawJSON(t, depth-2))
		}
		return space + "[" + strings.Join(out, ",") + space + "]"
	}
	var out []string
	for range rapid.IntRange(0, 20).Draw(t, "members") {
		out = append(out, text.Draw(t, "key")+space+":"+drawJSON(t, depth-1))
	}
	return "{" + space + strings.Join(out, space+",") + "}" + space
}

func TestLazyJSONReadsWhatEncodingJSONReads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := drawJSON(t, 3)
		want, err := standard([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}

		got, err := whole(t, raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %s", raw, diff)
		}
	})
}

func FuzzBrokenJSONNeverPanics(f *testing.F) {
	f.Add(`{"a":[1,{"b":"\"}`)
	f.Add(`{"a`)
	f.Add(`[`)
	f.Add(strings.Repeat("[", 5000))
	f.Fuzz(func(t *testing.T, raw string) {
		_, _ = whole(t, raw)
	})
}

func TestDeepJSONEndsInAnErrorAndNotInTheStack(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)

	_, err := whole(t, deep)

	if expr.Reason(err) != "error" {
		t.Errorf("got %v", err)
	}
}
