package ingest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"weir"
)

// Journal takes batches; its receipts say that they are durable.
type Journal interface {
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
}

// Options are what a Door is made of.
type Options struct {
	Journal  Journal
	Refusals RefusalStore
	Shard    weir.Shard // of which Journal is the journal
	Limits   Limits     // zero: DefaultLimits
	InFlight int64      // bytes of bodies at the door at once; 0: 256 MiB
	Log      *slog.Logger
}

// Door takes events in. It is for several goroutines at once.
type Door struct {
	journal  Journal
	shard    weir.Shard
	limits   Limits
	refusals refusals
	log      *slog.Logger

	inFlight    atomic.Int64
	maxInFlight int64
}

// New returns a door. Run must run beside it for its refusals to be stored.
func New(o Options) *Door {
	d := &Door{
		journal: o.Journal, shard: o.Shard, limits: o.Limits, log: o.Log, maxInFlight: o.InFlight,
		refusals: refusals{store: o.Refusals, wake: make(chan struct{}, 1)},
	}
	if d.limits == (Limits{}) {
		d.limits = DefaultLimits()
	}
	if d.maxInFlight == 0 {
		d.maxInFlight = 256 << 20
	}
	return d
}

// Entry names where events come in.
type Entry struct {
	Project weir.ProjectID
	Door    string // "api", "hook/github"
}

// Accepted answers one event once it is durable. A duplicate has the place of
// the event that it repeats.
type Accepted struct {
	ID        string
	UID       weir.EventUID
	Seq       weir.Seq
	Duplicate bool
}

// Take decodes a body and publishes its events: all of them, or none. What it
// turns away is listed as a refusal.
func (d *Door) Take(ctx context.Context, entry Entry, body Body) ([]Accepted, error) {
	decoded, err := d.limits.Decode(body)
	if err != nil {
		var fault *weir.Event
		if n := len(decoded.Events); n > 0 {
			fault = decoded.Events[n-1]
		}
		d.Refuse(entry, fault, err)
		return nil, err
	}
	decoded.unpin(cap(body.Bytes))
	return d.publish(ctx, entry, decoded)
}

// unpin copies the events' data where a body of so many bytes would be kept in
// memory for little of it: data is a part of the body, and the journal keeps its
// newest records.
func (in *Decoded) unpin(body int) {
	const small = 4 << 10
	data := 0
	for _, e := range in.Events {
		data += len(e.Data)
	}
	if body <= 2*data+small {
		return
	}
	for _, e := range in.Events {
		e.Data = bytes.Clone(e.Data)
	}
}

// Publish takes events that a source has made: all of them, or none. From then
// on they belong to the journal.
func (d *Door) Publish(ctx context.Context, entry Entry, events ...*weir.Event) ([]Accepted, error) {
	return d.publish(ctx, entry, Decoded{Events: events, Batch: len(events) > 1})
}

func (d *Door) publish(ctx context.Context, entry Entry, in Decoded) ([]Accepted, error) {
	if len(in.Events) == 0 {
		return []Accepted{}, nil
	}
	now := time.Now()
	for i, e := range in.Events {
		if err := d.check(e, now); err != nil {
			if in.Batch {
				err = withIndex(err, i)
			}
			d.Refuse(entry, e, err)
			return nil, err
		}
	}
	receipts, err := d.journal.Append(ctx, batchOf(entry.Project, in.Events))
	if err != nil {
		return nil, err
	}
	items := receipts[0].Items
	accepted := make([]Accepted, len(items))
	for i, item := range items {
		accepted[i] = Accepted{
			ID: in.Events[i].ID, UID: weir.Place(item.At, d.shard, item.Seq), Seq: item.Seq, Duplicate: item.Repeated,
		}
		if err := in.Events[i].CheckHops(); err != nil && !item.Repeated {
			d.Refuse(Entry{entry.Project, FoldDoor}, in.Events[i], err)
		}
	}
	return accepted, nil
}

// FoldDoor is the door of what was kept and may not act.
const FoldDoor = "fold"

// check holds an event to the rules, and gives it an execution where it has
// none.
func (d *Door) check(e *weir.Event, now time.Time) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if len(e.Data) > d.limits.Data {
		return d.limits.dataTooLarge(len(e.Data))
	}
	if e.Execution == "" {
		e.Execution = NewID(now)
	}
	return nil
}

func batchOf(project weir.ProjectID, events []*weir.Event) weir.Batch {
	records := make([]weir.Record, len(events))
	batch := weir.Batch{Records: make([]*weir.Record, len(events))}
	for i, e := range events {
		records[i] = weir.Record{Project: project, Event: e}
		batch.Records[i] = &records[i]
	}
	return batch
}

// NewID makes the id of an execution or event: a UUID of version 7 in hex. It
// tells apart and is no secret.
func NewID(now time.Time) string {
	var id [16]byte
	ms := uint64(now.UnixMilli())
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6], id[7] = 0x70|byte(hi>>8)&0xf, byte(hi)
	for i := range 8 {
		id[8+i] = byte(lo >> (56 - 8*i))
	}
	id[8] = 0x80 | id[8]&0x3f
	return hex.EncodeToString(id[:])
}

func withIndex(err error, i int) error {
	if e, ok := errors.AsType[*weir.Error](err); ok {
		return e.WithIndex(i)
	}
	return err
}

func withField(err error, name string) error {
	if e, ok := errors.AsType[*weir.Error](err); ok {
		return e.WithField(name)
	}
	return err
}
