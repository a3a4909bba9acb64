package dispatch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"weir"
	"weir/internal/fold"
	"weir/internal/lane"
	"weir/internal/pipeline"
)

// start loads the checkpoint, folds up to the head found, and declares lost
// what a dead process was trying. Nothing is leased before.
func (d *Dispatcher) start(ctx context.Context) error {
	cp, err := d.State.Load(ctx)
	if err != nil {
		return err
	}
	head := d.Journal.Head()
	if cp.Cursor > head {
		return weir.E("", weir.Conflict, "the state is ahead of the journal (%d > %d): they do not belong together, or the journal lost its end; restore both from one backup", cp.Cursor, head)
	}
	d.fold = fold.New(d.Shard, cp)
	d.flushed = cp.Cursor
	began := d.now()
	if head == 0 {
		began = 0 // nothing was started before: rates are not used up
	}
	d.lanes = lane.New(lane.Limits{Pipeline: d.pipelineLimits, Origin: d.originLimits, Outside: d.Slots - d.Slots/keptSlots}, began)
	for _, r := range cp.Runs {
		if r.State == weir.RunPending {
			d.lanes.Add(lane.Run{ID: r.ID, Lane: r.Lane, Due: r.Due, Turn: r.Queued, Holds: r.Holds, Fresh: true})
		}
	}
	breakers := make([]lane.Breaker, len(cp.Breakers))
	for i, row := range cp.Breakers {
		breakers[i] = lane.Breaker(row)
	}
	d.lanes.RestoreBreakers(breakers, d.now())
	leased, err := d.leasedBefore(ctx, cp.Leases)
	if err != nil {
		return err
	}
	records, changes, err := d.catchUp(ctx, head)
	if err != nil {
		return err
	}
	due := d.lanes.Due(d.now()) // before lost tries make theirs due later
	d.careful = make(map[weir.RunID]bool, len(due))
	for _, id := range due {
		d.careful[id] = true
	}
	lost, err := d.appendLost(ctx, leased)
	if err != nil {
		return err
	}
	d.Logger.Info("caught up with the journal", "cursor", cp.Cursor, "head", head,
		"records", records, "changes", changes, "due", len(due), "lost", lost)
	return nil
}

// leasedBefore returns the runs of flushed leases as they were at the cursor.
func (d *Dispatcher) leasedBefore(ctx context.Context, rows []fold.LeaseRow) (map[weir.RunID]leasedRun, error) {
	ids := make([]weir.RunID, len(rows))
	for i, row := range rows {
		ids[i] = row.Run
	}
	if err := d.loadRuns(ctx, ids); err != nil {
		return nil, err
	}
	leased := make(map[weir.RunID]leasedRun, len(rows))
	for _, row := range rows {
		if run, _ := d.fold.Run(row.Run); run != nil {
			leased[row.Run] = leasedRun{row, run.N}
		}
	}
	return leased, nil
}

type leasedRun struct {
	fold.LeaseRow
	n uint32 // last change when the lease was flushed
}

// catchUp folds up to the head. Where damage took all that stood before it, a
// tick is put behind it, from which everyone goes on.
func (d *Dispatcher) catchUp(ctx context.Context, head weir.Seq) (records, changes int, err error) {
	for {
		cursor, _ := d.fold.Cursor()
		if cursor >= head {
			return records, changes, nil
		}
		batch, err := d.Journal.Read(ctx, cursor, turnRecords)
		if err == nil && len(batch) == 0 {
			err = d.appendPatiently(ctx, tick())
		}
		if err != nil {
			return 0, 0, err
		}
		for _, rec := range batch {
			if rec.Change != nil {
				changes++
			}
		}
		records += len(batch)
		if err := d.foldAll(ctx, batch); err != nil {
			return 0, 0, err
		}
	}
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
	batches := make([]weir.Batch, len(runs))
	for i, run := range runs {
		batches[i] = d.lostBatch(run, leased[run.ID])
	}
	for _, batch := range batches { // each alone: together they could be too large
		if err := d.appendPatiently(ctx, batch); err != nil {
			return 0, fmt.Errorf("append a lost try: %w", err)
		}
	}
	_, _, err := d.catchUp(ctx, d.Journal.Head())
	return len(batches), err
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

func (d *Dispatcher) lostBatch(run *weir.Run, was leasedRun) weir.Batch {
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
		Error:    "the process that tried this run ended before the outcome was on record",
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
