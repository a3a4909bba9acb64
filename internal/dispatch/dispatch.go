package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weir"
	"weir/internal/fold"
	"weir/internal/lane"
)

// Journal is where records come from, and where ticks and lost tries go.
type Journal interface {
	Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error)
	Wait(ctx context.Context, after weir.Seq) error
	Head() weir.Seq
	First() weir.Seq // before which it was trimmed
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
}

// State is the checkpoint that the fold goes on from.
type State interface {
	Load(ctx context.Context) (*fold.Checkpoint, error)
	Groups(ctx context.Context, ids []weir.GroupID) ([]*weir.Group, error)
	Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error)
	Chunks(ctx context.Context, groups []weir.GroupID) ([]weir.Chunk, error)
	Flush(ctx context.Context, layer *fold.Layer) error
}

// Blobs gives out data that is not in the journal. NotFound and Internal errors
// say that it is lost; others may pass.
type Blobs interface {
	Read(ctx context.Context, b weir.Blob) ([]byte, error)
}

// Workers try runs. Take never blocks: it gets at most Free leases.
type Workers interface {
	Take(leases []weir.Lease)
	Free() int
	Cancel(run weir.RunID)
}

// Options says what a dispatcher works on. Journal, State, Logger and Node are
// required.
type Options struct {
	Journal Journal
	State   State
	Blobs   Blobs // nil: there are none
	Logger  *slog.Logger
	Node    string
	Shard   weir.Shard

	// With several processes, Held reports whether this one still has the shard: it
	// must turn false before another may dispatch. Nil: there is no other.
	Held  func() bool
	Nodes Nodes            // nil: there are no others to try runs
	Grace time.Duration    // for tries of the workers here when Run's ctx ends; 0: they ended before
	Clock func() time.Time // by which records are accepted; nil: time.Now

	// Newer is in the chain of the journal's error at a record of a format that
	// this program does not know: another must go on. Other Unavailable ones pass.
	Newer error

	// Applied is told when state has other definitions of a project; nil tells nobody.
	Applied func(project weir.ProjectID)

	OriginLimit int           // runs at once per project and origin; 0: 64
	Slots       int           // runs that workers try at once; 0: not said
	FlushEvery  time.Duration // at most, under load; 0: a second
	Keep        int           // runs, and groups, kept whole in memory; 0: 50,000
}

// The bounds of a pass.
const (
	turnRecords  = 2000                  // records read at once
	fullLayer    = 50_000                // rows that make a layer full
	idleGap      = 20 * time.Millisecond // least time between flushes that nobody asked for
	tickGap      = 10 * time.Millisecond // least time between ticks
	failedTick   = time.Second           // how much longer after one that could not be appended
	retryFlush   = 200 * time.Millisecond
	finalTimeout = 10 * time.Second
	youngLease   = 100 * time.Millisecond // a lease that a flush need not write yet
)

// Dispatcher is the loop of one shard.
type Dispatcher struct {
	Options
	inbox   inbox
	lost    atomic.Int64 // events whose data was lost
	workers Workers
	fold    *fold.Fold
	lanes   *lane.Set

	runningMu sync.Mutex // held where running changes, and where others read it
	running   map[weir.RunID]*running

	// careful are the runs that were due at the start and were not yet tried. If
	// the process before was killed by a run, it is one of them, so their tries
	// begin only when a flush holds their lease, and count. A clean stop cannot be
	// told apart: a process may die when nothing is left to flush.
	careful map[weir.RunID]bool
	parked  []weir.Lease // for the workers here, once a flush holds their lease
	admits  []weir.RunID // scratch

	grants    grants
	late      []weir.RunID // whose lease ran out on another node, which is not on record
	lateAgain time.Time

	skips     []lane.Skip // of which the end is not on record
	skipAgain time.Time   // when to try again to append the ends; zero: now

	flushing   *flight // nil when none is under way
	flushed    weir.Seq
	dirtySince time.Time // when the cursor first moved beyond the last layer
	lastFlush  time.Time
	lastTick   time.Time
	unwritten  weir.Time // when the oldest lease began that may not be written; none: all are
	settlers   []settle
	complained time.Time     // when it was last logged that a store is away
	over       chan struct{} // closed when Run returns
}

// running is a run that is leased.
type running struct {
	node    string // "": the workers here
	try     int
	began   weir.Time
	waits   bool // begins only when a flush holds its lease
	parked  bool // and that has not happened yet
	written bool // a flush that began has its lease
	landed  bool // of another node: a flush that ended has it
	late    bool // of another node: its lease ran out
	taken   bool // cancelled, because another may dispatch: it counts as lost
	ended   bool // and its worker has stopped
	changed bool // the fold saw a change since: look at the run again when the try has ended
}

