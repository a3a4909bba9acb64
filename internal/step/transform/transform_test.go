package transform

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/step"
	"weir/internal/step/steptest"
)

// compile makes a step of "path = expression" and "-path".
func compile(t testing.TB, edits ...string) *Step {
	t.Helper()
	var def weir.TransformStep
	for _, e := range edits {
		if path, ok := strings.CutPrefix(e, "-"); ok {
			def.Remove = append(def.Remove, path)
			continue
		}
		path, text, _ := strings.Cut(e, " = ")
		def.Set = append(def.Set, weir.NamedText{Name: path, Text: text})
	}
	s, err := Compile(&def)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTransformIsAStep(t *testing.T) {
	t.Parallel()
	steptest.Run(t, steptest.Kind{
		Good:    compile(t, `total = data.n * 2`, `-name`),
		Missing: compile(t, `total = data.nowhere`),
	})
}

func TestFieldsAreSetAndRemovedInPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		data  string
		edits []string
		want  string
	}{
		{`{"a":1,"b":2}`, []string{`a = data.b`, `b = data.a`}, `{"a":2,"b":1}`},
		{`{"a":1, "b":2}`, []string{`-a`}, `{"b":2}`},
		{`{"a":1}`, []string{`-a`}, `{}`},
		{`{}`, []string{`a.b.c = 1`, `a.d = 'x'`, `z = null`}, `{"a":{"b":{"c":1},"d":"x"},"z":null}`},
		{`{"a":{"b":1,"k":0},"c":3}`, []string{`a.b = 2`, `-c`}, `{"a":{"b":2,"k":0}}`},
		{`{"a":null}`, []string{`a.b = 1`}, `{"a":{"b":1}}`},
		{`{"a":[1]}`, []string{`-a.b`, `-x.y`}, `{"a":[1]}`},
		{`{"a":{"b":1}}`, []string{`-a.b`}, `{"a":{}}`},
		{`{"a":1}`, []string{`a = 2`, `-a`}, `{}`},
		{`{"a":1}`, []string{`a = {'b': data.a}`, `a.c = 3`}, `{"a":{"b":1,"c":3}}`},
		{
			`{"big":12345678901234567890123,"f":1.0,"s":"\u00e9","n":{"x": 1e3}}`,
			[]string{`a = 1`},
			`{"big":12345678901234567890123,"f":1.0,"s":"\u00e9","n":{"x": 1e3},"a":1}`,
		},
		{
			`{"n":{"big":12345678901234567890123},"l":[1.0]}`,
			[]string{`m = data.n`, `k = data.l`},
			`{"n":{"big":12345678901234567890123},"l":[1.0],"m":{"big":12345678901234567890123},"k":[1.0]}`,
		},
		{`{"a":1,"b":0,"a":2}`, []string{`a = data.a + 1`}, `{"a":3,"b":0}`},
		{`{"\u0061":1,"<":2}`, []string{`a = 2`, `x-y = "<"`}, `{"a":2,"<":2,"x-y":"<"}`},
		{` {"a":1} `, []string{`t = event.type`, `k = group.key.k`, `r = run.id.startsWith('run_')`}, `{"a":1,"t":"thing.made","k":"v","r":true}`},
	} {
		in := steptest.Input(t)
		in.Events = in.Events[:1]
		in.Events[0].Event.Data = []byte(c.data)

		out, err := compile(t, c.edits...).Run(t.Context(), in)

		if err != nil || out.Failure != nil {
			t.Errorf("%s: %+v, %v", c.data, out.Failure, err)
			continue
		}
		if diff := cmp.Diff(c.want, string(out.Events[0].Event.Data)); diff != "" {
			t.Errorf("%s %v: %s", c.data, c.edits, diff)
		}
	}
}

func TestWhatCannotBeEditedIsAFinalFailure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, edit, says string }{
		{`[1]`, `a = 1`, "event e1 is not a JSON object"},
		{``, `a = 1`, "event e1 is not a JSON object"},
		{`{"a":[1]}`, `a.b = 1`, "a is [1], and has no fields to set"},
		{`{"a":{"b":"x"}}`, `a.b.c = 1`, `a: b is "x"`},
		{`{"a":1}`, `b = data.a / 0`, "b: "},
		{`{"a":1}`, `b = "` + strings.Repeat("x", 2000) + `"`, "1000 are the most"},
	} {
		in := steptest.Input(t)
		in.Events[0].Event.Data = []byte(c.data)
		in.Limits = step.Limits{Data: 1000}

		out, err := compile(t, c.edit).Run(t.Context(), in)

		if err != nil || out.Failure == nil || !out.Failure.Final || !strings.Contains(out.Failure.Message, c.says) {
			t.Errorf("%s %s: %+v, %v, want %q", c.data, c.edit, out.Failure, err, c.says)
		}
	}
}

func TestAStepThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, def := range []weir.TransformStep{
		{Set: []weir.NamedText{{Name: "a..b", Text: "1"}}},
		{Set: []weir.NamedText{{Name: "a", Text: "1 +"}}},
		{Set: []weir.NamedText{{Name: "a", Text: "secret.tok"}}},
		{Remove: []string{""}},
	} {
		if _, err := Compile(&def); err == nil {
			t.Errorf("%+v compiles", def)
		}
	}
}

// TestEditsAreThoseOfAPlainMap compares with the same done on decoded objects.
func TestEditsAreThoseOfAPlainMap(t *testing.T) {
	t.Parallel()
	name := rapid.SampledFrom([]string{"a", "b", "c", "é", `q"`})
	rapid.Check(t, func(rt *rapid.T) {
		data := map[string]any{}
		for _, k := range rapid.SliceOfN(name, 0, 4).Draw(rt, "names") {
			data[k] = map[string]any{rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "inner"): "v"}
		}
		raw, err := json.Marshal(data)
		if err != nil {
			rt.Fatal(err)
		}
		root := edit{value: -1}
		set := rapid.SampledFrom([]string{"a", "b", "n"}).Draw(rt, "set")
		inner := rapid.SampledFrom([]string{"x", "z"}).Draw(rt, "set inner")
		gone := rapid.SampledFrom([]string{"b", "c", "é"}).Draw(rt, "removed")
		root.at([]string{set, inner}).value = 0
		root.at([]string{gone}).remove = true

		got, err := root.object(nil, raw, [][]byte{[]byte(`7`)})
		if err != nil {
			rt.Fatal(err)
		}

		at, _ := data[set].(map[string]any)
		if at == nil {
			at = map[string]any{}
		}
		at[inner], data[set] = 7.0, at
		delete(data, gone)
		var back map[string]any
		if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, data) {
			rt.Errorf("%s: %v, %v, want %v", got, back, err, data)
		}
	})
}

// FuzzEdit checks that an edited object is JSON still, whatever stood in it.
func FuzzEdit(f *testing.F) {
	f.Add(`{"a":{"b":1},"c":[1,2]}`)
	f.Add(` {"a" : null , "\u0061":2,"":{}} `)
	f.Add(`{"a":{"a":{"a":{}}},"b":"}\""}`)
	f.Fuzz(func(t *testing.T, data string) {
		if !json.Valid([]byte(data)) {
			return
		}
		root := edit{value: -1}
		root.at([]string{"a", "b"}).value = 0
		root.at([]string{"c"}).remove = true
		root.at([]string{"d", "e"}).remove = true

		out, err := root.object(nil, bytes.TrimSpace([]byte(data)), [][]byte{[]byte(`"set"`)})

		if err == nil && !json.Valid(out) {
			t.Errorf("%s is %s", data, out)
		}
	})
}
