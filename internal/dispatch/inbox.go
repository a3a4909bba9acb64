package dispatch

import (
	"context"
	"sync"
	"time"

	"weir"
)

// inbox is how others talk to the loop: they leave something and wake it.
type inbox struct {
	wake chan struct{} // holds one hint

	mu       sync.Mutex
	finishes []weir.Finish
	asks     []ask
	settles  []settle
	whys     []why
	draining bool
}

// ask is a worker that wants to send a request.
type ask struct {
	run    weir.RunID
	origin string
	answer chan entry
}

type entry struct {
	wait time.Duration
	ok   bool
}

// settle is a reader that waits until a place is flushed, or gives up.
type settle struct {
	seq    weir.Seq
	done   chan struct{}
	gaveUp <-chan struct{}
}

// why is a reader that asks what a run waits for.
type why struct {
	run    weir.RunID
	answer chan string
}

// unbegunPause is after what time a lease that was given back is handed out again.
const unbegunPause = 200 * time.Millisecond

// whyTime is how long such a reader waits for the loop.
const whyTime = time.Second

func newInbox() inbox { return inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Finish takes the ends of tries, once their outcomes are durable.
func (d *Dispatcher) Finish(ended []weir.Finish) {
	d.inbox.mu.Lock()
	d.inbox.finishes = append(d.inbox.finishes, ended...)
	d.inbox.mu.Unlock()
	d.inbox.nudge()
}

// Enter asks whether a run that is being tried may send a request to an origin,
// and how long it must wait before it does. Not ok: the origin's gate is shut,
// or ctx or Run ended.
func (d *Dispatcher) Enter(ctx context.Context, run weir.RunID, origin string) (wait time.Duration, ok bool) {
	a := ask{run, origin, make(chan entry, 1)}
	d.inbox.mu.Lock()
	d.inbox.asks = append(d.inbox.asks, a)
	d.inbox.mu.Unlock()
	d.inbox.nudge()
	select {
	case e := <-a.answer:
		return e.wait, e.ok
	case <-ctx.Done():
	case <-d.over:
	}
	return 0, false
}

// Settle returns once seq is folded and flushed, so that lists show it. It asks
// for a flush, and fails as Behind when ctx, or Run, ends first.
func (d *Dispatcher) Settle(ctx context.Context, seq weir.Seq) error {
	s := settle{seq, make(chan struct{}), ctx.Done()}
	d.inbox.mu.Lock()
	d.inbox.settles = append(d.inbox.settles, s)
	d.inbox.mu.Unlock()
	d.inbox.nudge()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	case <-d.over:
	}
	return weir.E("settle", weir.Behind, "place %d is not folded and written yet: try again", seq)
}

// Why says what a run waits for, in words to be read after "waits". It is empty
// for a run that does not wait, and where the loop has no time to tell.
func (d *Dispatcher) Why(ctx context.Context, run weir.RunID) string {
	ctx, cancel := context.WithTimeout(ctx, whyTime)
	defer cancel()
	w := why{run, make(chan string, 1)}
	d.inbox.mu.Lock()
	d.inbox.whys = append(d.inbox.whys, w)
	d.inbox.mu.Unlock()
	d.inbox.nudge()
	select {
	case text := <-w.answer:
		return text
	case <-ctx.Done():
		return ""
	}
}

// answerWhys is called after the runs that may start were leased: what still
// waits then waits for something.
func (d *Dispatcher) answerWhys() {
	d.inbox.mu.Lock()
	whys := d.inbox.whys
	d.inbox.whys = nil
	d.inbox.mu.Unlock()
	for _, w := range whys {
		text := ""
		if wait, ok := d.lanes.Why(w.run, d.now()); ok {
			text = wait.String()
		}
		w.answer <- text
	}
}

// Running reports whether a run is being tried at this moment.
func (d *Dispatcher) Running(_ context.Context, run weir.RunID) bool {
	d.runningMu.Lock()
	defer d.runningMu.Unlock()
	return d.running[run] != nil
}

// Drain stops leasing to the workers here. All else goes on until Run's ctx ends.
func (d *Dispatcher) Drain() {
	d.inbox.mu.Lock()
	d.inbox.draining = true
	d.inbox.mu.Unlock()
}

// takeInbox does what others left.
func (d *Dispatcher) takeInbox() {
	d.inbox.mu.Lock()
	finishes, asks := d.inbox.finishes, d.inbox.asks
	d.settlers = append(d.settlers, d.inbox.settles...)
	d.inbox.finishes, d.inbox.asks, d.inbox.settles = nil, nil, nil
	d.inbox.mu.Unlock()
	now := d.now()
	for _, f := range finishes {
		d.ended(f, now)
	}
	for _, a := range asks {
		var e entry
		if d.running[a.run] != nil {
			e.wait, e.ok = d.lanes.Enter(a.run, a.origin, now)
		}
		a.answer <- e
	}
	d.answerSettlers()
}

func (d *Dispatcher) ended(f weir.Finish, now weir.Time) {
	r := d.running[f.Run]
	switch {
	case r == nil || r.began != f.Began:
		return
	case f.Unbegun:
		d.giveBackLater(f.Run, now)
		return
	case r.taken:
		r.ended = true
		return
	}
	d.drop(f.Run)
	delete(d.careful, f.Run)
	d.lanes.Finish(f.Run, f.Verdict, now)
	if !r.changed {
		return
	}
	run, _ := d.fold.Run(f.Run)
	d.place(f.Run, run)
}

// giveBackLater takes a lease that the workers could not begin now, because an
// older try of the run has not stopped yet.
func (d *Dispatcher) giveBackLater(id weir.RunID, now weir.Time) {
	d.drop(id)
	run, _ := d.fold.Run(id)
	if run != nil && run.State == weir.RunPending {
		again := *run
		again.Due = max(run.Due, now.Add(unbegunPause))
		run = &again
	}
	d.place(id, run)
}

// sleep waits for a hint or for the next time at which something is due.
func (d *Dispatcher) sleep(ctx context.Context) {
	wait := time.Hour
	sooner := func(t time.Duration) { wait = min(wait, max(t, 0)) }
	now := d.now()
	if due, ok := d.fold.NextDue(); ok {
		sooner(max(due.Sub(now), time.Until(d.lastTick.Add(tickGap))))
	}
	if due, ok := d.lanes.NextDue(); ok && d.free() > 0 {
		sooner(due.Sub(now))
	}
	if len(d.skips) > 0 {
		sooner(time.Until(d.skipAgain))
	}
	if len(d.late) > 0 {
		sooner(time.Until(d.lateAgain))
	}
	if d.Nodes != nil && d.grants.look == nil { // the end of one is a hint
		sooner(time.Until(d.grants.next))
	}
	switch {
	case d.flushing != nil: // its end is a hint
	case d.fold.Moved():
		sooner(time.Until(d.dirtySince.Add(d.FlushEvery)))
		if len(d.running) == 0 {
			sooner(time.Until(d.lastFlush.Add(idleGap)))
		}
	case d.unwritten != 0:
		sooner(d.unwritten.Add(d.FlushEvery).Sub(now))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-d.inbox.wake:
	case <-timer.C:
	}
}
