package track

import (
	"context"
	"fmt"
	"slices"
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

// liveRuns adds the runs in state, and reports whether the page is full.
func (r *Reader) liveRuns(ctx context.Context, l listing, at *runPlace, page *client.Page[client.Run]) (full bool, err error) {
	for {
		runs, cursor, err := r.State.ListRuns(ctx, state.RunFilter{
			Project: l.project, State: l.state, Pipeline: l.filter.Pipeline, Trigger: l.filter.Trigger,
			Execution: l.filter.Execution, After: at.run, Limit: l.limit,
		})
		if err != nil {
			return false, err
		}
		at.upTo = cursor
		for _, run := range runs {
			at.run = run.ID
			if !madeWithin(l.filter, run.Firing.Made) {
				continue
			}
			page.Items = append(page.Items, r.liveRun(run))
			if len(page.Items) == l.limit {
				page.Next = at.String()
				return true, nil
			}
		}
		if len(runs) < l.limit {
			return false, nil
		}
	}
}

// endedRuns adds the runs that ended, by their last changes.
func (r *Reader) endedRuns(ctx context.Context, l listing, at runPlace, page *client.Page[client.Run]) error {
	q := journal.Query{Project: l.project, Only: journal.Changes, Before: at.seq, UpTo: at.upTo}
	switch {
	case l.filter.Trigger != "":
		q.Kind, q.Value = journal.ByTrigger, l.filter.Trigger
	case l.filter.Pipeline != "":
		q.Kind, q.Value = journal.ByPipeline, l.filter.Pipeline
	}
	for looked := 0; ; {
		q.Limit = min(max(l.limit-len(page.Items), 1)*4, 1000)
		records, next, err := r.Journal.Find(ctx, q)
		if err != nil {
			return err
		}
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
	if !madeWithin(l.filter, f.Made) || l.filter.Execution != "" && !slices.Contains(f.Executions, l.filter.Execution) {
		return client.Run{}, false, nil
	}
	return pastRun(changes), true, nil
}

func madeWithin(f client.RunFilter, made weir.Time) bool {
	return (f.Since == 0 || made >= f.Since) && (f.Until == 0 || made < f.Until)
}

// runPlace is where a page of runs ended: among those in state, or among those
// that had ended up to a cursor.
type runPlace struct {
	ended bool
	run   weir.RunID
	seq   weir.Seq
	upTo  weir.Seq
}

// String returns "RUN" or "SEQ-CURSOR".
func (at runPlace) String() string {
	if !at.ended {
		return at.run.String()
	}
	return fmt.Sprintf("%d-%d", at.seq, at.upTo)
}

func parseRunPlace(after string) (at runPlace, err error) {
	switch {
	case after == "":
		return at, nil
	case strings.HasPrefix(after, "run_"):
		if at.run, err = weir.ParseRunID(after); err != nil {
			return at, badAfter(after)
		}
		return at, nil
	}
	at.ended = true
	if n, err := fmt.Sscanf(after, "%d-%d", &at.seq, &at.upTo); n != 2 || err != nil {
		return at, badAfter(after)
	}
	return at, nil
}
