package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func TestDeadEventSaysWhatDiedAndWhy(t *testing.T) {
	t.Parallel()
	run := &weir.Run{ID: weir.RunID{15: 7}, Project: 3, Pipeline: "bill", Tries: 7, Firing: weir.Firing{
		Trigger: "usage", Executions: []string{"x1", "x2"}, Hops: 2,
	}}

	got := DeadEvent(run, &weir.Change{Run: run.ID, N: 9, Kind: weir.Died, Error: `said "no"`})

	want := &weir.Record{Project: 3, Event: &weir.Event{
		ID:      "run_00000000000000000000000000000007.9",
		Source:  "/weir",
		Type:    "weir.run.dead",
		Subject: "run_00000000000000000000000000000007",
		Data: []byte(`{"run":"run_00000000000000000000000000000007","pipeline":"bill","trigger":"usage",` +
			`"error":"said \"no\"","tries":8}`),
		Execution: "x1",
		Cause:     run.ID,
		Hops:      3,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := got.Event.Validate(); err != nil {
		t.Error(err)
	}
}

func TestRunWithoutBatchIsItsOwnExecution(t *testing.T) {
	t.Parallel()
	run := &weir.Run{ID: weir.RunID{15: 7}}

	if got := Execution(run); got != run.ID.String() {
		t.Errorf("got %q", got)
	}
}
