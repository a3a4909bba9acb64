package jqstep

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/step"
	"weir/internal/step/steptest"
)

func compile(t *testing.T, program string) *Step {
	t.Helper()
	s, err := NewCompiler().Compile(&weir.JQStep{Program: program})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJQIsAStep(t *testing.T) {
	t.Parallel()
	steptest.Run(t, steptest.Kind{
		Good:    compile(t, `{n: (.n + 1), k: $group.key.k}`),
		Missing: compile(t, `.nowhere // error("missing data.nowhere")`),
	})
}

func TestEachEventsDataBecomesTheAnswer(t *testing.T) {
	t.Parallel()
	for program, want := range map[string][]string{
		`{n, s: $event.subject, k: $group.key.k, r: ($run.id[0:4])}`: {
			`{"k":"v","n":1,"r":"run_","s":"s1"}`, `{"k":"v","n":2,"r":"run_","s":"s2"}`,
		},
		`select(.n > 1)`:                     {`{"n":2,"name":"thing 2"}`},
		`empty`:                              nil,
		`.name`:                              {`"thing 1"`, `"thing 2"`},
		`$event | [.id, .hops]`:              {`["e1",3]`, `["e2",3]`},
		`$event.time[0:19] + "Z" | fromdate`: {`1`, `1`},
	} {
		in := steptest.Input(t)

		out, err := compile(t, program).Run(t.Context(), in)
		if err != nil || out.Failure != nil {
			t.Errorf("%s: %+v, %v", program, out.Failure, err)
			continue
		}
		var got []string
		for _, rec := range out.Events {
			got = append(got, string(rec.Event.Data))
			if rec.Seq == 0 || rec.Event.ID == "" || rec.Event.Execution == "" {
				t.Errorf("%s: lost what it is: %+v", program, rec.Event)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", program, diff)
		}
		if !strings.HasSuffix(out.Detail, " of 2 events") {
			t.Errorf("detail %q", out.Detail)
		}
	}
}

func TestAnEventWithoutDataIsNullAndOneThatIsNotJSONFails(t *testing.T) {
	t.Parallel()
	in := steptest.Input(t)
	in.Events = in.Events[:1]
	in.Events[0].Event.Data = nil

	out, err := compile(t, `{was: .}`).Run(t.Context(), in)
	if err != nil || len(out.Events) != 1 || string(out.Events[0].Event.Data) != `{"was":null}` {
		t.Errorf("%+v, %v", out, err)
	}
	in.Events[0].Event.Data, in.Events[0].Event.ContentType = []byte("x"), "text/plain"
	out, err = compile(t, `.`).Run(t.Context(), in)
	if err != nil || out.Failure == nil || !out.Failure.Final || !strings.Contains(out.Failure.Message, "text/plain") {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestWhatFailsOnOneEventIsAFinalFailureThatNamesIt(t *testing.T) {
	t.Parallel()
	for program, says := range map[string]string{
		`if .n == 2 then error("no") else . end`: "event e2: error: no",
		`.n, .n`:                                 "wrap it in [ ]",
		`"x" * 1e9`:                              "too much memory",
		`"x" * 2000`:                             "1000 are the most",
		`until(false; .)`:                        "the program takes",
	} {
		in := steptest.Input(t)
		in.Limits = step.Limits{Data: 1000}

		out, err := compile(t, program).Run(t.Context(), in)

		if err != nil || out.Failure == nil || !out.Failure.Final || !strings.Contains(out.Failure.Message, says) {
			t.Errorf("%s: %+v, %v, want %q", program, out.Failure, err, says)
		}
	}
}

func TestAProgramThatTakesTooLongIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := compile(t, `last(range(1e9))`)
	s.perEvent = 1

	out, err := s.Run(t.Context(), steptest.Input(t))

	if err != nil || out.Failure == nil || out.Failure.Final || !strings.Contains(out.Failure.Message, "longer than 1s") {
		t.Errorf("%+v, %v", out.Failure, err)
	}
}

func TestAProgramThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"", ".a |", "now", "nothing"} {
		if _, err := NewCompiler().Compile(&weir.JQStep{Program: program}); err == nil {
			t.Errorf("%q compiles", program)
		}
	}
}
