package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"weir"
)

// RefusalStore keeps refusals in order, and numbers them.
type RefusalStore interface {
	AddRefusals(ctx context.Context, refusals []weir.Refusal) error
}

const (
	refusalsHeld = 10_000 // in memory; more push out the oldest
	flushEvery   = time.Second
	maxReason    = 512
	maxRepeated  = 256 // of an attribute of what was refused
)

// refusals holds what was turned away until it is written, in bulk, so that a
// flood of bad input costs little.
type refusals struct {
	store RefusalStore
	wake  chan struct{}

	flushing sync.Mutex // held while a part is being written

	mu     sync.Mutex // guards:
	held   []weir.Refusal
	pushed int // out, since the last flush
}

// Refuse lists what was turned away. The event may be nil, or hold only what
// could be read of it.
func (d *Door) Refuse(entry Entry, e *weir.Event, err error) {
	refusal := weir.Refusal{
		At: weir.TimeOf(time.Now()), Project: entry.Project, Door: entry.Door, Code: weir.CodeOf(err), Reason: "internal error",
	}
	if known, ok := errors.AsType[*weir.Error](err); ok && known.Code != weir.Internal {
		refusal.Reason, refusal.Field = clip(known.Message, maxReason), clip(known.Field, maxRepeated)
	}
	if e != nil {
		refusal.Source, refusal.ID = clip(e.Source, maxRepeated), clip(e.ID, maxRepeated)
		refusal.Type = clip(e.Type, maxRepeated)
	}
	d.refusals.add(refusal)
}

func (r *refusals) add(refusal weir.Refusal) {
	r.mu.Lock()
	if len(r.held) == refusalsHeld {
		r.held = append(r.held[:0], r.held[refusalsHeld/10:]...)
		r.pushed += refusalsHeld / 10
	}
	r.held = append(r.held, refusal)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Flush writes the refusals held, so that a list of them is complete.
func (d *Door) Flush(ctx context.Context) error {
	r := &d.refusals
	r.flushing.Lock()
	defer r.flushing.Unlock()
	r.mu.Lock()
	part, pushed := r.held, r.pushed
	r.held, r.pushed = nil, 0
	r.mu.Unlock()
	if pushed > 0 {
		d.log.Warn("refusals came faster than they could be written, and the oldest are not listed", "count", pushed)
	}
	if len(part) == 0 {
		return nil
	}
	if err := r.store.AddRefusals(ctx, part); err != nil {
		r.putBack(part)
		return err
	}
	return nil
}

// putBack holds what could not be written again, before what came since.
func (r *refusals) putBack(part []weir.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := append(part, r.held...)
	if more := len(all) - refusalsHeld; more > 0 {
		all = all[more:]
		r.pushed += more
	}
	r.held = all
}

// Run writes refusals, at most once a second, until the context ends, and then
// once more.
func (d *Door) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return d.lastFlush(ctx)
		case <-d.refusals.wake:
		}
		if err := d.Flush(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("write refusals", "err", err)
		}
		select {
		case <-ctx.Done():
			return d.lastFlush(ctx)
		case <-time.After(flushEvery):
		}
	}
}

func (d *Door) lastFlush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return d.Flush(ctx)
}
