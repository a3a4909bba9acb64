package api

import (
	"context"
	"net/http"
	"time"

	"weir"
	"weir/client"
	"weir/internal/auth"
)

type runsQuery struct {
	Paging
	Period
	State     string `query:"state" enum:"pending,running,waiting,succeeded,dead,cancelled"`
	Pipeline  string `query:"pipeline"`
	Trigger   string `query:"trigger"`
	Execution string `query:"execution"`
	Event     string `query:"event" doc:"The uid of an event of the batch."`
	Error     string `query:"error" maxLength:"1024" doc:"A part of the error of the last try."`
}

type groupsQuery struct {
	Paging
	Trigger string `query:"trigger"`
	State   string `query:"state" enum:"open,ended,fired,expired,late,full,dropped" doc:"Open, ended, or how it ended; open where it is absent."`
	Key     string `query:"key" maxLength:"4096" doc:"A JSON object of parts of the key, all of which are equal."`
}

func (a *API) registerRuns() {
	register(a, operation{
		id: "list-runs", method: http.MethodGet, path: "/v1/runs", role: auth.Viewer, summary: "List runs, newest first",
	}, func(ctx context.Context, in *runsQuery) (*listed[client.Run], error) {
		since, until, err := in.times()
		if err != nil {
			return nil, err
		}
		return listing(a.Reader.Runs(ctx, callerOf(ctx).project, client.RunFilter{
			State: in.State, Pipeline: in.Pipeline, Trigger: in.Trigger, Execution: in.Execution, Event: in.Event, Error: in.Error,
			Since: since, Until: until,
		}, in.client()))
	})
	register(a, operation{
		id: "get-run", method: http.MethodGet, path: "/v1/runs/{id}", role: auth.Viewer, summary: "Show a run with its attempts",
	}, func(ctx context.Context, in *idPath) (*answer[client.Run], error) {
		id, err := parsed(weir.ParseRunID(in.ID))
		if err != nil {
			return nil, err
		}
		return answered(a.Reader.Run(ctx, callerOf(ctx).project, id))
	})
	a.registerOrder("retry", weir.Hastened, "Make a pending run due now")
	a.registerOrder("redrive", weir.Redriven, "Make a dead run pending again, its tries starting anew")
	a.registerOrder("cancel", weir.Cancelled, "End a run that has not ended")
	a.registerOrder("purge", weir.Purged, "Remove a dead run")
	register(a, operation{
		id: "list-groups", method: http.MethodGet, path: "/v1/groups", role: auth.Viewer, summary: "List groups: open ones, newest first, or ended ones",
	}, func(ctx context.Context, in *groupsQuery) (*listed[client.Group], error) {
		f := client.GroupFilter{Trigger: in.Trigger, State: in.State, Key: in.Key}
		return listing(a.Reader.Groups(ctx, callerOf(ctx).project, f, in.client()))
	})
	register(a, operation{
		id: "get-group", method: http.MethodGet, path: "/v1/groups/{id}", role: auth.Viewer, summary: "Show a group with its events",
	}, func(ctx context.Context, in *idPath) (*answer[client.Group], error) {
		id, err := parsed(weir.ParseGroupID(in.ID))
		if err != nil {
			return nil, err
		}
		return answered(a.Reader.Group(ctx, callerOf(ctx).project, id))
	})
}

// ordered answers an order: 200 once reads show it, else 202.
type ordered[T any] struct {
	Status int
	Seq    *weir.Seq `header:"Weir-Seq" doc:"The greatest place in the journal of what was written."`
	Body   T
}

// orderTime is how long an order waits until it is shown.
const orderTime = 10 * time.Second

// orderStatus returns the status of an order that has a place: it holds, even
// where it is not shown yet.
func orderStatus(seq weir.Seq, err error) (int, error) {
	switch {
	case err == nil:
		return http.StatusOK, nil
	case seq > 0 && weir.CodeOf(err) == weir.Behind:
		return http.StatusAccepted, nil
	}
	return 0, err
}

func (a *API) registerOrder(verb string, kind weir.ChangeKind, summary string) {
	register(a, operation{
		id: verb + "-run", method: http.MethodPost, path: "/v1/runs/{id}/" + verb, role: auth.Editor, summary: summary,
	}, func(ctx context.Context, in *idPath) (*ordered[client.Ordered], error) {
		id, err := parsed(weir.ParseRunID(in.ID))
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, orderTime)
		defer cancel()
		c := callerOf(ctx)
		seq, err := a.Orders.Change(ctx, c.project, weir.Change{Run: id, Kind: kind, By: c.Name})
		status, err := orderStatus(seq, err)
		if err != nil {
			return nil, err
		}
		return &ordered[client.Ordered]{status, &seq, client.Ordered{Run: in.ID, Seq: seq}}, nil
	})
}
