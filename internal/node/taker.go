package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weir"
	"weir/internal/fold"
)

const (
	defaultLease = 30 * time.Second
	margins      = 15 // in a lease: one before its end, its try is stopped

	lookEvery = 200 * time.Millisecond // for granted rows, where nobody tells of them
	idleEvery = time.Second            // while nothing is tried here
	checks    = 4                      // of the clock, in a margin
	callTime  = 3 * time.Second        // for the answers of the database in one pass
	lastTime  = 5 * time.Second        // for giving back what was not begun, at the end
)

// Rows are the granted runs in the database.
type Rows interface {
	// TakeLeases marks rows of a node as begun, most at most, and returns them.
	TakeLeases(ctx context.Context, node string, most int) ([]fold.LeaseRow, error)

	// RenewLeases gives rows of a node another lease's time, and returns those of
	// which that was not over.
	RenewLeases(ctx context.Context, node string, rows []fold.LeaseRow) ([]fold.LeaseRow, error)

	// GiveBackLeases removes rows of a node of which nothing was begun.
	GiveBackLeases(ctx context.Context, node string, rows []fold.LeaseRow) error

	// GiveBackGranted removes all rows of a node that it did not take.
	GiveBackGranted(ctx context.Context, node string) error
}

// Workers try runs. Take never blocks.
type Workers interface {
	Take(leases []weir.Lease)
	Free() int
	Cancel(run weir.RunID)
}

// TakerOptions says for whom a taker takes what. All but Lease are required.
type TakerOptions struct {
	Rows    Rows
	Maker   *Maker // makes leases of rows
	Workers Workers
	Node    string
	Logger  *slog.Logger
	Clock   func() time.Duration // counts the time of suspension, too
	Lease   time.Duration        // of a run, as state has it; 0: 30 s
}

// Taker gives the workers of its node the runs that were granted to it.
type Taker struct {
	TakerOptions
	wake    chan struct{}
	margin  time.Duration
	renewAt time.Duration // by the clock

	mu       sync.Mutex // guards all below
	held     map[weir.RunID]*held
	back     []fold.LeaseRow // to be given back
	doubt    bool            // whether all that is held is still its own
	draining bool
}

// held is a lease of a run that is being tried here.
type held struct {
	row    fold.LeaseRow
	until  time.Duration // by the clock: when the try is stopped
	origin string        // to which it may send as many requests as it likes; "": none
	over   bool          // the row is somebody else's business
}

// NewTaker makes a taker; Run starts it.
func NewTaker(o TakerOptions) *Taker {
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	return &Taker{TakerOptions: o, wake: make(chan struct{}, 1), margin: o.Lease / margins, held: make(map[weir.RunID]*held)}
}

// Nudge says that something may have been granted.
func (t *Taker) Nudge() { hint(t.wake) }

// Revoked says that some of what it took may have been taken from it.
func (t *Taker) Revoked() {
	t.mu.Lock()
	t.doubt = true
	t.mu.Unlock()
	hint(t.wake)
}

// Drain stops the taking, and gives back what is granted and not taken.
func (t *Taker) Drain() { t.drain(true) }

// Resume takes again.
func (t *Taker) Resume() { t.drain(false) }

func (t *Taker) drain(draining bool) {
	t.mu.Lock()
	t.draining = draining
	t.mu.Unlock()
	hint(t.wake)
}

// Run takes and renews until ctx ends, which is when the workers have stopped.
func (t *Taker) Run(ctx context.Context) error {
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		t.watch(ctx)
	}()
	failing := false
	for ctx.Err() == nil {
		err := t.pass(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			t.Logger.Error("ask for granted runs: asking until it is told", "node", t.Node, "err", err)
		}
		failing = err != nil
		timer := time.NewTimer(t.pauseTime())
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	<-checked
	t.drain(true)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	if err := t.giveBack(last); err != nil {
		t.Logger.Warn("granted runs wait until their time is over: they could not be given back", "node", t.Node, "err", err)
	}
	return nil
}

// pauseTime is how long to wait for a hint: they seldom get lost, and a node with
// nothing to do should be quiet.
func (t *Taker) pauseTime() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.held) == 0 && len(t.back) == 0 {
		return idleEvery
	}
	return lookEvery
}

// pass does what there is to do now.
func (t *Taker) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if t.doubts() || t.Clock() >= t.renewAt {
		if err := t.renew(ctx); err != nil {
			return err
		}
	}
	if err := t.giveBack(ctx); err != nil {
		return err
	}
	return t.take(ctx)
}

// doubts reports, once, whether something may have been taken from it.
func (t *Taker) doubts() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	doubt := t.doubt
	t.doubt = false
	return doubt
}

// take takes what is granted, as far as the workers are free.
func (t *Taker) take(ctx context.Context) error {
	free := t.Workers.Free()
	if free == 0 || t.isDraining() {
		return nil
	}
	sent := t.Clock()
	rows, err := t.Rows.TakeLeases(ctx, t.Node, free)
	if err != nil || len(rows) == 0 {
		return err
	}
	leases, err := t.Maker.Make(ctx, rows)
	if err != nil {
		t.queueBack(rows)
		return err
	}
	if len(leases) < len(rows) {
		t.queueBack(without(rows, leases))
	}
	t.hold(leases, sent)
	t.Workers.Take(leases)
	return nil
}

