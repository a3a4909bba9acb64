package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"weir"
	"weir/internal/fold"
)

// flight is a flush that is being written while the fold goes on.
type flight struct {
	layer  *fold.Layer
	leases []weir.Lease // for the workers here, to hand over when it is written
	tell   func()       // other nodes what it grants them, and takes from them
	done   chan struct{}
	err    error // once done is closed
}

// maybeFlush begins a flush when it is time for one, and takes note of one that
// has ended. A full layer behind an unwritten one makes the fold wait.
func (d *Dispatcher) maybeFlush(ctx context.Context, atHead bool) error {
	if d.flushing != nil {
		wait := d.fold.Changed() >= 2*fullLayer
		if done, err := d.landed(ctx, wait); err != nil || !done {
			return err
		}
	}
	if d.wantsFlush(atHead) {
		d.takeOff(ctx)
	}
	return nil
}

func (d *Dispatcher) wantsFlush(atHead bool) bool {
	if len(d.parked) > 0 || len(d.grants.posted) > 0 || len(d.grants.revoked) > 0 {
		return true
	}
	if !d.fold.Moved() {
		return d.hasOldLease()
	}
	cursor, _ := d.fold.Cursor()
	asked := slices.ContainsFunc(d.settlers, func(s settle) bool { return s.seq <= cursor })
	idle := atHead && len(d.running) == 0 && time.Since(d.lastFlush) >= idleGap
	return asked || idle || time.Since(d.dirtySince) >= d.FlushEvery || d.fold.Changed() >= fullLayer
}

// hasOldLease reports whether a try goes on for long whose lease is not written:
// it is listed as running, and counted after a crash, though nothing else moves.
func (d *Dispatcher) hasOldLease() bool {
	old := d.now().Add(-d.FlushEvery)
	if d.unwritten == 0 || d.unwritten > old {
		return false
	}
	d.unwritten = d.oldestUnwritten()
	return d.unwritten != 0 && d.unwritten <= old
}

func (d *Dispatcher) oldestUnwritten() (oldest weir.Time) {
	for _, r := range d.running {
		if !r.written && (oldest == 0 || r.began < oldest) {
			oldest = r.began
		}
	}
	return oldest
}

// takeOff freezes the layer and writes it beside the fold.
func (d *Dispatcher) takeOff(ctx context.Context) {
	layer := d.fold.Freeze()
	layer.Leases, layer.Breakers = d.leaseRows(), d.breakerRows()
	d.unwritten = d.oldestUnwritten()
	fl := &flight{layer: layer, leases: d.parked, tell: d.posted(), done: make(chan struct{})}
	d.parked, d.flushing, d.lastFlush = nil, fl, time.Now()
	go func() {
		fl.err = d.write(ctx, layer)
		close(fl.done)
		d.inbox.nudge()
	}()
}

// write flushes a layer, again where the store is not able to for a while. It
// gives up when ctx ends, and where the cursor is not what it should be: then
// somebody else folds this shard.
func (d *Dispatcher) write(ctx context.Context, layer *fold.Layer) error {
	var complained time.Time
	for {
		err := d.State.Flush(ctx, layer)
		code := weir.CodeOf(err)
		if err == nil || ctx.Err() != nil || code != weir.DiskFull && code != weir.Unavailable {
			return err
		}
		if time.Since(complained) > complainEvery {
			complained = time.Now()
			d.Logger.Error("flush state: trying until it succeeds", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryFlush):
		}
	}
}

// landed looks whether the flush under way has ended, and waits for it if told.
func (d *Dispatcher) landed(ctx context.Context, wait bool) (bool, error) {
	fl := d.flushing
	if !wait {
		select {
		case <-fl.done:
		default:
			return false, nil
		}
	}
	<-fl.done
	if fl.err != nil {
		return false, fl.err
	}
	d.flushing, d.flushed = nil, fl.layer.To
	d.fold.Flushed(fl.layer, d.Keep, func(id weir.RunID) bool { return d.running[id] != nil })
	d.handOver(fl.leases)
	d.tellNodes(fl)
	d.tellApplied(fl.layer.Installed)
	d.answerSettlers() // after it: who waited for an apply finds it in force
	return true, nil
}

