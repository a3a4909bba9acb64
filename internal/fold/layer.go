package fold

import "weir"

// Layer is what changed between two cursors, as rows: what a flush writes, in
// one transaction with the cursor. Its rows are copies; nobody changes them.
// Rows are sorted by id.
type Layer struct {
	From, To weir.Seq // the cursor must be From, and becomes To
	At       weir.Time

	Groups     []weir.Group   // to put, with their tails
	GroupsGone []weir.GroupID // to remove; their chunks stay until ChunksGone
	Chunks     []weir.Chunk   // full ones, to put
	ChunksGone []weir.GroupID // all chunks of these groups go
	Runs       []weir.Run
	RunsGone   []weir.RunID
	Installed  []Installed  // definitions put or deleted, in order of revision
	Counters   []Counter    // to add to
	Leases     []LeaseRow   // of all runs running: replaces the leases stored
	Breakers   []BreakerRow // of all origins at which tries failed: likewise
}

// Installed is one version of a definition: Body is nil in one that deletes.
type Installed struct {
	Project weir.ProjectID
	weir.Definition
}

// Counter counts what a trigger did with events.
type Counter struct {
	Project weir.ProjectID
	Trigger string
	What    string // "matched", "fired", "expired", "missing data.x", ...
	N       int64
}

// LeaseRow says that a run was being tried when the layer was frozen.
//
// With many nodes, a row is of one of two kinds. One of the dispatching node's
// own workers is Begun when it is written, and has no time of its own: it is Over
// as soon as that node does not dispatch. One granted to another node is written
// as not Begun, with a time until which that node may take it, which makes it
// Begun; then it renews it, or removes it as given back. One that is Over can be
// neither taken nor renewed any more.
type LeaseRow struct {
	Run     weir.RunID
	Node    string
	Try     int
	Began   weir.Time
	Written bool // state has it already, and nothing of it is to change
	Begun   bool
	Over    bool // as read: its time is up, by the database's clock
}

// BreakerRow says how often tries in a row did not reach an origin when the layer
// was frozen, and, where that opened its breaker, when the next one may.
type BreakerRow struct {
	Project  weir.ProjectID
	Origin   string
	Failures int
	Until    weir.Time // none while it is closed
}

// Checkpoint is what the fold goes on from: the flushed cursor, the
// definitions, and a short reference to all that is live.
type Checkpoint struct {
	Cursor   weir.Seq
	At       weir.Time // of the record at Cursor
	Projects []weir.Project
	Versions []Installed // every version that something live may name, in order of revision
	Groups   []GroupRef
	Runs     []RunRef
	Leases   []LeaseRow
	Breakers []BreakerRow
}

// GroupRef is what the fold keeps in memory of every open group.
type GroupRef struct {
	ID      weir.GroupID
	KeyHash weir.Identity
	Due     weir.Time
	Project weir.ProjectID
	Trigger string
}

// RunRef is what is loaded of every run in state.
type RunRef struct {
	ID     weir.RunID
	State  weir.RunState
	Holds  bool
	Due    weir.Time
	Lane   *weir.Lane // runs of the same lane share it
	Queued weir.Precedence
}