// hold notes the leases that the workers are about to get.
func (t *Taker) hold(leases []weir.Lease, sent time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.held) == 0 {
		t.renewAt = sent + t.Lease/3
	}
	for i := range leases {
		l := &leases[i]
		t.held[l.Run.ID] = &held{
			row:    fold.LeaseRow{Run: l.Run.ID, Node: t.Node, Try: l.Try, Began: l.Began},
			until:  sent + t.Lease - t.margin,
			origin: freeOrigin(l),
		}
	}
}

// freeOrigin returns the origin at which a lease lets its run send requests
// without asking: that of its lane, unless it has a rate, which only the
// dispatcher counts.
func freeOrigin(l *weir.Lease) string {
	origin := l.Run.Lane.Origin
	if !l.Destinations[origin].Rate.IsZero() {
		return ""
	}
	return origin
}

// renew gives all that is tried here more time, and stops what it was taken from.
func (t *Taker) renew(ctx context.Context) error {
	rows := t.rows()
	if len(rows) == 0 {
		return nil
	}
	sent := t.Clock()
	renewed, err := t.Rows.RenewLeases(ctx, t.Node, rows)
	if err != nil {
		return err
	}
	t.renewAt = sent + t.Lease/3
	kept := make(map[weir.RunID]weir.Time, len(renewed))
	for _, row := range renewed {
		kept[row.Run] = row.Began
	}
	for _, row := range rows {
		if kept[row.Run] == row.Began {
			t.lengthen(row, sent+t.Lease-t.margin)
		} else {
			t.stop(row, "the run was taken from this node")
		}
	}
	return nil
}

func (t *Taker) lengthen(row fold.LeaseRow, until time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.held[row.Run]; h != nil && h.row.Began == row.Began {
		h.until = until
	}
}

// stop stops a try of which the lease is over.
func (t *Taker) stop(row fold.LeaseRow, why string) {
	t.mu.Lock()
	h := t.held[row.Run]
	mine := h != nil && h.row.Began == row.Began && !h.over
	if mine {
		h.over = true
	}
	t.mu.Unlock()
	if mine {
		t.Logger.Info("stopped a try", "run", row.Run.String(), "node", t.Node, "err", why)
		t.Workers.Cancel(row.Run)
	}
}

// watch stops the tries whose time is up. It waits for no answer, so that it is
// in time.
func (t *Taker) watch(ctx context.Context) {
	ticker := time.NewTicker(t.margin / checks)
	defer ticker.Stop()
	for ctx.Err() == nil {
		now := t.Clock()
		for _, row := range t.overdue(now) {
			t.stop(row, "its lease could not be renewed")
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (t *Taker) overdue(now time.Duration) (rows []fold.LeaseRow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.held {
		if !h.over && now >= h.until {
			rows = append(rows, h.row)
		}
	}
	return rows
}

// rows returns those of all that is tried here and not over.
func (t *Taker) rows() (rows []fold.LeaseRow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.held {
		if !h.over {
			rows = append(rows, h.row)
		}
	}
	return rows
}

// giveBack removes the rows of which nothing was begun, so that their runs wait
// again and no try is counted.
func (t *Taker) giveBack(ctx context.Context) error {
	t.mu.Lock()
	rows, draining := t.back, t.draining
	t.back = nil
	t.mu.Unlock()
	if len(rows) > 0 {
		if err := t.Rows.GiveBackLeases(ctx, t.Node, rows); err != nil {
			t.queueBack(rows)
			return err
		}
	}
	if draining {
		return t.Rows.GiveBackGranted(ctx, t.Node)
	}
	return nil
}

// queueBack leaves rows for the next pass.
func (t *Taker) queueBack(rows []fold.LeaseRow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.back = append(t.back, rows...)
}

func (t *Taker) isDraining() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.draining
}

// has reports whether a run is tried here by a lease of the taker.
func (t *Taker) has(run weir.RunID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held[run] != nil
}

// enter reports whether such a run may send a request to an origin: not where its
// time is up, which a process that was stopped sees here before its timers go off. Another than
// that of its lane has a gate that only the dispatcher knows: the try ends, and
// comes back through that one.
func (t *Taker) enter(run weir.RunID, origin string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.held[run]
	return h != nil && !h.over && t.Clock() < h.until && origin != "" && origin == h.origin
}

// finish takes the end of a try, and reports whether its lease was the taker's.
// The row of one that is on record goes with the flush that has its change.
func (t *Taker) finish(f weir.Finish) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.held[f.Run]
	if h == nil || h.row.Began != f.Began {
		return false
	}
	delete(t.held, f.Run)
	if f.Unbegun && !h.over {
		t.back = append(t.back, h.row)
		hint(t.wake)
	}
	return true
}

// without returns the rows of which no lease was made.
func without(rows []fold.LeaseRow, leases []weir.Lease) (left []fold.LeaseRow) {
	made := make(map[weir.RunID]bool, len(leases))
	for i := range leases {
		made[leases[i].Run.ID] = true
	}
	for _, row := range rows {
		if !made[row.Run] {
			left = append(left, row)
		}
	}
	return left
}
