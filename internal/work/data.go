package work

import (
	"context"
	"errors"
	"io"
	"slices"

	"weir"
	"weir/internal/step"
)

// Blobs keeps the data that is not in the journal. NotFound and Internal errors
// say that it is lost; others may pass.
type Blobs interface {
	Read(ctx context.Context, b weir.Blob) ([]byte, error) // verified
	Open(ctx context.Context, id string) (io.ReadSeekCloser, int64, error)
	Keep(ctx context.Context, data []byte) (weir.Blob, error)
}

const (
	maxBatch   = 64 << 20  // bytes of the data of a batch
	smallBatch = 1 << 20   // bytes in the journal that need no room
	maxHeld    = 512 << 20 // bytes of larger batches, and of blobs, that all tries hold
	maxReading = 4         // batches that are read from the journal at once
	loadAtOnce = 256       // records of a batch
)

// load gives the try its batch, with all data that expressions see: what came
// with the lease or is in the journal, and what stands in blobs. What is large
// needs room for it, and a batch is not kept while it waits for that.
func (l *Loop) load(ctx context.Context, t *try) (err error) {
	batch := t.lease.Events
	if batch == nil {
		if batch, err = l.records(ctx, t.lease.Run.Firing.Members); err != nil {
			return err
		}
	}
	size, inBlobs, err := fits(batch)
	if err != nil {
		return err
	}
	if l.Blobs == nil {
		inBlobs = 0
	}
	room, isLarge := inBlobs, size > smallBatch
	if isLarge {
		room, batch = size+inBlobs, nil
	}
	if room > 0 {
		if err := l.room.take(ctx, room); err != nil {
			return err
		}
		t.room = room
	}
	if isLarge {
		if batch, err = l.records(ctx, t.lease.Run.Firing.Members); err != nil {
			return err
		}
	}
	t.events = batch
	if inBlobs == 0 {
		return nil
	}
	t.events = slices.Clone(batch)
	for i, rec := range batch {
		if !lacksData(rec) {
			continue
		}
		whole, event := *rec, *rec.Event
		whole.Event = &event
		event.Data, err = patiently(ctx, l.Patience, func() ([]byte, error) { return l.Blobs.Read(ctx, *event.Blob) })
		if err != nil {
			return lost(&event, err)
		}
		t.events[i] = &whole
	}
	return nil
}

// unload forgets the batch, which nobody needs after the steps, and makes blobs
// of what was emitted and is too long for the journal. Where a blob cannot be
// kept the data stays: the journal takes it, or says why not. Of a batch that the
// journal refuses the blobs are orphans, and swept.
func (l *Loop) unload(ctx context.Context, t *try) {
	l.room.give(t.room)
	t.events, t.room = nil, 0
	for _, e := range t.emitted {
		if l.Blobs == nil || len(e.Data) <= l.Inline {
			continue
		}
		kept, err := l.Blobs.Keep(context.WithoutCancel(ctx), e.Data)
		if err != nil {
			l.Logger.Warn("the data of an emitted event stays in the journal", "run", t.lease.Run.ID.String(), "err", err)
			continue
		}
		e.Blob, e.Data = &kept, nil
	}
}

// records reads the events of a batch from the journal, in order, when few others
// are being read. Those that are no longer there are left out.
func (l *Loop) records(ctx context.Context, members []weir.Member) ([]*weir.Record, error) {
	select {
	case l.reading <- struct{}{}:
		defer func() { <-l.reading }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	members = sorted(members)
	batch := make([]*weir.Record, 0, len(members))
	for part := range slices.Chunk(members, loadAtOnce) {
		seqs := make([]weir.Seq, len(part))
		for i, m := range part {
			seqs[i] = m.Seq
		}
		records, err := patiently(ctx, l.Patience, func() ([]*weir.Record, error) { return l.Journal.Records(ctx, seqs) })
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			if rec != nil && rec.Event != nil {
				batch = append(batch, rec)
			}
		}
		if _, _, err := fits(batch); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

func lacksData(rec *weir.Record) bool { return rec.Event.LacksData() }

// fits bounds what a batch takes in memory, with the blobs that are to be read.
// It returns how much is in the journal and how much in blobs.
func fits(batch []*weir.Record) (size, inBlobs int64, err error) {
	for _, rec := range batch {
		size += int64(len(rec.Event.Data))
		if lacksData(rec) {
			inBlobs += rec.Event.Blob.Size
		}
	}
	if size+inBlobs > maxBatch {
		return 0, 0, &unusable{weir.E("", weir.TooLarge, "the data of the batch is %d bytes long or more, and %d are the most: use a smaller count or max_events",
			size+inBlobs, maxBatch)}
	}
	return size, inBlobs, nil
}

// lost says of which event the data cannot be read, and whether it ever will.
func lost(e *weir.Event, err error) error {
	switch weir.CodeOf(err) {
	case weir.NotFound, weir.Invalid, weir.Internal:
		return &unusable{weir.E("", weir.NotFound, "the data of event %s of %s is lost: %w", e.ID, e.Source, err)}
	default:
		return err
	}
}

// unusable is why a batch can never be acted on.
type unusable struct{ error }

// unloaded is the outcome of a step whose batch could not be loaded: nothing, or
// a final failure.
func unloaded(err error) step.Outcome {
	if u, ok := errors.AsType[*unusable](err); ok {
		return step.Final(u.Error())
	}
	return step.Outcome{}
}

// open opens the blob of an event for a step that passes it on.
func (l *Loop) open(ctx context.Context, b *weir.Blob) (io.ReadCloser, error) {
	f, size, err := l.Blobs.Open(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	if size != b.Size {
		return nil, errors.Join(f.Close(), weir.E("", weir.Internal, "blob %s is damaged: it has %d bytes, and its record says %d", b.ID, size, b.Size))
	}
	return f, nil
}
