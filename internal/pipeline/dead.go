package pipeline

import (
	"encoding/json"
	"fmt"

	"weir"
)

// DeadType is the type of the event that says that a run died.
const DeadType = "weir.run.dead"

// DeadSource is the source of Weir's own events.
const DeadSource = "/weir"

// dead is the data of that event.
type dead struct {
	Run      string `json:"run"`
	Pipeline string `json:"pipeline"`
	Trigger  string `json:"trigger"`
	Error    string `json:"error"`
	Tries    int    `json:"tries"` // that counted, the last one included
}

// DeadID returns the id of the event that says that a run died by its change n.
// What a run emits itself never has it.
func DeadID(run weir.RunID, n uint32) string { return fmt.Sprintf("%s.%d", run, n) }

// DeadEvent returns the event that belongs into the batch of a change that
// Died, of a run that is not Quiet: type weir.run.dead, source /weir, id
// DeadID, the run's id as subject.
func DeadEvent(run *weir.Run, change *weir.Change) *weir.Record {
	data, _ := json.Marshal(dead{ // strings and a number: it cannot fail
		Run:      run.ID.String(),
		Pipeline: run.Pipeline,
		Trigger:  run.Firing.Trigger,
		Error:    change.Error,
		Tries:    run.Tries + 1,
	})
	return &weir.Record{Project: run.Project, Event: &weir.Event{
		ID:        DeadID(run.ID, change.N),
		Source:    DeadSource,
		Type:      DeadType,
		Subject:   run.ID.String(),
		Data:      data,
		Execution: Execution(run),
		Cause:     run.ID,
		Hops:      run.Firing.Hops + 1,
	}}
}

// Execution returns what the events that a run emits belong to: the first
// execution of its batch, or, where it has no batch, the run itself.
func Execution(run *weir.Run) string {
	if len(run.Firing.Executions) > 0 {
		return run.Firing.Executions[0]
	}
	return run.ID.String()
}
