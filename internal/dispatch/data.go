package dispatch

import (
	"context"
	"slices"
	"time"

	"weir"
)

// turnBytes is how much data of blobs is in memory at once, but for one blob
// that is larger.
const turnBytes = 32 << 20

// whole returns the first of the records, or all, with the data of those events
// that have it in a blob and that expressions see. The events with data are
// copies, also returned: forget takes the data out of them again.
//
// A blob that is missing or damaged makes its event one without data: the loop
// must go on, and fold the same after a restart. An error means that ctx ended.
func (d *Dispatcher) whole(ctx context.Context, records []*weir.Record) (part []*weir.Record, copies []*weir.Event, err error) {
	if d.Blobs == nil || !slices.ContainsFunc(records, lacksData) {
		return records, nil, nil
	}
	part, room := slices.Clone(records), int64(turnBytes)
	for i, rec := range part {
		if !lacksData(rec) {
			continue
		}
		if room -= rec.Event.Blob.Size; room < 0 && len(copies) > 0 {
			return part[:i], copies, nil
		}
		copied := *rec.Event
		if copied.Data, err = d.readBlob(ctx, rec); err != nil {
			return nil, nil, err
		}
		whole := *rec
		whole.Event = &copied
		part[i], copies = &whole, append(copies, &copied)
	}
	return part, copies, nil
}

func lacksData(rec *weir.Record) bool {
	return rec.Event != nil && rec.Event.LacksData() && rec.Event.Hops <= weir.MaxHops
}

// forget takes the data of blobs out of what was folded: the runs that were made
// of it load their batch again.
func forget(copies []*weir.Event) {
	for _, e := range copies {
		e.Data = nil
	}
}

// readBlob reads a blob, again and again where it cannot be read for a while.
func (d *Dispatcher) readBlob(ctx context.Context, rec *weir.Record) ([]byte, error) {
	for try := 1; ; try++ {
		data, err := d.Blobs.Read(ctx, *rec.Event.Blob)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch weir.CodeOf(err) {
		case "":
			return data, nil
		case weir.NotFound, weir.Invalid, weir.Internal:
			d.lost.Add(1)
			d.Logger.Error("the data of an event is lost, and triggers see none", "project", rec.Project, "seq", rec.Seq, "err", err)
			return nil, nil
		default:
		}
		if try == 1 {
			d.Logger.Error("read a blob: trying until it succeeds", "project", rec.Project, "seq", rec.Seq, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(retryFlush):
		}
	}
}

// Lost returns of how many events the data was lost when they were folded, since
// the start.
func (d *Dispatcher) Lost() int64 { return d.lost.Load() }
