package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"weir"
)

// Checkpoint is state as the dispatching node last wrote it.
type Checkpoint interface {
	Cursor(ctx context.Context) (weir.Seq, weir.Time, error)
	Projects(ctx context.Context) ([]weir.Project, error)

	// LeasedRuns returns the runs with a lease that is not over.
	LeasedRuns(ctx context.Context) ([]weir.RunID, error)
}

// AfarOptions says what Afar reads, and whom it tells. All are required but
// Applied and Want.
type AfarOptions struct {
	State  Checkpoint
	Logger *slog.Logger

	// Applied are told when state has other definitions of a project.
	Applied []func(project weir.ProjectID)

	// Want asks the node that dispatches to flush up to a place.
	Want func(ctx context.Context, seq weir.Seq)
}

const (
	watchEvery  = time.Second           // the cursor, while nobody waits for it
	waitedEvery = 50 * time.Millisecond // while somebody does
	leasedFor   = 100 * time.Millisecond
)

// Afar answers from the database what only the dispatcher knows, for nodes that
// do not dispatch.
type Afar struct {
	AfarOptions
	wake chan struct{}

	revisions map[weir.ProjectID]uint64 // Run's own; nil before the first look

	mu      sync.Mutex // guards all below
	cursor  weir.Seq
	failed  error // of the last look
	waiters []waiter

	leasedMu sync.Mutex // held while LeasedRuns is asked, and guards:
	leased   map[weir.RunID]bool
	leasedAt time.Time
}

// waiter waits until a place is flushed.
type waiter struct {
	seq  weir.Seq
	done chan struct{}
}

// NewAfar makes an Afar; Run keeps it at the cursor.
func NewAfar(o AfarOptions) *Afar { return &Afar{AfarOptions: o, wake: make(chan struct{}, 1)} }

// Nudge says that the cursor may have moved.
func (a *Afar) Nudge() { hint(a.wake) }

// Run watches the cursor until ctx ends.
func (a *Afar) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		waited := a.look(ctx)
		wait := watchEvery
		if waited {
			wait = waitedEvery
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// look reads the cursor, tells what was applied, then answers those that waited
// for it, and reports whether others wait on.
func (a *Afar) look(ctx context.Context) (waited bool) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	cursor, _, err := a.State.Cursor(ctx)
	a.mu.Lock()
	moved := cursor != a.cursor || a.revisions == nil
	a.mu.Unlock()
	if err == nil && moved {
		err = a.tellApplied(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil && ctx.Err() == nil && a.failed == nil {
		a.Logger.Warn("read the cursor: trying until it can be told", "err", err)
	}
	a.failed = err
	if err != nil {
		return len(a.waiters) > 0
	}
	a.cursor = cursor
	a.waiters = slices.DeleteFunc(a.waiters, func(w waiter) bool {
		if w.seq > cursor {
			return false
		}
		close(w.done)
		return true
	})
	return len(a.waiters) > 0
}

// tellApplied tells which projects have another revision than before.
func (a *Afar) tellApplied(ctx context.Context) error {
	projects, err := a.State.Projects(ctx)
	if err != nil {
		return err
	}
	now := make(map[weir.ProjectID]uint64, len(projects))
	for _, p := range projects {
		now[p.ID] = p.Revision
		if a.revisions != nil && a.revisions[p.ID] == p.Revision {
			continue
		}
		for _, tell := range a.Applied {
			tell(p.ID)
		}
	}
	a.revisions = now
	return nil
}

// Settle returns once seq is folded and flushed, so that lists show it, and
// fails as Behind when ctx ends first.
func (a *Afar) Settle(ctx context.Context, seq weir.Seq) error {
	w := waiter{seq, make(chan struct{})}
	a.mu.Lock()
	if seq <= a.cursor {
		a.mu.Unlock()
		return nil
	}
	a.waiters = append(a.waiters, w)
	a.mu.Unlock()
	hint(a.wake)
	if a.Want != nil {
		a.Want(ctx, seq)
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiters = slices.DeleteFunc(a.waiters, func(other waiter) bool { return other.done == w.done })
	if a.failed != nil {
		return a.failed
	}
	return weir.E("settle", weir.Behind, "place %d is not folded and written yet: try again", seq)
}

// Running reports whether a run is being tried somewhere, as far as that is
// written.
func (a *Afar) Running(ctx context.Context, run weir.RunID) bool {
	a.leasedMu.Lock()
	defer a.leasedMu.Unlock()
	if now := time.Now(); now.Sub(a.leasedAt) > leasedFor {
		runs, err := a.State.LeasedRuns(ctx)
		if err != nil {
			return false
		}
		a.leased, a.leasedAt = make(map[weir.RunID]bool, len(runs)), now
		for _, id := range runs {
			a.leased[id] = true
		}
	}
	return a.leased[run]
}
