package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"weir"
)

// Run is a run as the API shows it. Waits, Events and Attempts are there when it
// is shown alone.
type Run struct {
	ID         string          `json:"id"`
	Pipeline   string          `json:"pipeline" doc:"Empty for the empty pipeline, which ends at once."`
	State      string          `json:"state" enum:"pending,running,waiting,succeeded,dead,cancelled"`
	Trigger    string          `json:"trigger,omitempty"`
	Reason     string          `json:"reason" doc:"How it came to be: matched, fired, expired, late, full, dropped, ordered, or failed: another run died."`
	Key        json.RawMessage `json:"key,omitempty" doc:"The key of the group that made it, an object."`
	Group      string          `json:"group,omitempty" doc:"The group that made it."`
	Count      int             `json:"count" doc:"How many events are in its batch."`
	Due        weir.Time       `json:"due,omitzero" format:"date-time" doc:"When it may start; absent once it ended."`
	Waits      string          `json:"waits,omitempty" doc:"What a pending run waits for, in words: for a place, a rate, a destination, an earlier run, or until a time."`
	Made       weir.Time       `json:"made" format:"date-time"`
	Ended      weir.Time       `json:"ended,omitzero" format:"date-time"`
	Tries      int             `json:"tries" doc:"Tries that count, since it was made or redriven."`
	Executions []string        `json:"executions,omitempty"`
	Error      string          `json:"error,omitempty" doc:"What went wrong in the last try."`
	Events     []string        `json:"events,omitempty" doc:"The uids of its batch, in order."`
	Missing    int             `json:"missing,omitempty" doc:"How many events of its batch are no longer kept: erased, or too old."`
	Attempts   []Attempt       `json:"attempts,omitempty" doc:"Its changes, with what was tried, oldest first."`
}

// Attempt is a change of a run with what was tried in it. Orders by people are
// attempts without steps.
type Attempt struct {
	N       uint32        `json:"n" doc:"The number of the change; 0 for a stale one, which changed nothing."`
	At      weir.Time     `json:"at" format:"date-time" doc:"When the outcome was on record."`
	Outcome string        `json:"outcome" doc:"succeeded, retrying, died, held, lost, cancelled, hastened, redriven, purged or stale."`
	By      string        `json:"by,omitempty" doc:"Who ordered it."`
	Try     int           `json:"try,omitempty"`
	Node    string        `json:"node,omitempty"`
	Began   weir.Time     `json:"began,omitzero" format:"date-time"`
	Took    weir.Duration `json:"took,omitempty"`
	After   weir.Duration `json:"after,omitempty" doc:"How long the next try waits."`
	Error   string        `json:"error,omitempty"`
	Steps   []StepOutcome `json:"steps,omitempty"`
	Log     string        `json:"log,omitempty"`
}

