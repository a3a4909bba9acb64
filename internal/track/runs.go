package track

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/state"
)

// Runs lists runs: first those in state, newest first, then those that have
// ended, last ended first.
func (r *Reader) Runs(ctx context.Context, project weir.ProjectID, f client.RunFilter, p client.Paging) (client.Page[client.Run], error) {
	page := client.Page[client.Run]{Items: []client.Run{}}
	want, err := wantedState(f)
	if err != nil {
		return page, err
	}
	at, err := parseRunPlace(p.After)
	if err != nil {
		return page, err
	}
	if !at.ended {
		if want != weir.RunSucceeded && want != weir.RunCancelled {
			done, err := r.liveRuns(ctx, listing{project, f, want, limit(p)}, &at, &page)
			if done || err != nil {
				return page, err
			}
		}
		if at.upTo == 0 {
			if at.upTo, _, err = r.State.Cursor(ctx); err != nil {
				return page, err
			}
		}
		at.ended = true
	}
	if want == 0 || want == weir.RunSucceeded || want == weir.RunCancelled {
		err = r.endedRuns(ctx, listing{project, f, want, limit(p)}, at, &page)
	}
	return page, err
}

// listing is what one call of Runs asks for.
type listing struct {
	project weir.ProjectID
	filter  client.RunFilter
	state   weir.RunState
	limit   int
}

func wantedState(f client.RunFilter) (weir.RunState, error) {
	if f.State == "" {
		return 0, nil
	}
	return weir.ParseRunState(f.State)
}

// placed is a run of a list with its place among those in state.
type placed struct {
	id weir.RunID
	client.Run
}

// liveRuns adds the runs in state, and reports whether the page is full. Those
// that were in state when the first page was read and have ended since keep
// their places, so that none is missed and none shown twice.
func (r *Reader) liveRuns(ctx context.Context, l listing, at *runPlace, page *client.Page[client.Run]) (full bool, err error) {
	for {
		runs, cursor, err := r.State.ListRuns(ctx, state.RunFilter{
			Project: l.project, State: l.state, Pipeline: l.filter.Pipeline, Trigger: l.filter.Trigger,
			Execution: l.filter.Execution, After: at.run, Limit: l.limit,
		})
		if err != nil {
			return false, err
		}
		list, err := r.endedSince(ctx, l, at, cursor)
		if err != nil {
			return false, err
		}
		for _, run := range runs {
			list = append(list, placed{run.ID, r.listedRun(l, run)})
		}
		slices.SortFunc(list, func(a, b placed) int { return bytes.Compare(b.id[:], a.id[:]) })
		more := len(runs) == l.limit
		for _, run := range list {
			if more && bytes.Compare(run.id[:], runs[len(runs)-1].ID[:]) < 0 {
				break // between this one and the next in state there may be others
			}
			at.run = run.id
			if !madeWithin(l.filter, run.Made) {
				continue
			}
			page.Items = append(page.Items, run.Run)
			if len(page.Items) == l.limit {
				page.Next = at.String()
				return true, nil
			}
		}
		if !more {
			return false, nil
		}
	}
}

// listedRun shows a run in state; a list of one state shows no other.
func (r *Reader) listedRun(l listing, run *weir.Run) client.Run {
	v := r.liveRun(run)
	if l.state != 0 {
		v.State = run.State.String()
	}
	return v
}

// endedSince returns the runs that ended after a list of all states began, up to
// a cursor, and that stand behind what it has shown. Where more happened than a
// page may look at, the list begins anew from there, and may show runs twice.
func (r *Reader) endedSince(ctx context.Context, l listing, at *runPlace, cursor weir.Seq) (list []placed, err error) {
	if at.upTo == 0 {
		at.upTo = cursor
	}
	if at.upTo == cursor || l.state != 0 {
		return nil, nil
	}
	q := endedQuery(l)
	q.UpTo, q.Limit = cursor, 1000
	for looked := 0; looked < maxLooked; looked += q.Limit {
		found, err := r.Journal.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		records, next := found.Records, found.Next
		for _, rec := range records {
			if rec.Seq <= at.upTo {
				return list, nil
			}
			if id := rec.Change.Run; bytes.Compare(id[:], at.run[:]) < 0 {
				run, ok, err := r.endedRun(ctx, l, rec)
				if err != nil {
					return nil, err
				}
				if ok {
					list = append(list, placed{id, run})
				}
			}
		}
		if next == 0 {
			return list, nil
		}
		q.Before = next
	}
	at.upTo = cursor
	return nil, nil
}

