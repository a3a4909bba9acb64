package track

import (
	"context"
	"encoding/json"

	"weir"
	"weir/client"
	"weir/internal/journal"
)

// maxChanges bounds how many changes of a run are shown.
const maxChanges = 1000

// Run returns one run with its attempts.
func (r *Reader) Run(ctx context.Context, project weir.ProjectID, id weir.RunID) (client.Run, error) {
	changes, err := r.changes(ctx, project, id)
	if err != nil {
		return client.Run{}, err
	}
	live, err := r.State.Runs(ctx, []weir.RunID{id})
	if err != nil {
		return client.Run{}, err
	}
	var run client.Run
	var members []weir.Member
	switch last := lastChange(changes); {
	case len(live) > 0 && live[0].Project == project && (last == nil || last.Change.N <= live[0].N):
		run = r.liveRun(live[0])
		if members, err = r.members(ctx, &live[0].Firing); err != nil {
			return run, err
		}
	case last != nil:
		run, members = pastRun(changes), firing(changes).Members
	default:
		return run, weir.E("", weir.NotFound, "there is no run %s in this project", id)
	}
	for _, rec := range changes {
		run.Attempts = append(run.Attempts, attempt(rec))
	}
	run.Events, err = r.uids(ctx, members)
	return run, err
}

// Ended tells what a run that left state became.
func (r *Reader) Ended(ctx context.Context, project weir.ProjectID, id weir.RunID) (state weir.RunState, found bool, err error) {
	changes, err := r.changes(ctx, project, id)
	if err != nil {
		return 0, false, err
	}
	last := lastChange(changes)
	if last == nil {
		return 0, false, nil
	}
	return stateAfter(last.Change.Kind), true, nil
}

// changes returns the changes of a run, oldest first.
func (r *Reader) changes(ctx context.Context, project weir.ProjectID, id weir.RunID) ([]*weir.Record, error) {
	found, _, err := r.Journal.Find(ctx, journal.Query{
		Project: project, Kind: journal.ByRun, Value: id.String(), Only: journal.Changes, Limit: maxChanges,
	})
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	return found, err
}

// lastChange returns the newest change that counts; a stale one does not.
func lastChange(changes []*weir.Record) *weir.Record {
	for i := len(changes) - 1; i >= 0; i-- {
		if changes[i].Change.Kind != weir.Stale {
			return changes[i]
		}
	}
	return nil
}

// firing returns how the run came to be, which its first change says.
func firing(changes []*weir.Record) *weir.Firing {
	for _, rec := range changes {
		if rec.Change.Firing != nil {
			return rec.Change.Firing
		}
	}
	return &weir.Firing{}
}

// stateAfter is where a change leaves its run.
func stateAfter(kind weir.ChangeKind) weir.RunState {
	switch kind {
	case weir.Succeeded:
		return weir.RunSucceeded
	case weir.Cancelled:
		return weir.RunCancelled
	case weir.Died, weir.Purged:
		return weir.RunDead
	case weir.Retrying, weir.Held, weir.Lost, weir.Hastened, weir.Redriven, weir.Stale:
	}
	return weir.RunPending
}

// members returns the batch of a live run.
func (r *Reader) members(ctx context.Context, f *weir.Firing) ([]weir.Member, error) {
	var chunks []weir.Chunk
	if f.Chunks > 0 {
		var err error
		if chunks, err = r.State.Chunks(ctx, []weir.GroupID{f.Group}); err != nil {
			return nil, err
		}
	}
	f.Join(chunks)
	return f.Members, nil
}

func (r *Reader) liveRun(run *weir.Run) client.Run {
	v := fromFiring(run.ID, &run.Firing)
	v.Pipeline = run.Pipeline
	v.State = run.State.String()
	if run.State == weir.RunPending && r.Dispatcher.Running(run.ID) {
		v.State = weir.RunRunning.String()
	}
	v.Tries = run.Tries
	v.Error = run.Error
	v.Ended = run.Ended
	if !run.State.Ended() {
		v.Due = run.Due
	}
	return v
}

// pastRun shows a run from its changes alone.
func pastRun(changes []*weir.Record) client.Run {
	last := lastChange(changes)
	v := fromFiring(last.Change.Run, firing(changes))
	v.Pipeline = last.Change.Pipeline
	v.Trigger = last.Change.Trigger
	state := stateAfter(last.Change.Kind)
	v.State = state.String()
	v.Error = last.Change.Error
	if state.Ended() {
		v.Ended = last.At
	} else {
		v.Due = last.At.Add(last.Change.After)
	}
	v.Tries = triesOf(changes)
	return v
}

// triesOf counts the tries since the run was made or redriven.
func triesOf(changes []*weir.Record) int {
	tries := 0
	for _, rec := range changes {
		switch rec.Change.Kind {
		case weir.Succeeded, weir.Retrying, weir.Died, weir.Lost:
			tries++
		case weir.Redriven:
			tries = 0
		case weir.Held, weir.Cancelled, weir.Hastened, weir.Purged, weir.Stale:
		}
	}
	return tries
}

func fromFiring(id weir.RunID, f *weir.Firing) client.Run {
	return client.Run{
		ID:         id.String(),
		Trigger:    f.Trigger,
		Reason:     f.Reason.String(),
		Key:        json.RawMessage(f.Key),
		Group:      f.Group.String(),
		Count:      f.Chunks*weir.ChunkSize + len(f.Members),
		Made:       f.Made,
		Executions: f.Executions,
	}
}

func attempt(rec *weir.Record) client.Attempt {
	c := rec.Change
	v := client.Attempt{
		N: c.N, At: rec.At, Outcome: c.Kind.String(), By: c.By, After: weir.Duration(c.After), Error: c.Error,
	}
	if a := c.Attempt; a != nil {
		v.Try, v.Node, v.Began, v.Took, v.Log = a.Try, a.Node, a.Began, weir.Duration(a.Took), a.Log
		for _, s := range a.Steps {
			v.Steps = append(v.Steps, client.StepOutcome{
				Index: s.Index, Kind: s.Kind, Finished: s.Finished, Took: weir.Duration(s.Took),
				Error: s.Error, Detail: s.Detail, Output: json.RawMessage(s.Output), Emitted: s.Emitted,
			})
		}
	}
	return v
}