// StepOutcome is what became of one step in one try.
type StepOutcome struct {
	Index    int             `json:"index" doc:"Its place in the pipeline, from 0."`
	Kind     string          `json:"kind"`
	Finished bool            `json:"finished" doc:"It had its effect and is not done again."`
	Took     weir.Duration   `json:"took"`
	Error    string          `json:"error,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	Output   json.RawMessage `json:"output,omitempty"`
	Emitted  int             `json:"emitted,omitempty" doc:"How many events it emitted."`
}

// Ordered answers an order about a run: where it is in the journal. The server
// answers once a read shows it, or after ten seconds without that.
type Ordered struct {
	Run string   `json:"run"`
	Seq weir.Seq `json:"seq"`
}

// RunFilter says which runs a list holds; empty fields ask for nothing. Since
// is inclusive, Until exclusive, both of when the run was made.
type RunFilter struct {
	State     string
	Pipeline  string
	Trigger   string
	Execution string
	Event     string // uid of an event of the batch
	Error     string // a part of the error of the last try
	Since     weir.Time
	Until     weir.Time
}

// Runs lists runs, newest first.
func (c *Client) Runs(ctx context.Context, f RunFilter, p Paging) (Page[Run], error) {
	q := p.values()
	set(q, "state", f.State)
	set(q, "pipeline", f.Pipeline)
	set(q, "trigger", f.Trigger)
	set(q, "execution", f.Execution)
	set(q, "event", f.Event)
	set(q, "error", f.Error)
	set(q, "since", f.Since.String())
	set(q, "until", f.Until.String())
	return get[Page[Run]](ctx, c, "/v1/runs", q)
}

// Run returns one run with its attempts.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	return get[Run](ctx, c, "/v1/runs/"+url.PathEscape(id), nil)
}

// Retry makes a pending run due now, with its tries as they are.
func (c *Client) Retry(ctx context.Context, id string) (Ordered, error) {
	return c.order(ctx, id, "retry")
}

// Redrive makes a dead run pending again, its tries starting anew.
func (c *Client) Redrive(ctx context.Context, id string) (Ordered, error) {
	return c.order(ctx, id, "redrive")
}

// Cancel ends a run that has not ended.
func (c *Client) Cancel(ctx context.Context, id string) (Ordered, error) {
	return c.order(ctx, id, "cancel")
}

// Purge removes a dead run.
func (c *Client) Purge(ctx context.Context, id string) (Ordered, error) {
	return c.order(ctx, id, "purge")
}

func (c *Client) order(ctx context.Context, id, verb string) (Ordered, error) {
	return call[Ordered](ctx, c, request{
		method: http.MethodPost, path: "/v1/runs/" + url.PathEscape(id) + "/" + verb,
	})
}

// Group is a group as the API shows it. Events is there when it is shown alone.
type Group struct {
	ID       string          `json:"id"`
	Trigger  string          `json:"trigger"`
	Key      json.RawMessage `json:"key" doc:"An object, its parts in the order of group_by."`
	State    string          `json:"state" doc:"open, or how it ended: fired, expired, late, full, dropped."`
	Late     bool            `json:"late,omitempty" doc:"It collects what came late."`
	Opened   weir.Time       `json:"opened" format:"date-time"`
	First    weir.Time       `json:"first" format:"date-time" doc:"The least time of its events."`
	Last     weir.Time       `json:"last" format:"date-time" doc:"The greatest time of its events."`
	Expires  weir.Time       `json:"expires,omitzero" format:"date-time"`
	Count    int             `json:"count" doc:"How many events it has."`
	Criteria []Criterion     `json:"criteria,omitempty" doc:"What it has and needs, in the order of fire."`
	Ended    weir.Time       `json:"ended,omitzero" format:"date-time"`
	Run      string          `json:"run,omitempty" doc:"The run that it made."`
	Events   []string        `json:"events,omitempty" doc:"The uids of its events, in order."`
	Missing  int             `json:"missing,omitempty" doc:"How many of its events are no longer kept: erased, or too old."`
}

// Criterion is how far a group is with one criterion of fire.
type Criterion struct {
	Have int `json:"have"`
	Need int `json:"need"`
}

// GroupFilter says which groups a list holds; empty fields ask for nothing, but
// an empty State for the open ones.
type GroupFilter struct {
	Trigger string
	State   string // open, ended, or how it ended: fired, expired, late, full or dropped
	Key     string // JSON object of parts of the key, all of which are equal: {"user": "u1"}
}

// Groups lists groups: open ones, newest first, or ended ones, last ended first.
func (c *Client) Groups(ctx context.Context, f GroupFilter, p Paging) (Page[Group], error) {
	q := p.values()
	set(q, "trigger", f.Trigger)
	set(q, "state", f.State)
	set(q, "key", f.Key)
	return get[Page[Group]](ctx, c, "/v1/groups", q)
}

// Group returns one group with its events.
func (c *Client) Group(ctx context.Context, id string) (Group, error) {
	return get[Group](ctx, c, "/v1/groups/"+url.PathEscape(id), nil)
}
