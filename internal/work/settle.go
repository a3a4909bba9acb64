package work

import (
	"context"
	"slices"
	"time"

	"weir"
)

// tryQuickOnes tries quick runs, a slice of them at a time, until the loop is
// closed.
func (l *Loop) tryQuickOnes(writes context.Context) {
	for leases := l.takeQuick(); len(leases) > 0; leases = l.takeQuick() {
		for len(leases) > 0 {
			leases = leases[l.trySlice(writes, leases):]
		}
	}
}

// trySlice tries runs until all are done or what they leave is enough for an
// append, and returns how many it tried.
func (l *Loop) trySlice(writes context.Context, leases []weir.Lease) int {
	var t try
	batches := make([]weir.Batch, 0, len(leases))
	ended := make([]weir.Finish, 0, len(leases))
	for i, size := 0, 0; i < len(leases) && size < quickBytes; i++ {
		t = try{lease: &leases[i], began: time.Now()}
		end := l.attempt(writes, &t)
		batches = append(batches, t.batch(end, l.Node, time.Now()))
		ended = append(ended, weir.Finish{Run: leases[i].Run.ID, Began: leases[i].Began, Verdict: end.verdict})
		size += t.size()
	}
	durable := l.settle(writes, leases, batches)
	l.releaseQuick(len(ended))
	if durable {
		l.Dispatcher.Finish(ended)
	}
	return len(ended)
}

// trySlow tries one run whose steps wait for the outside.
func (l *Loop) trySlow(h begun, writes context.Context) {
	t := try{lease: &h.lease, began: time.Now(), origin: h.lease.Run.Lane.Origin, let: true}
	ctx := h.ctx
	if bound := h.lease.Pipe.Timeout.Std(); bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, bound, errTooLong)
		defer cancel()
	}
	end := l.attempt(ctx, &t)
	durable := l.settle(writes, []weir.Lease{h.lease}, []weir.Batch{t.batch(end, l.Node, time.Now())})
	l.release(h.lease.Run.ID)
	if durable {
		l.Dispatcher.Finish([]weir.Finish{{Run: h.lease.Run.ID, Began: h.lease.Began, Verdict: end.verdict}})
	}
}

// settle appends the outcomes of the tries of leases, and the attempts of those
// that came second as stale. It reports whether all are durable: if not, ctx has
// ended.
func (l *Loop) settle(ctx context.Context, leases []weir.Lease, batches []weir.Batch) bool {
	receipts, err := l.append(ctx, batches, weir.Invalid, weir.TooLarge)
	if err != nil && ctx.Err() == nil {
		return l.settleApart(ctx, leases, batches, err)
	}
	if err != nil {
		l.Logger.Error("outcomes of tries are lost: the journal took none until the end", "tries", len(batches), "err", err)
		return false
	}
	var late []weir.Batch
	for i, r := range receipts {
		if r.Refused {
			late = append(late, stale(batches[i]))
			continue
		}
		l.refuseTired(batches[i])
	}
	if len(late) == 0 {
		return true
	}
	_, err = l.append(ctx, late, weir.Invalid, weir.TooLarge)
	if err != nil {
		l.Logger.Warn("stale attempts are not kept", "tries", len(late), "err", err)
	}
	return true
}

// refuseTired lists the emitted events that went round too often.
func (l *Loop) refuseTired(b weir.Batch) {
	for _, rec := range b.Records[1:] {
		if err := rec.Event.CheckHops(); err != nil && l.Refuse != nil {
			l.Refuse(rec.Project, rec.Event, err)
		}
	}
}

// settleApart appends, one by one, batches that the journal refused together,
// and those that it refuses alone in a bare form.
func (l *Loop) settleApart(ctx context.Context, leases []weir.Lease, batches []weir.Batch, reason error) bool {
	if len(batches) > 1 {
		durable := true
		for i := range batches {
			durable = l.settle(ctx, leases[i:i+1], batches[i:i+1]) && durable
		}
		return durable
	}
	run := &leases[0].Run
	l.Logger.Error("the journal cannot keep an outcome", "run", run.ID.String(), "err", reason)
	_, err := l.append(ctx, []weir.Batch{bare(run, batches[0], reason)})
	if err != nil {
		l.Logger.Error("nor, until the end, that the run died of it", "run", run.ID.String(), "err", err)
	}
	return err == nil
}

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// append appends batches, again and again where the journal is not able to for
// a while, because what they tell has happened. It fails with the codes that are
// final, for which repeating does not help, and when ctx ends.
func (l *Loop) append(ctx context.Context, batches []weir.Batch, final ...weir.Code) ([]weir.Receipt, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		receipts, err := l.Journal.Append(ctx, batches...)
		if err == nil || slices.Contains(final, weir.CodeOf(err)) {
			return receipts, err
		}
		if pause == firstPause {
			l.Logger.Warn("append outcomes: trying until it succeeds", "tries", len(batches), "err", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
	}
}
