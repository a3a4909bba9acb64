package track

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/state"
)

// Runs lists runs: first those in state, newest first, then those that have
// ended, last ended first. The runs of one execution that have ended stand by
// when their first change was on record, those of one event by when they were
// made.
func (r *Reader) Runs(ctx context.Context, project weir.ProjectID, f client.RunFilter, p client.Paging) (client.Page[client.Run], error) {
	want, err := wantedState(f)
	if err != nil {
		return client.Page[client.Run]{}, err
	}
	w := runWish{reader: r, project: project, RunFilter: f, state: want}
	if f.Event != "" {
		return w.ofEvent(ctx, p)
	}
	l := list[client.Run]{
		reader: r, since: f.Since, until: f.Until, stays: want == 0, changes: w.query(), lookUp: w.query(),
		state: state.RunFilter{
			Project: project, State: want, Pipeline: f.Pipeline, Trigger: f.Trigger, Execution: f.Execution, Having: f.Error, Limit: limit(p),
		},
	}
	if want != weir.RunSucceeded && want != weir.RunCancelled {
		l.live = func(ctx context.Context, run *weir.Run) (client.Run, bool, error) {
			v, ok := w.live(ctx, run)
			return v, ok, nil
		}
	}
	if want == 0 || want == weir.RunSucceeded || want == weir.RunCancelled {
		l.past = w.past
	}
	if f.Execution != "" {
		l.lookUp.Kind, l.lookUp.Value = journal.ByExecution, f.Execution
		l.found = w.ended
	}
	return l.page(ctx, p.After)
}

func wantedState(f client.RunFilter) (weir.RunState, error) {
	if f.State == "" {
		return 0, nil
	}
	state, err := weir.ParseRunState(f.State)
	if err != nil {
		return 0, weir.E("", weir.Invalid, "%w", err).WithField("state")
	}
	return state, nil
}

// runWish is which runs a list has.
type runWish struct {
	client.RunFilter
	reader  *Reader
	project weir.ProjectID
	state   weir.RunState // 0 is any
}

// query asks for the changes among which those are that ended runs.
func (w *runWish) query() journal.Query {
	q := journal.Query{Project: w.project, Only: journal.Changes}
	switch {
	case w.Trigger != "":
		q.Kind, q.Value = journal.ByTrigger, w.Trigger
	case w.Pipeline != "":
		q.Kind, q.Value = journal.ByPipeline, w.Pipeline
	}
	return q
}

// live shows a run in state; a list of one state shows no other.
func (w *runWish) live(ctx context.Context, run *weir.Run) (client.Run, bool) {
	v := w.reader.liveRun(ctx, run)
	if w.state != 0 {
		v.State = run.State.String()
	}
	return v, w.fits(&v)
}

// past shows the run that a change ended.
func (w *runWish) past(ctx context.Context, rec *weir.Record) (client.Run, bool, error) {
	c := rec.Change
	if !stateAfter(c.Kind).Ended() || c.Kind == weir.Died || c.Kind == weir.Purged ||
		w.state != 0 && w.state != stateAfter(c.Kind) ||
		w.Pipeline != "" && w.Pipeline != c.Pipeline ||
		w.Trigger != "" && w.Trigger != c.Trigger {
		return client.Run{}, false, nil
	}
	changes := []*weir.Record{rec}
	if c.N > 1 {
		var err error
		if changes, err = w.reader.changes(ctx, rec.Project, c.Run); err != nil {
			return client.Run{}, false, err
		}
	}
	v := pastRun(changes)
	return v, w.fits(&v), nil
}

// ended shows the run of a first change, where it had ended at a cursor.
func (w *runWish) ended(ctx context.Context, first *weir.Record, upTo weir.Seq) (client.Run, bool, error) {
	changes, err := w.reader.changes(ctx, w.project, first.Change.Run)
	if err != nil {
		return client.Run{}, false, err
	}
	last := lastChange(changes)
	if last == nil || last.Seq > upTo {
		return client.Run{}, false, nil
	}
	return w.past(ctx, last)
}

// fits reports whether a run that is shown is asked for.
func (w *runWish) fits(v *client.Run) bool {
	return (w.Since == 0 || v.Made >= w.Since) && (w.Until == 0 || v.Made < w.Until) &&
		(w.Pipeline == "" || w.Pipeline == v.Pipeline) &&
		(w.Trigger == "" || w.Trigger == v.Trigger) &&
		(w.Execution == "" || slices.Contains(v.Executions, w.Execution)) &&
		(w.Error == "" || strings.Contains(v.Error, w.Error))
}

