package work

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"weir"
	"weir/internal/step"
	"weir/internal/step/httpcall"
)

// Journal is where batches are read and outcomes go. Append returns once they
// are durable; it may be called by many goroutines at once.
type Journal interface {
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
	Records(ctx context.Context, seqs []weir.Seq) ([]*weir.Record, error)
}

// Dispatcher gave the leases. Enter asks before a request whether the run may
// send it to that origin, and after what wait; Finish says which tries have
// ended, once that is durable.
type Dispatcher interface {
	Enter(ctx context.Context, run weir.RunID, origin string) (wait time.Duration, ok bool)
	Finish(ended []weir.Finish)
}

// Secrets gives out the values that ${secret.name} means.
type Secrets interface {
	Reveal(ctx context.Context, project weir.ProjectID, name string) (string, error)
}

// Options says what a loop works with. The interfaces but Blobs, and Logger, are
// required.
type Options struct {
	Journal    Journal
	Blobs      Blobs // nil: there are none
	Dispatcher Dispatcher
	Secrets    Secrets
	Logger     *slog.Logger
	Node       string // written into attempts

	// Refuse lists an event that was emitted and may not act; nil lists none.
	Refuse func(project weir.ProjectID, e *weir.Event, why error)

	Inline   int           // bytes of an emitted event's data that stand in the journal; 0: 256 KiB
	Slots    int           // runs with steps that wait for the outside, at once; 0: 256
	Grace    time.Duration // for tries under way when the loop stops; 0: 10 s
	Patience time.Duration // with stores that are away when a try needs its batch or a secret; 0: 30 s
	Limits   step.Limits   // zero: step.DefaultLimits
	HTTP     httpcall.Options
}

const (
	defaultInline = 256 << 10
	defaultSlots  = 256
	defaultGrace  = 10 * time.Second
	writeGrace    = 5 * time.Second // for the last appends, after Grace
	quickLoops    = 8
	quickPerSlot  = 16      // quick runs that may be under way for each slot
	quickSlice    = 512     // quick runs whose changes are appended together
	quickBytes    = 4 << 20 // of what they leave, from which on an append is not delayed
)

// Why the context of a try ended.
var (
	errCancelled = errors.New("the run was taken from this worker")
	errStopping  = errors.New("the node stopped before the step had ended")
	errTooLong   = errors.New("the try took longer than the pipeline allows")
)

// Loop tries the runs that it is given leases of.
type Loop struct {
	Options
	caller    *httpcall.Caller
	programs  *programs
	room      *room
	reading   chan struct{} // holds one for each batch that is being read
	wakeSlow  chan struct{} // hint that slow is not empty, likewise wakeQuick
	wakeQuick chan struct{}

	mu      sync.Mutex // guards all below
	slow    []*handle  // not begun
	quick   []weir.Lease
	running map[weir.RunID]*handle // with a slot: begun or in slow
	quicks  int                    // quick runs under way, those in quick included
	closed  bool
}

// handle is a run that has a slot.
type handle struct {
	lease     weir.Lease
	cancel    context.CancelCauseFunc // nil before it began
	cancelled bool
}

// New makes a loop; Run starts it.
func New(o Options) *Loop {
	if o.Inline == 0 {
		o.Inline = defaultInline
	}
	if o.Slots == 0 {
		o.Slots = defaultSlots
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Limits == (step.Limits{}) {
		o.Limits = step.DefaultLimits()
	}
	caller := httpcall.NewCaller(o.HTTP)
	return &Loop{
		Options:   o,
		caller:    caller,
		room:      newRoom(maxHeld),
		reading:   make(chan struct{}, maxReading),
		programs:  newPrograms(caller),
		wakeSlow:  make(chan struct{}, 1),
		wakeQuick: make(chan struct{}, 1),
		running:   make(map[weir.RunID]*handle),
	}
}

// Free returns how many leases Take may be given now. Quick runs take no slot,
// but are bounded, too.
func (l *Loop) Free() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0
	}
	return max(0, min(l.Slots-len(l.running), quickPerSlot*l.Slots-l.quicks))
}

