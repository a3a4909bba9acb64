package emit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/step"
	"weir/internal/step/steptest"
)

func compile(t *testing.T, def weir.EmitStep) *Step {
	t.Helper()
	s, err := Compile(&def)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, def weir.EmitStep, in *step.Input) step.Outcome {
	t.Helper()
	out, err := compile(t, def).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEmitIsAStep(t *testing.T) {
	t.Parallel()
	steptest.Run(t, steptest.Kind{
		Good:    compile(t, weir.EmitStep{Type: "a.b", Data: json.RawMessage(`{"k": "${group.key.k}"}`)}),
		Missing: compile(t, weir.EmitStep{Type: "a.b", Each: true, Data: json.RawMessage(`{"x": "${data.nowhere}"}`)}),
		Flood: compile(t, weir.EmitStep{
			Type: "a.b",
			Data: json.RawMessage(`{"x": "` + strings.Repeat("x", 2000) + `"}`),
		}),
	})
}

func TestEmittedEventBelongsToTheRun(t *testing.T) {
	t.Parallel()
	in := steptest.Input(t)

	out := run(t, weir.EmitStep{
		Type:    "${group.key.k}.done",
		Subject: "${run.id}",
		Data:    json.RawMessage(`{"sum": "${result.total}", "n": ["${events[0].data.n}", "n${events[1].data.n}"]}`),
	}, in)

	want := []*weir.Event{{
		ID:        "2.0",
		Source:    "/runs/run_00000000000000000000000000000009",
		Type:      "v.done",
		Subject:   "run_00000000000000000000000000000009",
		Data:      []byte(`{"sum": 5, "n": [1, "n2"]}`),
		Execution: "x1",
		Cause:     in.Run.ID,
		Hops:      4,
	}}
	if diff := cmp.Diff(want, out.Emitted); diff != "" {
		t.Error(diff)
	}
}

func TestEmitEachMakesOneEventPerEvent(t *testing.T) {
	t.Parallel()
	out := run(t, weir.EmitStep{Type: "again", Each: true, Source: "/mine/${data.n}"}, steptest.Input(t))

	var got []string
	for _, e := range out.Emitted {
		got = append(got, strings.Join([]string{e.ID, e.Source, e.Execution, string(e.Data)}, " "))
	}
	want := []string{
		`run_00000000000000000000000000000009.2.0 /mine/1 x1 {"n":1,"name":"thing 1"}`,
		`run_00000000000000000000000000000009.2.1 /mine/2 x2 {"n":2,"name":"thing 2"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEmitWithoutDataTakesThatOfTheOnlyEvent(t *testing.T) {
	t.Parallel()
	in := steptest.Input(t)
	in.Events = in.Events[:1]
	in.Events[0].Event.ContentType, in.Events[0].Event.Data = "text/plain", []byte("hello")

	out := run(t, weir.EmitStep{Type: "again"}, in)

	if e := out.Emitted[0]; string(e.Data) != "hello" || e.ContentType != "text/plain" {
		t.Errorf("got %+v", e)
	}
}

func TestFileIsNotEmittedAgain(t *testing.T) {
	t.Parallel()
	in := steptest.Input(t)
	in.Events[1].Event.Data, in.Events[1].Event.Blob = nil, &weir.Blob{ID: "00", Size: 1, File: true}

	out := run(t, weir.EmitStep{Type: "again", Each: true}, in)

	if f := out.Failure; f == nil || !f.Final || !strings.HasPrefix(f.Message, "data: the event's data stands in a file") {
		t.Errorf("got %+v", f)
	}
}

func TestBadEventFailsTheStepAndNamesTheField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		def  weir.EmitStep
		want string
	}{
		"type":    {weir.EmitStep{Type: "${events[0].data.n > 5 ? 'x' : ''}", Each: true}, "type: is required"},
		"source":  {weir.EmitStep{Type: "x", Source: "a b${data.n}", Each: true}, "source: "},
		"subject": {weir.EmitStep{Type: "x", Subject: "${'a\\nb'}", Each: true}, "subject: contains the control character U+000A"},
		"missing": {weir.EmitStep{Type: "x", Subject: "${data.nowhere}", Each: true}, "subject: missing data.nowhere"},
		"several": {weir.EmitStep{Type: "x"}, "data: event and data mean the batch's only event"},
		"in all":  {weir.EmitStep{Type: "x", Each: true, Data: json.RawMessage(`"` + strings.Repeat("x", 88) + `"`)}, "over 150 bytes"},
		"large":   {weir.EmitStep{Type: "x", Data: json.RawMessage(`"` + strings.Repeat("x", 99) + `"`)}, "data: 101 bytes long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := steptest.Input(t)
			in.Limits.Data, in.Limits.Emitted = 100, 150

			out := run(t, c.def, in)

			if out.Failure == nil || !out.Failure.Final || !strings.Contains(out.Failure.Message, c.want) {
				t.Errorf("got %+v, want %q", out.Failure, c.want)
			}
			if len(out.Emitted) > 0 {
				t.Error("emitted all the same")
			}
		})
	}
}

func TestSecretIsNotPutIntoAnEvent(t *testing.T) {
	t.Parallel()
	for field, def := range map[string]weir.EmitStep{
		"type":    {Type: "${secret.tok}"},
		"source":  {Type: "x", Source: "${secret.tok}"},
		"subject": {Type: "x", Subject: "${secret.tok}"},
		"data":    {Type: "x", Data: json.RawMessage(`{"a": ["${secret.tok}"]}`)},
	} {
		_, err := Compile(&def)

		if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}