// posted returns what hints to other nodes at what the next flush has of theirs,
// once it is written.
func (d *Dispatcher) posted() (tell func()) {
	granted, revoked := slices.Collect(maps.Keys(d.grants.posted)), slices.Collect(maps.Keys(d.grants.revoked))
	clear(d.grants.posted)
	clear(d.grants.revoked)
	return func() {
		if len(granted) > 0 {
			d.Nodes.Granted(granted)
		}
		if len(revoked) > 0 {
			d.Nodes.Revoked(revoked)
		}
	}
}

// tellNodes takes note that leases of other nodes are in state, and tells them.
func (d *Dispatcher) tellNodes(fl *flight) {
	for i := range fl.layer.Leases {
		row := &fl.layer.Leases[i]
		if r := d.running[row.Run]; r != nil && r.began == row.Began {
			r.landed = true
		}
	}
	fl.tell()
}

func (d *Dispatcher) tellApplied(installed []fold.Installed) {
	if d.Applied == nil {
		return
	}
	for i := range installed {
		if i == 0 || installed[i].Project != installed[i-1].Project {
			d.Applied(installed[i].Project)
		}
	}
}

// leaseRows returns the leases to write: those for which a run waits, and those
// that are not young. A try of another one is repeated uncounted after a crash,
// like one that begins after this flush. One that was taken away is lost, unless
// its outcome came before.
func (d *Dispatcher) leaseRows() []fold.LeaseRow {
	young := d.now().Add(-youngLease)
	rows := make([]fold.LeaseRow, 0, len(d.parked))
	for id, r := range d.running {
		if (r.waits || r.began <= young) && (!r.taken || !r.changed) {
			rows = append(rows, fold.LeaseRow{
				Run: id, Node: cmp.Or(r.node, d.Node), Try: r.try, Began: r.began, Written: r.written, Begun: r.node == "",
			})
			r.written = true
		}
	}
	slices.SortFunc(rows, func(a, b fold.LeaseRow) int { return bytes.Compare(a.Run[:], b.Run[:]) })
	return rows
}

func (d *Dispatcher) breakerRows() []fold.BreakerRow {
	breakers := d.lanes.Breakers()
	rows := make([]fold.BreakerRow, len(breakers))
	for i, b := range breakers {
		rows[i] = fold.BreakerRow(b)
	}
	return rows
}

func (d *Dispatcher) answerSettlers() {
	d.settlers = slices.DeleteFunc(d.settlers, func(s settle) bool {
		if s.seq <= d.flushed {
			close(s.done)
			return true
		}
		select {
		case <-s.gaveUp:
			return true
		default:
			return false
		}
	})
}

// maybeTick appends a tick when the fold is at the head and a group is due: a
// quiet journal must tell the time too.
func (d *Dispatcher) maybeTick(ctx context.Context) {
	due, ok := d.fold.NextDue()
	if !ok || due > d.now() || time.Since(d.lastTick) < tickGap {
		return
	}
	d.lastTick = time.Now()
	if _, err := d.Journal.Append(ctx, tick()); err != nil && ctx.Err() == nil {
		d.Logger.Error("append tick", "err", err)
		d.lastTick = d.lastTick.Add(failedTick)
	}
}

// tick is a record that tells only the time.
func tick() weir.Batch { return weir.Batch{Records: []*weir.Record{{}}} }

// finish folds what is at hand and writes the last layer. The workers here have
// stopped: its leases are those of tries whose outcome is not on record, and those
// of other nodes.
func (d *Dispatcher) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, finalTimeout)
	defer cancel()
	for {
		n, err := d.foldSome(ctx)
		if err != nil {
			return err
		}
		d.takeInbox()
		if n == 0 {
			break
		}
	}
	d.giveAllBack(d.parked)
	d.parked = nil
	if err := d.land(ctx); err != nil {
		return err
	}
	tell := d.posted()
	layer := d.fold.Freeze()
	layer.Leases, layer.Breakers = d.leaseRows(), d.breakerRows()
	if err := d.write(ctx, layer); err != nil {
		return err
	}
	tell()
	return nil
}

// land ends the flush under way, which was begun under a ctx that has ended since
// and may have been given up.
func (d *Dispatcher) land(ctx context.Context) error {
	fl := d.flushing
	if fl == nil {
		return nil
	}
	<-fl.done
	if fl.err != nil {
		if err := d.write(ctx, fl.layer); err != nil {
			return err
		}
	}
	d.flushing = nil
	d.giveAllBack(fl.leases)
	d.tellNodes(fl)
	return nil
}
