package api

import (
	"context"
	"io"
	"iter"
	"net/http"

	"weir"
	"weir/client"
	"weir/internal/auth"
	"weir/internal/ingest"
)

// Reader is the read side. Lists are newest first, with at most Paging.Limit
// items (1 to 1,000, always set), as of the flushed cursor; a look by id also
// knows what came after it. What is not there, or is another project's, is
// NotFound; a Paging.After that no page gave is Invalid with the field "after".
type Reader interface {
	Events(ctx context.Context, project weir.ProjectID, f client.EventFilter, p client.Paging) (client.Page[client.Event], error)
	Event(ctx context.Context, project weir.ProjectID, uid weir.EventUID) (client.Event, error)
	// EventData opens an event's data, whose attributes the event tells; without data it is NotFound.
	EventData(ctx context.Context, project weir.ProjectID, uid weir.EventUID) (*weir.Event, io.ReadSeekCloser, error)
	Runs(ctx context.Context, project weir.ProjectID, f client.RunFilter, p client.Paging) (client.Page[client.Run], error)
	Run(ctx context.Context, project weir.ProjectID, id weir.RunID) (client.Run, error)
	Groups(ctx context.Context, project weir.ProjectID, f client.GroupFilter, p client.Paging) (client.Page[client.Group], error)
	Group(ctx context.Context, project weir.ProjectID, id weir.GroupID) (client.Group, error)
}

// Streams tells what happens behind a place of a stream, "" for the end of the
// journal, for as long as ctx lasts. A page says in Next where the stream stands;
// one without items says only that. An error is the last: as the first pair it
// refuses the filter, the place (field "after") or one stream more, later it says
// why the stream ends.
type Streams interface {
	Follow(ctx context.Context, project weir.ProjectID, f client.StreamFilter, after string) iter.Seq2[client.Page[client.StreamItem], error]
}

// Orders gives orders of people and waits until they are shown, as long as the
// context allows: a place with Behind is an order that holds and is not shown
// yet. Other errors: NotFound where the run is unknown, Conflict where it is in
// a state that the order does not fit, or where another apply came first.
type Orders interface {
	// Apply installs definitions; their Revision is one more than the project's.
	Apply(ctx context.Context, project weir.ProjectID, order *weir.Apply) (weir.Seq, error)
	// Change orders a change of a run: Hastened, Redriven, Cancelled or Purged.
	Change(ctx context.Context, project weir.ProjectID, order weir.Change) (weir.Seq, error)
	// Erase orders that the events of a subject are forgotten; nobody is shown them
	// from then on.
	Erase(ctx context.Context, project weir.ProjectID, subject, by string) (weir.Erasure, error)
	// DeleteProject makes a project one that is not there, and orders that what it
	// had is forgotten.
	DeleteProject(ctx context.Context, p weir.Project, by string) error
}

// Projects keeps what the server knows of its tenants.
type Projects interface {
	Projects(ctx context.Context) ([]weir.Project, error)                      // by name
	CreateProject(ctx context.Context, name string) (weir.Project, error)      // Conflict where there is one
	SetRetention(ctx context.Context, p weir.ProjectID, d weir.Duration) error // 0: as long as the server says
	Erasures(ctx context.Context) ([]weir.Erasure, error)                      // newest first
}

// State is what the API reads of the control data.
type State interface {
	ProjectByName(ctx context.Context, name string) (weir.Project, error) // NotFound where there is none
	// Definitions returns what is in force, and the project's revision.
	Definitions(ctx context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error)
	// Counters returns what each trigger did with events.
	Counters(ctx context.Context, project weir.ProjectID) (map[string]weir.TriggerCounters, error)
	// ListRefusals returns those with numbers below before, newest first; 0 is all.
	ListRefusals(ctx context.Context, project weir.ProjectID, before int64, limit int) ([]weir.Refusal, error)
}

// Secrets keeps the secrets of projects. Nothing that it returns is a value.
type Secrets interface {
	Set(ctx context.Context, project weir.ProjectID, name string, value []byte) error
	Names(ctx context.Context, project weir.ProjectID) ([]string, error)
	Delete(ctx context.Context, project weir.ProjectID, name string) error
}

// Nodes knows the processes of the server, by name, and gives them orders.
type Nodes interface {
	Nodes(ctx context.Context) ([]weir.Node, error)
	// Drain tells a node to give up what it alone does and to take no more, and
	// Undrain to take part again: NotFound where there is none.
	Drain(ctx context.Context, name string) error
	Undrain(ctx context.Context, name string) error
}

// Settler waits until reads show everything up to a place, and answers Behind
// where that takes longer than the context allows.
type Settler interface {
	Settle(ctx context.Context, seq weir.Seq) error
}

// Tokens says who an Authorization header is of.
type Tokens interface {
	Authenticate(ctx context.Context, header string) (auth.Principal, error)
	// Forget has every token looked up anew.
	Forget()
}

// Hooks takes webhooks. The request has the path values project, "" for the
// default one, and source. With neither events nor an error, it was a handshake
// and is answered.
type Hooks interface {
	Receive(w http.ResponseWriter, r *http.Request) ([]ingest.Accepted, error)
}