// endedQuery asks for the changes among which those are that ended runs.
func endedQuery(l listing) journal.Query {
	q := journal.Query{Project: l.project, Only: journal.Changes}
	switch {
	case l.filter.Trigger != "":
		q.Kind, q.Value = journal.ByTrigger, l.filter.Trigger
	case l.filter.Pipeline != "":
		q.Kind, q.Value = journal.ByPipeline, l.filter.Pipeline
	}
	return q
}

// endedRuns adds the runs that ended, by their last changes.
func (r *Reader) endedRuns(ctx context.Context, l listing, at runPlace, page *client.Page[client.Run]) error {
	q := endedQuery(l)
	q.Before, q.UpTo = at.seq, at.upTo
	for looked := 0; ; {
		q.Limit = min(max(l.limit-len(page.Items), 1)*4, 1000)
		found, err := r.Journal.Find(ctx, q)
		if err != nil {
			return err
		}
		records, next := found.Records, found.Next
		for _, rec := range records {
			at.seq = rec.Seq
			run, ok, err := r.endedRun(ctx, l, rec)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			page.Items = append(page.Items, run)
			if len(page.Items) == l.limit {
				page.Next = at.String()
				return nil
			}
		}
		looked += len(records)
		if next == 0 {
			return nil
		}
		if at.seq = next; looked >= maxLooked {
			page.Next = at.String()
			return nil
		}
		q.Before = next
	}
}

// endedRun shows the run of a last change, where it is asked for.
func (r *Reader) endedRun(ctx context.Context, l listing, rec *weir.Record) (client.Run, bool, error) {
	c := rec.Change
	ended := c.Kind == weir.Succeeded || c.Kind == weir.Cancelled
	if !ended || l.state != 0 && l.state != stateAfter(c.Kind) ||
		l.filter.Pipeline != "" && l.filter.Pipeline != c.Pipeline ||
		l.filter.Trigger != "" && l.filter.Trigger != c.Trigger {
		return client.Run{}, false, nil
	}
	changes := []*weir.Record{rec}
	if c.N > 1 {
		var err error
		if changes, err = r.changes(ctx, rec.Project, c.Run); err != nil {
			return client.Run{}, false, err
		}
	}
	f := firing(changes)
	if f == nil {
		f = &weir.Firing{} // damage took the change that had it
	}
	if !madeWithin(l.filter, f.Made) || l.filter.Execution != "" && !slices.Contains(f.Executions, l.filter.Execution) {
		return client.Run{}, false, nil
	}
	return pastRun(changes), true, nil
}

func madeWithin(f client.RunFilter, made weir.Time) bool {
	return (f.Since == 0 || made >= f.Since) && (f.Until == 0 || made < f.Until)
}

// runPlace is where a page of runs ended: among those in state, or among those
// that had ended when the list began.
type runPlace struct {
	ended bool
	run   weir.RunID
	seq   weir.Seq
	upTo  weir.Seq // the cursor at which the list began
}

// String returns "RUN-CURSOR" or "SEQ-CURSOR".
func (at runPlace) String() string {
	if !at.ended {
		return at.run.String() + "-" + seqText(at.upTo)
	}
	return seqText(at.seq) + "-" + seqText(at.upTo)
}

func parseRunPlace(after string) (at runPlace, err error) {
	if after == "" {
		return at, nil
	}
	place, cursor, _ := strings.Cut(after, "-")
	upTo, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return at, badAfter(after)
	}
	at.upTo = weir.Seq(upTo)
	if strings.HasPrefix(place, "run_") {
		if at.run, err = weir.ParseRunID(place); err != nil {
			return at, badAfter(after)
		}
		return at, nil
	}
	seq, err := strconv.ParseUint(place, 10, 64)
	if err != nil {
		return at, badAfter(after)
	}
	at.ended, at.seq = true, weir.Seq(seq)
	return at, nil
}
