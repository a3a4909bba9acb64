package logline

import (
	"strings"
	"testing"

	"weir"
	"weir/internal/step/steptest"
)

func compile(t *testing.T, def weir.LogStep) *Step {
	t.Helper()
	s, err := Compile(&def)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLogIsAStep(t *testing.T) {
	t.Parallel()
	steptest.Run(t, steptest.Kind{
		Good:    compile(t, weir.LogStep{Message: `${run.id}: ${size(events)} events`}),
		Missing: compile(t, weir.LogStep{Message: `${events.map(e, e.data.nowhere)} data.nowhere`}),
	})
}

func TestLogWritesALineWithItsLevel(t *testing.T) {
	t.Parallel()
	in := steptest.Input(t)
	for _, level := range []string{"", "debug", "warn", "error"} {
		out, err := compile(t, weir.LogStep{Message: `n is ${events[1].data.n}`, Level: level}).Run(t.Context(), in)
		if err != nil || out.Failure != nil {
			t.Fatalf("%+v, %v", out.Failure, err)
		}
	}

	got := in.Log.String()

	for _, want := range []string{" info n is 2\n", " debug n is 2\n", " warn n is 2\n", " error n is 2\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestLogRefusesOtherLevels(t *testing.T) {
	t.Parallel()
	if _, err := Compile(&weir.LogStep{Message: "x", Level: "loud"}); weir.CodeOf(err) != weir.Invalid {
		t.Errorf("got %v", err)
	}
}