// New makes a dispatcher; Run starts it.
func New(o Options) *Dispatcher {
	if o.OriginLimit == 0 {
		o.OriginLimit = 64
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.FlushEvery == 0 {
		o.FlushEvery = time.Second
	}
	if o.Keep == 0 {
		o.Keep = 50_000
	}
	return &Dispatcher{
		Options: o, inbox: newInbox(), running: make(map[weir.RunID]*running), grants: newGrants(), over: make(chan struct{}),
	}
}

// Run folds and admits until ctx ends, then flushes once more. It returns an
// error where it cannot go on: the state is not the journal's, or someone else
// moved its cursor. Where the shard is not held any more it flushes nothing.
func (d *Dispatcher) Run(ctx context.Context, workers Workers) error {
	defer close(d.over)
	d.workers = workers
	if err := d.start(ctx); ctx.Err() != nil {
		return nil // nothing was begun
	} else if err != nil {
		return fmt.Errorf("start dispatch: %w", err)
	}
	lasting := context.WithoutCancel(ctx)
	watching, stop := context.WithCancel(lasting) // also while the last tries end
	watch := make(chan struct{})
	seen, _ := d.fold.Cursor()
	go func() {
		defer close(watch)
		d.watch(watching, seen)
	}()
	defer func() {
		stop()
		<-watch
		if d.flushing != nil {
			<-d.flushing.done
		}
		if d.grants.look != nil {
			<-d.grants.look.done
		}
	}()
	switch err := d.loop(ctx); {
	case errors.Is(err, errOver):
		d.abandon()
		return nil
	case err != nil:
		d.abandon()
		return fmt.Errorf("dispatch: %w", err)
	}
	if d.Grace > 0 {
		d.windDown(lasting)
	}
	return d.finish(lasting)
}

// loop passes until ctx ends or something fails.
func (d *Dispatcher) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		more, err := d.pass(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if !more {
			d.sleep(ctx)
		}
	}
	if !d.held() {
		return errOver
	}
	return nil
}

// watch wakes the loop when the journal grows beyond seen.
func (d *Dispatcher) watch(ctx context.Context, seen weir.Seq) {
	for d.Journal.Wait(ctx, seen) == nil {
		seen = d.Journal.Head()
		d.inbox.nudge()
	}
}

// pass does what there is to do now, and reports whether there is more.
func (d *Dispatcher) pass(ctx context.Context) (more bool, err error) {
	folded, err := d.foldSome(ctx)
	if err != nil {
		return false, err
	}
	if !d.held() {
		return false, errOver
	}
	d.takeInbox()
	d.lookAround(ctx)
	if err := d.declareLate(ctx); err != nil {
		return false, err
	}
	if err := d.admit(ctx); err != nil {
		return false, err
	}
	if err := d.skip(ctx); err != nil {
		return false, err
	}
	d.answerWhys()
	if err := d.maybeFlush(ctx, folded == 0); err != nil {
		return false, err
	}
	if folded == 0 {
		d.maybeTick(ctx)
	}
	return folded > 0, nil
}

// foldSome folds the records at hand, some thousand at most.
func (d *Dispatcher) foldSome(ctx context.Context) (int, error) {
	cursor, _ := d.fold.Cursor()
	records, err := d.read(ctx, cursor)
	if err != nil {
		return 0, err
	}
	if len(records) > 0 && !d.fold.Moved() {
		d.dirtySince = time.Now()
	}
	return len(records), d.foldAll(ctx, records)
}

func (d *Dispatcher) read(ctx context.Context, after weir.Seq) ([]*weir.Record, error) {
	records, err := d.Journal.Read(ctx, after, turnRecords)
	for d.tryAgain(ctx, err) {
		records, err = d.Journal.Read(ctx, after, turnRecords)
	}
	return records, err
}

func (d *Dispatcher) foldAll(ctx context.Context, records []*weir.Record) error {
	for len(records) > 0 {
		part, copies, err := d.whole(ctx, records)
		if err != nil {
			return err
		}
		if err := d.foldPart(ctx, part); err != nil {
			return err
		}
		forget(copies)
		records = records[len(part):]
	}
	return nil
}

func (d *Dispatcher) foldPart(ctx context.Context, records []*weir.Record) error {
	for len(records) > 0 {
		n, needs := d.fold.Plan(records)
		if err := d.load(ctx, needs); err != nil {
			return err
		}
		d.settleRuns(d.fold.Turn())
		if records[0].Apply != nil {
			d.lanes.LimitsChanged(records[0].Project)
		}
		records = records[n:]
	}
	return nil
}

func (d *Dispatcher) load(ctx context.Context, needs fold.Needs) error {
	if needs.Empty() {
		return nil
	}
	groups, err := d.State.Groups(ctx, needs.Groups)
	for d.tryAgain(ctx, err) {
		groups, err = d.State.Groups(ctx, needs.Groups)
	}
	if err != nil {
		return err
	}
	runs, err := d.State.Runs(ctx, needs.Runs)
	for d.tryAgain(ctx, err) {
		runs, err = d.State.Runs(ctx, needs.Runs)
	}
	if err != nil {
		return err
	}
	d.fold.Give(groups, runs)
	return nil
}

// settleRuns brings the lanes up to what the fold made of the runs. A run that
// is being tried here stays where it is until its try has ended.
func (d *Dispatcher) settleRuns(touched []fold.Touch) {
	for _, t := range touched {
		switch r := d.running[t.ID]; {
		case r == nil:
			d.place(t.ID, t.Run)
		case r.node != "":
			d.endRemote(t)
		default:
			r.changed = true
			if t.Kind == weir.Cancelled {
				d.workers.Cancel(t.ID)
			}
		}
	}
}

func (d *Dispatcher) place(id weir.RunID, run *weir.Run) {
	if run == nil || run.State != weir.RunPending {
		d.lanes.Remove(id)
		delete(d.careful, id)
		return
	}
	d.lanes.Add(laneRun(run))
}

func laneRun(run *weir.Run) lane.Run {
	return lane.Run{ID: run.ID, Lane: run.Lane, Due: run.Due, Turn: run.Queued, Holds: run.Holds, Fresh: run.N == 0}
}

// now is the time by which runs are due: the clock's, or the journal's
// where that is ahead.
func (d *Dispatcher) now() weir.Time {
	_, at := d.fold.Cursor()
	return max(at, weir.TimeOf(d.Clock()))
}
