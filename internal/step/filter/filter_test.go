package filter

import (
	"testing"

	"weir"
	"weir/internal/step/steptest"
)

func compile(t *testing.T, where string) *Step {
	t.Helper()
	s, err := Compile(&weir.FilterStep{Where: where})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFilterIsAStep(t *testing.T) {
	t.Parallel()
	steptest.Run(t, steptest.Kind{
		Good:    compile(t, `data.n > 1`),
		Missing: compile(t, `data.nowhere == 1`),
	})
}

func TestFilterKeepsTheEventsForWhichItHolds(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]int{
		`data.n > 1`:               1,
		`event.type == "other"`:    0,
		`group.key.k == "v"`:       2,
		`event.id == "e1" || true`: 2,
	} {
		out, err := compile(t, where).Run(t.Context(), steptest.Input(t))

		if err != nil || out.Failure != nil || len(out.Events) != want {
			t.Errorf("%s: kept %d of 2, %+v, %v", where, len(out.Events), out.Failure, err)
		}
	}
}

func TestFilterThatIsNoConditionIsRefused(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"", "data.n >", "1 + 1", "secret.tok == data.n", "nobody.knows"} {
		if _, err := Compile(&weir.FilterStep{Where: where}); err == nil {
			t.Errorf("%q compiles", where)
		}
	}
}
