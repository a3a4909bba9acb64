package order

import (
	"context"

	"weir"
)

// Journal is where orders go.
type Journal interface {
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
	Head() weir.Seq
}

// State is read to decide.
type State interface {
	Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error)
	Chunks(ctx context.Context, groups []weir.GroupID) ([]weir.Chunk, error)
}

// Dispatcher folds the orders.
type Dispatcher interface {
	Settle(ctx context.Context, seq weir.Seq) error
	Running(ctx context.Context, run weir.RunID) bool
}

// Past tells what became of runs that left state.
type Past interface {
	Ended(ctx context.Context, project weir.ProjectID, run weir.RunID) (state weir.RunState, found bool, err error)
}

// Orders gives orders.
type Orders struct {
	Journal    Journal
	State      State
	Dispatcher Dispatcher
	Past       Past
	Erasures   Erasures
	Hide       func(ctx context.Context) error // from readers, what is to be forgotten now
}

// attempts is how often an order begins anew because another was first.
const attempts = 10

// Apply installs definitions as revision a.Revision of the project. Conflict:
// another apply was first; read the definitions again. It returns the order's
// place; Behind, with the place, says that the order holds but is not folded
// yet.
func (o *Orders) Apply(ctx context.Context, project weir.ProjectID, a *weir.Apply) (weir.Seq, error) {
	batch := weir.Batch{Bound: true, Records: []*weir.Record{{Project: project, Apply: a}}}
	receipts, err := o.Journal.Append(ctx, batch)
	if err != nil {
		return 0, err
	}
	if receipts[0].Refused {
		// The one that was first must show when the definitions are read again.
		if err := o.Dispatcher.Settle(ctx, receipts[0].Items[0].Seq); err != nil {
			return 0, err
		}
		return 0, weir.E("apply", weir.Conflict, "another apply made revision %d first: read the definitions again and repeat", a.Revision)
	}
	seq := receipts[0].Items[0].Seq
	return seq, o.Dispatcher.Settle(ctx, seq)
}

// Change orders a change of a run: Cancelled, Hastened, Redriven or Purged.
// NotFound: no such run in the project. Conflict: the run is not in a state in
// which this can be done.
func (o *Orders) Change(ctx context.Context, project weir.ProjectID, c weir.Change) (weir.Seq, error) {
	for range attempts {
		run, err := o.current(ctx, project, c.Run)
		if err != nil {
			return 0, err
		}
		if err := o.allowed(ctx, run, c.Kind); err != nil {
			return 0, err
		}
		next := c
		next.N, next.Pipeline, next.Trigger = run.N+1, run.Pipeline, run.Firing.Trigger
		if run.N == 0 {
			next.Firing = &run.Firing
		}
		batch := weir.Batch{Bound: true, Records: []*weir.Record{{Project: project, Change: &next}}}
		receipts, err := o.Journal.Append(ctx, batch)
		if err != nil {
			return 0, err
		}
		if !receipts[0].Refused {
			seq := receipts[0].Items[0].Seq
			return seq, o.Dispatcher.Settle(ctx, seq)
		}
	}
	return 0, weir.E(c.Kind.String(), weir.Conflict, "the run changes faster than it can be ordered: try again")
}

// current returns the run as of the journal's head, with all its members.
func (o *Orders) current(ctx context.Context, project weir.ProjectID, id weir.RunID) (*weir.Run, error) {
	if err := o.Dispatcher.Settle(ctx, o.Journal.Head()); err != nil {
		return nil, err
	}
	runs, err := o.State.Runs(ctx, []weir.RunID{id})
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 || runs[0].Project != project {
		return nil, o.absent(ctx, project, id)
	}
	run := runs[0]
	if run.N == 0 {
		var chunks []weir.Chunk
		if run.Firing.Chunks > 0 {
			if chunks, err = o.State.Chunks(ctx, []weir.GroupID{run.Firing.Group}); err != nil {
				return nil, err
			}
		}
		run.Firing.Join(chunks)
	}
	return run, nil
}

func (o *Orders) absent(ctx context.Context, project weir.ProjectID, id weir.RunID) error {
	state, found, err := o.Past.Ended(ctx, project, id)
	if err != nil {
		return err
	}
	if !found {
		return weir.E("", weir.NotFound, "there is no run %s in this project", id)
	}
	if state == weir.RunDead {
		return weir.E("", weir.Conflict, "run %s was purged", id) // others that are dead are in state
	}
	return weir.E("", weir.Conflict, "run %s has ended: it is %s", id, state)
}

func (o *Orders) allowed(ctx context.Context, run *weir.Run, kind weir.ChangeKind) error {
	dead := run.State == weir.RunDead
	switch {
	case dead && (kind == weir.Cancelled || kind == weir.Hastened):
		return weir.E("", weir.Conflict, "run %s is dead: redrive or purge it", run.ID)
	case !dead && (kind == weir.Redriven || kind == weir.Purged):
		return weir.E("", weir.Conflict, "run %s is %s: only a dead run can be %s", run.ID, run.State, kind)
	case kind == weir.Hastened && o.Dispatcher.Running(ctx, run.ID):
		return weir.E("", weir.Conflict, "run %s is being tried at this moment", run.ID)
	}
	return nil
}
