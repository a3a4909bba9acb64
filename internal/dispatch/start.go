package dispatch

import (
	"context"

	"weir"
	"weir/internal/fold"
	"weir/internal/lane"
)

// start loads the checkpoint, folds up to the head found, and declares lost
// what a dead process was trying; other nodes go on with theirs. Nothing is
// leased before.
func (d *Dispatcher) start(ctx context.Context) error {
	cp, err := d.State.Load(ctx)
	if err != nil {
		return err
	}
	head := d.Journal.Head()
	if err := belong(cp.Cursor, d.Journal.First(), head); err != nil {
		return err
	}
	d.fold = fold.New(d.Shard, cp)
	d.flushed = cp.Cursor
	began := d.now()
	if head == 0 {
		began = 0 // nothing was started before: rates are not used up
	}
	d.lanes = lane.New(lane.Limits{Pipeline: d.pipelineLimits, Origin: d.originLimits, Outside: d.Slots - d.Slots/keptSlots}, began)
	d.lanes.Expect(len(cp.Runs))
	for _, r := range cp.Runs {
		if r.State == weir.RunPending {
			d.lanes.Add(lane.Run{ID: r.ID, Lane: *r.Lane, Due: r.Due, Turn: r.Queued, Holds: r.Holds, Fresh: true})
		}
	}
	cp.Runs = nil // a million take 100 MB
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

// belong refuses a state that is not this journal's, whose first and last record
// are given: nothing can be folded between the two.
func belong(cursor, first, head weir.Seq) error {
	switch {
	case cursor > head:
		return weir.E("", weir.Conflict, "the state is ahead of the journal (%d > %d): they do not belong together, or the journal lost its end; restore both from one backup", cursor, head)
	case cursor+1 < first:
		return weir.E("", weir.Conflict, "the state is older than what the journal keeps (%d, and all before %d was trimmed): they do not belong together; restore both from one backup", cursor, first)
	}
	return nil
}

// leasedBefore returns the runs of flushed leases as they were at the cursor, but
// for those that other nodes go on with, and those that nobody had begun.
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
		run, _ := d.fold.Run(row.Run)
		switch {
		case run == nil || run.State != weir.RunPending:
		case d.Nodes != nil && !row.Over:
			d.adopt(row, run)
		case d.Nodes == nil || row.Begun:
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
		batch, err := d.read(ctx, cursor)
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