// Take begins to try runs, at most Free of them, and does not wait. A loop that
// is stopping gives them back, as any does with a run of which a cancelled try
// has not ended yet.
func (l *Loop) Take(leases []weir.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.unbegun(leases)
		return
	}
	for i := range leases {
		if isQuick(&leases[i]) {
			l.quick = append(l.quick, leases[i])
			l.quicks++
			continue
		}
		if l.running[leases[i].Run.ID] != nil {
			l.unbegun(leases[i : i+1])
			continue
		}
		h := &handle{lease: leases[i]}
		l.slow = append(l.slow, h)
		l.running[h.lease.Run.ID] = h
	}
	if len(l.slow) > 0 {
		hint(l.wakeSlow)
	}
	if len(l.quick) > 0 {
		hint(l.wakeQuick)
	}
}

// Cancel stops the steps of a run, if it is being tried here: whatever comes of
// it belongs to nobody any more.
func (l *Loop) Cancel(run weir.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.running[run]
	if h == nil {
		return // a quick one ends by itself
	}
	h.cancelled = true
	if h.cancel != nil {
		h.cancel(errCancelled)
	}
}

// Run tries what it is given until ctx ends. Then it takes nothing more, lets
// what is under way end, for Grace at most, stops the rest, and returns when
// their outcomes are appended.
func (l *Loop) Run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx)
	steps, stopSteps := context.WithCancelCause(lasting)
	defer stopSteps(nil)
	writes, stopWrites := context.WithCancel(lasting)
	defer stopWrites()
	var tries sync.WaitGroup
	for range quickLoops {
		tries.Go(func() { l.tryQuickOnes(writes) })
	}
	for ctx.Err() == nil {
		for _, h := range l.takeSlow(steps) {
			tries.Go(func() { l.trySlow(h, writes) })
		}
		select {
		case <-ctx.Done():
		case <-l.wakeSlow:
		}
	}
	l.close()
	ended := make(chan struct{})
	go func() {
		tries.Wait()
		close(ended)
	}()
	if !endsWithin(ended, l.Grace) {
		stopSteps(errStopping)
		if !endsWithin(ended, writeGrace) {
			stopWrites()
		}
	}
	<-ended
	l.caller.Close()
	return nil
}

func endsWithin(ended <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}

// begun is a slow run with the context of its steps.
type begun struct {
	*handle
	ctx context.Context
}

// takeSlow gives the slow runs that were taken a context each.
func (l *Loop) takeSlow(steps context.Context) []begun {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]begun, len(l.slow))
	for i, h := range l.slow {
		ctx, cancel := context.WithCancelCause(steps)
		h.cancel = cancel
		if h.cancelled {
			cancel(errCancelled)
		}
		out[i] = begun{h, ctx}
	}
	l.slow = nil
	return out
}

// takeQuick returns some quick runs, waiting for them, and nothing when the
// loop is closed and none are left.
func (l *Loop) takeQuick() []weir.Lease {
	for range l.wakeQuick {
		l.mu.Lock()
		n := min(len(l.quick), quickSlice)
		taken := l.quick[:n:n]
		l.quick = l.quick[n:]
		if len(l.quick) > 0 || l.closed {
			hint(l.wakeQuick) // for the other loop
		}
		closed := l.closed
		l.mu.Unlock()
		if n > 0 || closed {
			return taken
		}
	}
	return nil
}

// close ends the taking. Slow runs that were not begun are forgotten.
func (l *Loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	leases := make([]weir.Lease, len(l.slow))
	for i, h := range l.slow {
		leases[i] = h.lease
	}
	l.closed, l.slow = true, nil
	hint(l.wakeQuick)
	l.unbegun(leases)
}

// unbegun gives leases back, so that they do not count as tries.
func (l *Loop) unbegun(leases []weir.Lease) {
	ended := make([]weir.Finish, len(leases))
	for i := range leases {
		ended[i] = weir.Finish{Run: leases[i].Run.ID, Began: leases[i].Began, Unbegun: true}
	}
	l.Dispatcher.Finish(ended)
}

// release gives back what a run took of Free.
func (l *Loop) release(run weir.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.running[run]; h != nil {
		h.cancel(nil)
		delete(l.running, run)
	}
}

func (l *Loop) releaseQuick(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quicks -= n
}

// hint leaves a wake-up for a goroutine that is not waiting now, once.
func hint(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