// ofEvent lists the runs that have an event in their batch, last made first, as
// they are now. State is read before the journal: a run whose first change comes
// between is on record then.
func (w *runWish) ofEvent(ctx context.Context, p client.Paging) (client.Page[client.Run], error) {
	page := client.Page[client.Run]{Items: []client.Run{}}
	uid, err := weir.ParseEventUID(w.Event)
	if err != nil {
		return page, weir.E("", weir.Invalid, "%w", err).WithField("event")
	}
	var after weir.RunID
	if p.After != "" {
		if after, err = weir.ParseRunID(p.After); err != nil {
			return page, badAfter(p.After)
		}
	}
	event, err := w.reader.record(ctx, w.project, uid)
	if err != nil {
		return page, err
	}
	if page.AsOf, _, err = w.reader.State.Cursor(ctx); err != nil {
		return page, err
	}
	ids, err := w.untried(ctx, event, &page)
	if err != nil {
		return page, err
	}
	onRecord, err := w.onRecord(ctx, event.Seq)
	if err != nil {
		return page, err
	}
	ids = append(ids, onRecord...)
	slices.SortFunc(ids, func(a, b weir.RunID) int { return bytes.Compare(b[:], a[:]) })
	for _, id := range slices.Compact(ids) {
		if !after.IsZero() && bytes.Compare(id[:], after[:]) >= 0 {
			continue
		}
		v, _, _, err := w.reader.look(ctx, w.project, id)
		if err != nil {
			return page, err
		}
		if !w.fits(&v) || w.state != 0 && v.State != w.state.String() {
			continue
		}
		page.Items = append(page.Items, v)
		if len(page.Items) == limit(p) {
			page.Next = v.ID
			break
		}
	}
	return page, nil
}

// untried returns the runs with an event in their batch to which nothing happened
// yet: only state has them. Where there are too many to look at all, the page
// says how far it looked.
func (w *runWish) untried(ctx context.Context, event *weir.Record, page *client.Page[client.Run]) (ids []weir.RunID, err error) {
	b := newBudget()
	for _, st := range []weir.RunState{weir.RunPending, weir.RunRunning} {
		f := state.RunFilter{Project: w.project, State: st, Pipeline: w.Pipeline, Trigger: w.Trigger, Limit: 1000}
		for more := true; more; {
			f.Look = b.left()
			runs, listed, err := w.reader.State.ListRuns(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, run := range runs {
				has, err := w.has(ctx, run, event.Seq)
				if err != nil {
					return nil, err
				}
				if has {
					ids = append(ids, run.ID)
				}
			}
			f.After = listed.Reached
			b.looked += listed.Looked
			more = listed.More() && weir.MadeAt(f.After) >= event.At/1000*1000
			if more && b.spent() {
				page.Looked = &client.Looked{Records: b.looked, BackTo: weir.MadeAt(f.After)}
				more = false
			}
		}
	}
	return ids, nil
}

// has reports whether an event is in the batch of a run that is in state and to
// which nothing happened yet.
func (w *runWish) has(ctx context.Context, run *weir.Run, seq weir.Seq) (bool, error) {
	if run.N > 0 {
		return false, nil
	}
	is := func(m weir.Member) bool { return m.Seq == seq }
	if slices.ContainsFunc(run.Firing.Members, is) || run.Firing.Chunks == 0 {
		return slices.ContainsFunc(run.Firing.Members, is), nil
	}
	if _, err := w.reader.join(ctx, &run.Firing); err != nil {
		return false, err
	}
	return slices.ContainsFunc(run.Firing.Members, is), nil
}

// onRecord returns the runs whose first changes have an event in their batch.
func (w *runWish) onRecord(ctx context.Context, seq weir.Seq) (ids []weir.RunID, err error) {
	q := journal.Query{Project: w.project, Kind: journal.ByLink, Value: seqText(seq), Only: journal.Changes, Limit: 1000}
	for {
		found, err := w.reader.Journal.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range found.Records {
			ids = append(ids, rec.Change.Run)
		}
		if found.Next == 0 {
			return ids, nil
		}
		q.Before = found.Next
	}
}
