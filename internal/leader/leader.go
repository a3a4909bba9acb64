package leader

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Store keeps holds, by one clock for all processes.
type Store interface {
	// Acquire takes a hold for a lease, if it was released or its time has been
	// over for the margin, and returns its token, greater than all before; 0 where
	// another has it.
	Acquire(ctx context.Context, name, node string, lease, margin time.Duration) (token int64, err error)

	// Renew makes a hold last for a lease from now; false where its time is over,
	// it was released, or another token is in force.
	Renew(ctx context.Context, name string, token int64, lease time.Duration) (bool, error)

	// Release lets another have it at once, and wakes those that wait. It does
	// nothing where another token is in force.
	Release(ctx context.Context, name string, token int64) error
}

// Options says who competes for what. Store, Name, Node and Logger are required.
type Options struct {
	Store  Store
	Name   string // of the hold
	Node   string
	Logger *slog.Logger

	Freed <-chan struct{}      // hints that a hold may be free; nil: it is only asked for now and then
	Lease time.Duration        // 0: 15 s
	Clock func() time.Duration // counts the time of suspension, too; nil: the time since the machine started
}

const (
	defaultLease = 15 * time.Second
	askEvery     = time.Second // about: for a hold that another has
)

// ErrOver is why the context of a tenure ended that was not renewed in time: from
// then on another process may do what this one did.
var ErrOver = errors.New("leader: the hold was not renewed in time")

// Loop competes for a hold, and works while it has it.
type Loop struct {
	Options
	margin time.Duration
	check  time.Duration // how often the clock is looked at
}

// New makes a loop; Run starts it.
func New(o Options) *Loop {
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	if o.Clock == nil {
		o.Clock = SinceBoot
	}
	return &Loop{Options: o, margin: o.Lease * 2 / 15, check: o.Lease / 60}
}

// SinceBoot is a clock that goes on while the machine is suspended, as Go's clock does not.
func SinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return math.MaxInt64 // without a clock nobody holds anything
	}
	return time.Duration(ts.Nano())
}

// Tenure is one time of having the hold.
type Tenure struct {
	Token int64
	clock func() time.Duration
	until atomic.Int64 // by that clock
}

// Held reports whether nobody else has the hold yet. It is cheap, and true only
// before the time at which the tenure's context ends for lack of a renewal.
func (t *Tenure) Held() bool { return t.clock() < time.Duration(t.until.Load()) }

// Run competes for the hold until ctx ends. Each time that it gets it, it calls
// work, whose context ends with ctx or, with ErrOver as the cause, when the hold
// is over. It goes on renewing until work has returned, then releases the hold.
// Where work returns an error it lets others try before it tries again.
func (l *Loop) Run(ctx context.Context, work func(context.Context, *Tenure) error) error {
	failing := false
	for ctx.Err() == nil {
		t, err := l.acquire(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			l.Logger.Warn("ask for a hold: asking until it can be told", "hold", l.Name, "err", err)
			failing = true
		case err == nil:
			failing = false
		}
		if t == nil {
			l.pause(ctx, askEvery, l.Freed)
			continue
		}
		switch err := l.reign(ctx, t, work); {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, ErrOver):
			l.Logger.Warn("lost a hold", "hold", l.Name, "token", t.Token)
		default:
			l.Logger.Error("gave a hold up", "hold", l.Name, "token", t.Token, "err", err)
			l.pause(ctx, l.Lease/3, nil)
		}
	}
	return nil
}

// pause waits for about so long, or for a hint.
func (l *Loop) pause(ctx context.Context, about time.Duration, hint <-chan struct{}) {
	timer := time.NewTimer(about/2 + rand.N(about))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-hint:
	case <-timer.C:
	}
}

// acquire returns a tenure, or nil where another has the hold.
func (l *Loop) acquire(ctx context.Context) (*Tenure, error) {
	ctx, cancel := context.WithTimeout(ctx, l.Lease/3)
	defer cancel()
	sent := l.Clock()
	token, err := l.Store.Acquire(ctx, l.Name, l.Node, l.Lease, l.margin)
	if err != nil || token == 0 {
		return nil, err
	}
	t := &Tenure{Token: token, clock: l.Clock}
	l.lengthen(t, sent)
	return t, nil
}

func (l *Loop) lengthen(t *Tenure, sent time.Duration) {
	t.until.Store(int64(sent + l.Lease - l.margin))
}

// reign lets work do what only the holder may, and renews the hold beside it.
func (l *Loop) reign(ctx context.Context, t *Tenure, work func(context.Context, *Tenure) error) error {
	l.Logger.Info("got a hold", "hold", l.Name, "token", t.Token)
	lasting := context.WithoutCancel(ctx)
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	renewing, stopRenewing := context.WithCancel(lasting)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		l.renew(renewing, t, func() { stop(ErrOver) })
	}()
	err := work(working, t)
	if err == nil && !t.Held() {
		err = ErrOver
	}
	stopRenewing()
	<-renewed
	l.release(lasting, t)
	return err
}

// renew renews the hold every third of its lease until ctx ends, and calls over
// where it could not in time, or another has it.
func (l *Loop) renew(ctx context.Context, t *Tenure, over func()) {
	var asks sync.WaitGroup
	defer asks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticker := time.NewTicker(l.check)
	defer ticker.Stop()
	next, answers := l.Clock()+l.Lease/3, make(chan answer, 1)
	failing := false
	for t.Held() {
		select {
		case <-ctx.Done():
			return
		case a := <-answers:
			next = a.sent + l.Lease/3
			switch {
			case a.err != nil:
				if !failing {
					l.Logger.Warn("renew a hold: trying until it is over", "hold", l.Name, "err", a.err)
				}
				next = l.Clock() + l.Lease/15
			case !a.granted:
				t.until.Store(0)
			default:
				l.lengthen(t, a.sent)
			}
			failing = a.err != nil
		case <-ticker.C:
			if l.Clock() < next {
				continue
			}
			next = math.MaxInt64
			asks.Go(func() { answers <- l.ask(ctx, t) })
		}
	}
	over()
}

// answer is what became of a renewal.
type answer struct {
	sent    time.Duration
	granted bool
	err     error
}

// ask asks for a renewal, and gives up one that hangs.
func (l *Loop) ask(ctx context.Context, t *Tenure) answer {
	ctx, cancel := context.WithTimeout(ctx, l.Lease/5)
	defer cancel()
	sent := l.Clock()
	granted, err := l.Store.Renew(ctx, l.Name, t.Token, l.Lease)
	return answer{sent, granted, err}
}

// release lets others have the hold at once. What it cannot tell them they see
// when the time of the hold is over.
func (l *Loop) release(ctx context.Context, t *Tenure) {
	ctx, cancel := context.WithTimeout(ctx, l.margin)
	defer cancel()
	if err := l.Store.Release(ctx, l.Name, t.Token); err != nil {
		l.Logger.Warn("release a hold", "hold", l.Name, "err", err)
		return
	}
	l.Logger.Info("released a hold", "hold", l.Name, "token", t.Token)
}
