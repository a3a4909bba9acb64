package dispatch

import (
	"context"
	"errors"
	"time"

	"weir"
)

// errOver ends a loop whose shard another process may dispatch.
var errOver = errors.New("dispatch: the tenure is over")

// cancelTime is how long tries that were cancelled are waited for.
const cancelTime = 2 * time.Second

func (d *Dispatcher) held() bool { return d.Held == nil || d.Held() }

// ownTries counts the tries that the workers here have not ended.
func (d *Dispatcher) ownTries() (n int) {
	for _, r := range d.running {
		if r.node == "" && !r.parked && !r.ended {
			n++
		}
	}
	return n
}

// windDown lets the tries of the workers here end, and takes away those that do
// not in time. Until then the runs of other nodes need not stand still.
func (d *Dispatcher) windDown(ctx context.Context) {
	d.Drain()
	if !d.awaitOwn(ctx, d.Grace) {
		d.takeAway()
		d.awaitOwn(ctx, cancelTime)
	}
}

// awaitOwn goes on until the workers here have nothing left, or for so long.
func (d *Dispatcher) awaitOwn(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for d.ownTries() > 0 {
		if _, err := d.pass(ctx); err != nil || ctx.Err() != nil {
			return false
		}
		d.sleep(ctx)
	}
	return true
}

// takeAway cancels the tries of the workers here. What comes of one changes
// nothing; its lease stays in state, so that the next dispatcher counts it as
// lost.
func (d *Dispatcher) takeAway() {
	for id, r := range d.running {
		if r.node == "" && !r.parked {
			r.taken, r.waits = true, true
			d.workers.Cancel(id)
		}
	}
}

// abandon takes the tries of the workers here away, where another process may
// dispatch, and waits a little until they have stopped. Nothing is written.
func (d *Dispatcher) abandon() {
	if d.Held == nil {
		return
	}
	d.takeAway()
	timer := time.NewTimer(cancelTime)
	defer timer.Stop()
	for d.ownTries() > 0 {
		select {
		case <-d.inbox.wake:
			d.takeInbox()
		case <-timer.C:
			return
		}
	}
}

// tryAgain reports whether what failed with err may succeed now, having waited a
// little. A store that is away for a while must not cost the shard and all tries.
func (d *Dispatcher) tryAgain(ctx context.Context, err error) bool {
	if weir.CodeOf(err) != weir.Unavailable || ctx.Err() != nil || d.Newer != nil && errors.Is(err, d.Newer) {
		return false
	}
	if time.Since(d.complained) > complainEvery {
		d.complained = time.Now()
		d.Logger.Error("read what to fold: trying until it succeeds", "err", err)
	}
	timer := time.NewTimer(retryFlush)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

const complainEvery = 10 * time.Second
