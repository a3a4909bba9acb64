package dispatch

import (
	"context"
	"slices"

	"weir"
	"weir/internal/fold"
)

// admit leases the runs that may start to the workers that are free. Quick runs
// take no slot, so workers may be free again at once.
func (d *Dispatcher) admit(ctx context.Context) error {
	for free := d.free(); free > 0; free = d.free() {
		now := d.now()
		d.admits = d.lanes.Admit(now, free, d.admits[:0])
		if len(d.admits) == 0 {
			return nil
		}
		if err := d.lease(ctx, d.admits, now); err != nil {
			return err
		}
	}
	return nil
}

// free returns how many runs may be leased now.
func (d *Dispatcher) free() int { return d.ownFree() + d.grants.free() }

// ownFree returns how many the workers here take, less those that wait for a
// flush on their way to them.
func (d *Dispatcher) ownFree() int {
	if d.inbox.isDraining() {
		return 0
	}
	free := d.workers.Free() - len(d.parked)
	if d.flushing != nil {
		free -= len(d.flushing.leases)
	}
	return max(free, 0)
}

func (d *Dispatcher) lease(ctx context.Context, ids []weir.RunID, now weir.Time) error {
	leases, err := d.leases(ctx, ids, now)
	if err != nil {
		return err
	}
	d.runningMu.Lock()
	for i := range leases {
		d.running[leases[i].Run.ID] = &running{try: leases[i].Try, began: now}
	}
	d.runningMu.Unlock()
	if d.unwritten == 0 {
		d.unwritten = now
	}
	leases = d.grant(leases)
	if err := d.fillLeases(ctx, leases); err != nil {
		return err
	}
	if !d.held() {
		return errOver
	}
	d.hand(leases)
	return nil
}

// hand gives leases to the workers: at once, or after the flush that holds them
// where a crash must not leave a try uncounted.
func (d *Dispatcher) hand(leases []weir.Lease) {
	wait := func(l weir.Lease) bool {
		return d.careful[l.Run.ID] || l.Pipe != nil && l.Pipe.Retry.None
	}
	if !slices.ContainsFunc(leases, wait) {
		d.workers.Take(leases)
		return
	}
	var now []weir.Lease
	for _, l := range leases {
		if wait(l) {
			r := d.running[l.Run.ID]
			r.waits, r.parked = true, true
			d.parked = append(d.parked, l)
		} else {
			now = append(now, l)
		}
	}
	d.workers.Take(now)
}

// handOver gives the workers the leases that a flush now holds, but for those
// whose run was changed meanwhile, as by a cancel.
func (d *Dispatcher) handOver(leases []weir.Lease) {
	if len(leases) == 0 {
		return
	}
	draining := d.inbox.isDraining() || !d.held()
	give := slices.DeleteFunc(leases, func(l weir.Lease) bool {
		r := d.running[l.Run.ID]
		r.parked = false
		stays := draining || r.changed
		if stays {
			d.giveBack(l.Run.ID)
		}
		return stays
	})
	if len(give) > 0 {
		d.workers.Take(give)
	}
}

// giveBack takes a lease that nobody began: its run waits again.
func (d *Dispatcher) giveBack(id weir.RunID) {
	d.drop(id)
	run, _ := d.fold.Run(id)
	d.place(id, run)
}

// giveAllBack does so with leases that no worker got.
func (d *Dispatcher) giveAllBack(leases []weir.Lease) {
	for i := range leases {
		d.giveBack(leases[i].Run.ID)
	}
}

// drop forgets that a run is leased.
func (d *Dispatcher) drop(id weir.RunID) {
	if node := d.running[id].node; node != "" {
		d.grants.leased[node]--
	}
	d.runningMu.Lock()
	delete(d.running, id)
	d.runningMu.Unlock()
}

// leases makes what the workers get: run, version of the pipeline, and the batch
// where it is at hand.
func (d *Dispatcher) leases(ctx context.Context, ids []weir.RunID, now weir.Time) ([]weir.Lease, error) {
	if err := d.loadRuns(ctx, ids); err != nil {
		return nil, err
	}
	leases := make([]weir.Lease, 0, len(ids))
	for _, id := range ids {
		run, _ := d.fold.Run(id)
		if run == nil {
			d.lanes.Remove(id)
			continue
		}
		l := weir.Lease{
			Run: *run, Pipe: d.fold.Pipeline(run), Try: run.Tries + 1, Began: now,
			Destinations: d.fold.Destinations(run.Project),
		}
		if event := d.fold.Event(id); event != nil {
			l.Events = []*weir.Record{event}
		}
		leases = append(leases, l)
	}
	return leases, nil
}

// fillLeases makes the batches of leases whole.
func (d *Dispatcher) fillLeases(ctx context.Context, leases []weir.Lease) error {
	runs := make([]*weir.Run, len(leases))
	for i := range leases {
		runs[i] = &leases[i].Run
	}
	return d.fillMembers(ctx, runs)
}

func (d *Dispatcher) loadRuns(ctx context.Context, ids []weir.RunID) error {
	var needs fold.Needs
	for _, id := range ids {
		if run, known := d.fold.Run(id); known && run == nil {
			needs.Runs = append(needs.Runs, id)
		}
	}
	return d.load(ctx, needs)
}

// fillMembers gives each run all members of its batch, in batch order.
func (d *Dispatcher) fillMembers(ctx context.Context, runs []*weir.Run) error {
	var inState []weir.GroupID
	chunks := make(map[weir.GroupID][]weir.Chunk)
	for _, run := range runs {
		if run.Firing.Chunks == 0 {
			continue
		}
		recent, more := d.fold.Chunks(run)
		chunks[run.Firing.Group] = recent
		if more {
			inState = append(inState, run.Firing.Group)
		}
	}
	if len(inState) > 0 {
		stored, err := d.State.Chunks(ctx, inState)
		for d.tryAgain(ctx, err) {
			stored, err = d.State.Chunks(ctx, inState)
		}
		if err != nil {
			return err
		}
		for _, c := range stored {
			chunks[c.Group] = append(chunks[c.Group], c)
		}
	}
	for _, run := range runs {
		run.Firing.Join(chunks[run.Firing.Group])
	}
	return nil
}

func (b *inbox) isDraining() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.draining
}
