package upkeep

import (
	"context"
	"errors"
	"time"

	"weir"
)

// Erasures are the orders to forget, and what state has of those whom they mean.
type Erasures interface {
	Erasures(ctx context.Context) ([]weir.Erasure, error)
	NoteErasure(ctx context.Context, e weir.Erasure) error
	Cursor(ctx context.Context) (weir.Seq, weir.Time, error)
	Definitions(ctx context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error)
	OpenTriggers(ctx context.Context, project weir.ProjectID) ([]string, error) // that have open groups
	RunsOf(ctx context.Context, project weir.ProjectID, limit int) ([]*weir.Run, error)
	DropProject(ctx context.Context, project weir.ProjectID) (more bool, err error)
}

const (
	// settling is how long after a project's deletion somebody may still append to
	// it, who entered it before.
	settling   = time.Minute
	runsAtOnce = 500
	foldTime   = 10 * time.Second // for what was appended to be folded
)

// forget brings all erasures that are under way as far as they come.
func (l *Loop) forget(ctx context.Context) error {
	all, err := l.Erasures.Erasures(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range all {
		if e.Ended == 0 && ctx.Err() == nil {
			errs = append(errs, l.erase(ctx, e))
		}
	}
	return errors.Join(errs...)
}

// erase does all that an erasure orders, or as much as can be done now.
func (l *Loop) erase(ctx context.Context, e weir.Erasure) error {
	if e.Subject == "" {
		if empty, err := l.empty(ctx, e); !empty || err != nil {
			return err
		}
	}
	cursor, _, err := l.Erasures.Cursor(ctx)
	if err != nil || cursor < e.UpTo {
		return err
	}
	part := e
	if e.Subject == "" {
		part.UpTo = cursor // its runs were ended since it was ordered
	}
	for more := true; more; {
		done, err := l.step(ctx, func() (Trimmed, error) { return l.Journal.Erase(ctx, part) })
		l.metrics.count(whyErased, done)
		e.Records += int64(done.Records)
		if done.Records > 0 {
			err = errors.Join(err, l.Erasures.NoteErasure(ctx, e))
		}
		if err != nil {
			return err
		}
		more = done.More
	}
	for more := e.Subject == ""; more; {
		if more, err = l.Erasures.DropProject(ctx, e.Project); err != nil {
			return err
		}
	}
	e.Ended = weir.TimeOf(time.Now())
	if err := l.Erasures.NoteErasure(ctx, e); err != nil {
		return err
	}
	l.Logger.Info("erased", "project", e.Project, "erasure", e.ID, "records", e.Records)
	l.again = max(l.again, e.Ended) // the blobs of what is gone may be of any age
	return errors.Join(l.sweep(ctx), l.Hiding.Refresh(ctx))
}

// empty ends what is live of a deleted project, and reports whether nothing is
// left that could append to it: an order takes all definitions out of force and
// drops the groups, then the runs are cancelled, or purged, some hundred at a time.
func (l *Loop) empty(ctx context.Context, e weir.Erasure) (bool, error) {
	if done, err := l.dropGroups(ctx, e); !done || err != nil {
		return false, err
	}
	for {
		runs, err := l.Erasures.RunsOf(ctx, e.Project, runsAtOnce)
		if err != nil {
			return false, err
		}
		if len(runs) == 0 {
			return time.Since(e.Ordered.Std()) >= settling, nil
		}
		batches := make([]weir.Batch, len(runs))
		for i, run := range runs {
			batches[i] = end(run, e.By)
		}
		if folded, err := l.order(ctx, batches...); !folded || err != nil {
			return false, err
		}
	}
}

// dropGroups reports whether a deleted project has neither definitions in force
// nor open groups, and orders that where it has.
func (l *Loop) dropGroups(ctx context.Context, e weir.Erasure) (bool, error) {
	inForce, revision, err := l.Erasures.Definitions(ctx, e.Project)
	if err != nil {
		return false, err
	}
	open, err := l.Erasures.OpenTriggers(ctx, e.Project) // also of triggers that are not in force any more
	if err != nil || len(inForce)+len(open) == 0 {
		return err == nil, err
	}
	apply := &weir.Apply{Revision: revision + 1, By: e.By, DropGroups: true}
	for _, d := range inForce {
		apply.Delete = append(apply.Delete, weir.Definition{Kind: d.Kind, Name: d.Name})
	}
	for _, trigger := range open {
		d := weir.Definition{Kind: weir.KindTrigger, Name: trigger}
		if !isAmong(apply.Delete, d) {
			apply.Delete = append(apply.Delete, d)
		}
	}
	return l.order(ctx, weir.Batch{Bound: true, Records: []*weir.Record{{Project: e.Project, Apply: apply}}})
}

func isAmong(all []weir.Definition, d weir.Definition) bool {
	for i := range all {
		if all[i].Kind == d.Kind && all[i].Name == d.Name {
			return true
		}
	}
	return false
}

// end is the change that ends a run. Its firing is left out: nobody is to read it.
func end(run *weir.Run, by string) weir.Batch {
	c := &weir.Change{
		Run: run.ID, N: run.N + 1, Kind: weir.Cancelled, Pipeline: run.Pipeline, Trigger: run.Firing.Trigger, By: by,
		Error: "the project was deleted",
	}
	if run.State == weir.RunDead {
		c.Kind = weir.Purged
	}
	return weir.Batch{Bound: true, Records: []*weir.Record{{Project: run.Project, Change: c}}}
}

// order appends, and reports whether state shows it in time. What somebody else was
// first with is ordered again, after another look.
func (l *Loop) order(ctx context.Context, batches ...weir.Batch) (folded bool, err error) {
	receipts, err := l.Journal.Append(ctx, batches...)
	if err != nil {
		return false, err
	}
	var last weir.Seq
	for i := range receipts {
		for _, item := range receipts[i].Items {
			last = max(last, item.Seq)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, foldTime)
	defer cancel()
	if err := l.Settle(ctx, last); weir.CodeOf(err) == weir.Behind {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}
