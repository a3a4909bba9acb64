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
	run, firing, changes, err := r.look(ctx, project, id)
	if err != nil {
		return run, err
	}
	for _, rec := range changes {
		run.Attempts = append(run.Attempts, attempt(rec))
	}
	if run.State == weir.RunPending.String() {
		run.Waits = r.Dispatcher.Why(ctx, id)
	}
	if firing != nil {
		run.Events, run.Missing, err = r.uids(ctx, firing.Members)
	}
	return run, err
}

// look returns one run as lists show it, how it came to be, and its changes.
// State is read before the journal: what ends meanwhile leaves state, and the
// journal has it.
func (r *Reader) look(ctx context.Context, project weir.ProjectID, id weir.RunID) (client.Run, *weir.Firing, []*weir.Record, error) {
	live, err := r.live(ctx, project, id)
	if err != nil {
		return client.Run{}, nil, nil, err
	}
	changes, err := r.changes(ctx, project, id)
	if err != nil {
		return client.Run{}, nil, nil, err
	}
	first := firing(changes)
	if live != nil && first == nil {
		first = &live.Firing
	}
	switch last := lastChange(changes); {
	case live != nil && (last == nil || last.Change.N <= live.N):
		live.Firing = *first
		return r.liveRun(ctx, live), first, changes, nil
	case last != nil:
		return pastRun(changes), first, changes, nil
	}
	return client.Run{}, nil, nil, weir.E("", weir.NotFound, "there is no run %s in this project", id)
}

// live returns a run that is in state, with all its members, or nil.
func (r *Reader) live(ctx context.Context, project weir.ProjectID, id weir.RunID) (*weir.Run, error) {
	runs, err := r.State.Runs(ctx, []weir.RunID{id})
	if err != nil || len(runs) == 0 || runs[0].Project != project {
		return nil, err
	}
	_, err = r.join(ctx, &runs[0].Firing)
	return runs[0], err
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
	answer, err := r.Journal.Find(ctx, journal.Query{
		Project: project, Kind: journal.ByRun, Value: id.String(), Only: journal.Changes, Limit: maxChanges,
	})
	found := answer.Records
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	if err != nil || len(found) < maxChanges || firing(found) != nil {
		return found, err
	}
	// The first change is older than those shown. It alone has the firing.
	first, err := r.firstChange(ctx, project, id)
	if first == nil {
		return found, err
	}
	return append([]*weir.Record{first}, found...), nil
}

// firstChange returns the first change of a run, or nil where there is none.
func (r *Reader) firstChange(ctx context.Context, project weir.ProjectID, id weir.RunID) (*weir.Record, error) {
	identity := (&weir.Record{Project: project, Change: &weir.Change{Run: id, N: 1}}).Identity()
	at, known := r.Journal.Place(ctx, identity)
	if !known {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	records, err := r.Journal.Records(ctx, []weir.Seq{at.Seq})
	if err != nil {
		return nil, err
	}
	return records[0], nil
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

// firing returns how the run came to be, which its first change says, or nil.
func firing(changes []*weir.Record) *weir.Firing {
	for _, rec := range changes {
		if rec.Change.Firing != nil {
			return rec.Change.Firing
		}
	}
	return nil
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

// join makes the members whole of a firing that state has. It reports false
// where state no longer has all of them: something ended since it was read.
func (r *Reader) join(ctx context.Context, f *weir.Firing) (whole bool, err error) {
	if f.Chunks == 0 {
		f.Join(nil)
		return true, nil
	}
	chunks, err := r.State.Chunks(ctx, []weir.GroupID{f.Group})
	if err != nil {
		return false, err
	}
	whole = len(chunks) >= f.Chunks
	f.Join(chunks)
	return whole, nil
}

func (r *Reader) liveRun(ctx context.Context, run *weir.Run) client.Run {
	v := fromFiring(run.ID, &run.Firing)
	v.Pipeline = run.Pipeline
	v.State = run.State.String()
	if run.State == weir.RunPending && r.Dispatcher.Running(ctx, run.ID) {
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
	last, first := lastChange(changes), firing(changes)
	if first == nil {
		first = &weir.Firing{}
	}
	v := fromFiring(last.Change.Run, first)
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
