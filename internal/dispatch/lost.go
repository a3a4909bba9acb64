package dispatch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"weir"
	"weir/internal/fold"
	"weir/internal/pipeline"
)

// Why a try is lost.
const (
	diedWithIt = "the process that tried this run ended before the outcome was on record"
	wentSilent = "the node that tried this run did not renew its lease in time: nobody knows what came of the try"
)

// declareLate ends the tries whose lease ran out on other nodes. Where the outcome
// was on record first, the journal refuses the batch, and the fold brings it.
func (d *Dispatcher) declareLate(ctx context.Context) error {
	if len(d.late) == 0 || time.Now().Before(d.lateAgain) {
		return nil
	}
	var runs []*weir.Run
	for _, id := range d.late {
		if run, _ := d.fold.Run(id); run != nil && d.running[id] != nil {
			whole := *run
			runs = append(runs, &whole)
		}
	}
	if err := d.fillMembers(ctx, runs); err != nil {
		return err
	}
	once := func(b weir.Batch) error {
		_, err := d.Journal.Append(ctx, b)
		return err
	}
	for _, run := range runs { // each alone: together they could be too large
		r := d.running[run.ID]
		row := fold.LeaseRow{Run: run.ID, Node: r.node, Try: r.try, Began: r.began}
		if err := d.lose(run, row, wentSilent, once); err != nil && ctx.Err() == nil {
			d.Logger.Error("append a lost try", "runs", len(runs), "err", err)
			d.lateAgain = time.Now().Add(retryFlush)
			return nil
		}
		d.Logger.Warn("a try is lost", "run", run.ID.String(), "node", r.node, "attempt", r.try)
	}
	d.late = nil
	return nil
}

// appendLost ends the tries that died with a process: each counts.
func (d *Dispatcher) appendLost(ctx context.Context, leased map[weir.RunID]leasedRun) (int, error) {
	var runs []*weir.Run
	for id, was := range leased {
		run, _ := d.fold.Run(id)
		if run == nil || run.N != was.n || run.State != weir.RunPending {
			continue // its outcome is on record
		}
		whole := *run
		runs = append(runs, &whole)
	}
	if len(runs) == 0 {
		return 0, nil
	}
	if err := d.fillMembers(ctx, runs); err != nil {
		return 0, err
	}
	patiently := func(b weir.Batch) error { return d.appendPatiently(ctx, b) }
	for _, run := range runs { // each alone: together they could be too large
		if err := d.lose(run, leased[run.ID].LeaseRow, diedWithIt, patiently); err != nil {
			return 0, fmt.Errorf("append a lost try: %w", err)
		}
	}
	_, _, err := d.catchUp(ctx, d.Journal.Head())
	return len(runs), err
}

// lose appends the end of a lost try. Of one that began before the window of
// identities the journal takes no outcome, as it may have had it. The fold knows
// that it has not, whatever its age: such a try ends without its beginning.
func (d *Dispatcher) lose(run *weir.Run, was fold.LeaseRow, why string, appendTo func(weir.Batch) error) error {
	err := appendTo(d.lostBatch(run, was, why))
	if weir.CodeOf(err) != weir.Invalid {
		return err
	}
	was.Began = 0
	return appendTo(d.lostBatch(run, was, why))
}

// appendPatiently appends a batch, again and again while the journal has no
// room or too much to do, so that a full disk does not end the start.
func (d *Dispatcher) appendPatiently(ctx context.Context, batch weir.Batch) error {
	for {
		_, err := d.Journal.Append(ctx, batch)
		if code := weir.CodeOf(err); code != weir.DiskFull && code != weir.Limited {
			return err
		}
		d.Logger.Error("append at the start: trying until it succeeds", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryFlush):
		}
	}
}

func (d *Dispatcher) lostBatch(run *weir.Run, was fold.LeaseRow, why string) weir.Batch {
	var retry weir.Retry
	if p := d.fold.Pipeline(run); p != nil {
		retry = p.Retry
	}
	decision := pipeline.Decide(retry, was.Try, pipeline.Failure{Kind: pipeline.Lost}, rand.Float64())
	change := &weir.Change{
		Run:      run.ID,
		N:        run.N + 1,
		Kind:     weir.Lost,
		Pipeline: run.Pipeline,
		Trigger:  run.Firing.Trigger,
		After:    decision.After,
		Error:    why,
		By:       d.Node,
		Attempt:  &weir.Attempt{Try: was.Try, Node: was.Node, Began: was.Began},
	}
	if run.N == 0 {
		change.Firing = &run.Firing
	}
	records := []*weir.Record{{Project: run.Project, Change: change}}
	if decision.Kind == weir.Died {
		change.Kind = weir.Died
		if !run.Firing.Quiet {
			records = append(records, pipeline.DeadEvent(run, change))
		}
	}
	return weir.Batch{Bound: true, Records: records}
}
