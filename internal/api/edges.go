package api

import (
	"context"

	"weir"
	"weir/client"
)

// Reader is the read side. Lists are newest first, with at most Paging.Limit
// items (1 to 1,000, always set), as of the flushed cursor; a look by id also
// knows what came after it. What is not there, or is another project's, is
// NotFound; a Paging.After that no page gave is Invalid with the field "after".
type Reader interface {
	Events(ctx context.Context, project weir.ProjectID, f client.EventFilter, p client.Paging) (client.Page[client.Event], error)
	Event(ctx context.Context, project weir.ProjectID, uid weir.EventUID) (client.Event, error)
	Runs(ctx context.Context, project weir.ProjectID, f client.RunFilter, p client.Paging) (client.Page[client.Run], error)
	Run(ctx context.Context, project weir.ProjectID, id weir.RunID) (client.Run, error)
	Groups(ctx context.Context, project weir.ProjectID, f client.GroupFilter, p client.Paging) (client.Page[client.Group], error)
	Group(ctx context.Context, project weir.ProjectID, id weir.GroupID) (client.Group, error)
}

// Refusals lists what was turned away, all that is known at the time of the
// call, newest first.
type Refusals interface {
	Refusals(ctx context.Context, project weir.ProjectID, p client.Paging) (client.Page[client.Refusal], error)
}

// Orders appends orders of people and returns their places once durable.
// Errors: NotFound where the run is unknown, Conflict where it is in a state
// that the order does not fit, or where another came first.
type Orders interface {
	// Apply appends an order whose Revision is one more than the project's.
	Apply(ctx context.Context, project weir.ProjectID, order *weir.Apply) (weir.Seq, error)
	// Change orders one of Hastened, Redriven, Cancelled and Purged.
	Change(ctx context.Context, project weir.ProjectID, run weir.RunID, order RunOrder) (weir.Seq, error)
}

// RunOrder is what a person orders a run to do.
type RunOrder struct {
	Kind weir.ChangeKind // Hastened, Redriven, Cancelled or Purged
	By   string
}

// Definitions returns the definitions of a project that are in force, and its
// revision, as of the newest apply that was answered.
type Definitions interface {
	Definitions(ctx context.Context, project weir.ProjectID) (revision uint64, inForce []weir.Definition, err error)
}

// Secrets keeps the secrets of projects. Nothing that it returns is a value.
type Secrets interface {
	Set(ctx context.Context, project weir.ProjectID, name string, value []byte) error
	Names(ctx context.Context, project weir.ProjectID) ([]string, error)
	Delete(ctx context.Context, project weir.ProjectID, name string) error
}

// Projects finds a project's number by its name: NotFound where there is none.
type Projects interface {
	ProjectID(ctx context.Context, name string) (weir.ProjectID, error)
}

// Settler waits until reads show everything up to a place, and answers Behind
// where that takes longer than the context allows.
type Settler interface {
	Settle(ctx context.Context, seq weir.Seq) error
}
