package ingest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"weir"
)

// Journal takes batches; its receipts say that they are durable.
type Journal interface {
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
}

// Types knows the declared types of events, and fails for an event that is none
// of them or does not fit its own.
type Types interface {
	Check(ctx context.Context, project weir.ProjectID, e *weir.Event) error
}

// Options are what a Door is made of.
type Options struct {
	Journal    Journal
	Blobs      Blobs // needed where data is long, or files come
	Types      Types // nil: there are none
	Refusals   RefusalStore
	Shard      weir.Shard // of which Journal is the journal
	Limits     Limits
	InFlight   int64 // bytes of bodies at the door at once; 0: 256 MiB
	Unverified int64 // likewise, of senders who are not known yet; 0: 64 MiB
	Log        *slog.Logger
}

// Door takes events in. It is for several goroutines at once.
type Door struct {
	journal  Journal
	blobs    Blobs
	types    Types
	shard    weir.Shard
	limits   Limits
	refusals refusals
	log      *slog.Logger

	inFlight   budget
	unverified budget
}

// New returns a door. Run must run beside it for its refusals to be stored.
func New(o Options) *Door {
	return &Door{
		journal: o.Journal, blobs: o.Blobs, types: o.Types, shard: o.Shard, limits: o.Limits.orDefault(), log: o.Log,
		refusals:   refusals{store: o.Refusals, wake: make(chan struct{}, 1)},
		inFlight:   budget{most: cmp.Or(o.InFlight, 256<<20)},
		unverified: budget{most: cmp.Or(o.Unverified, 64<<20)},
	}
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
	if i, err := d.checkAll(ctx, entry.Project, in.Events); err != nil {
		if in.Batch {
			err = withIndex(err, i)
		}
		d.Refuse(entry, in.Events[i], err)
		d.removeBlobs(ctx, in.Events)
		return nil, err
	}
	return d.append(ctx, d.journal, entry, in.Events)
}

// append makes events that were checked durable.
func (d *Door) append(ctx context.Context, journal Journal, entry Entry, events []*weir.Event) ([]Accepted, error) {
	if err := d.spill(ctx, events); err != nil {
		return nil, err
	}
	receipts, err := journal.Append(ctx, batchOf(entry.Project, events))
	if err != nil {
		if isUnwritten(err) {
			d.removeBlobs(ctx, events)
		}
		if weir.CodeOf(err) == weir.TooLarge { // all together, for the journal
			d.Refuse(entry, nil, err)
		}
		return nil, err
	}
	items := receipts[0].Items
	accepted := make([]Accepted, len(items))
	for i, item := range items {
		e := events[i]
		accepted[i] = Accepted{ID: e.ID, UID: weir.Place(item.At, d.shard, item.Seq), Seq: item.Seq, Duplicate: item.Repeated}
		if item.Repeated {
			d.removeBlobs(ctx, events[i:i+1])
		} else if err := e.CheckHops(); err != nil {
			d.Refuse(Entry{entry.Project, FoldDoor}, e, err)
		}
	}
	return accepted, nil
}

// FoldDoor is the door of what was kept and may not act.
const FoldDoor = "fold"

// checkAll holds events to the rules. With an error it returns the place of the
// first that breaks one.
func (d *Door) checkAll(ctx context.Context, project weir.ProjectID, events []*weir.Event) (int, error) {
	now := time.Now()
	for i, e := range events {
		if err := d.check(e, now); err != nil {
			return i, err
		}
		if d.types == nil {
			continue
		}
		if err := d.types.Check(ctx, project, e); err != nil {
			return i, err
		}
	}
	return 0, nil
}

// check holds an event to the rules that need no look at its project, and gives
// it an execution where it has none.
func (d *Door) check(e *weir.Event, now time.Time) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if strings.HasPrefix(e.Type, "weir.") {
		return weir.E("", weir.Invalid, "%q is Weir's own: only runs make such events", e.Type).WithField("type")
	}
	if strings.HasPrefix(e.Source, "/runs/run_") {
		return weir.E("", weir.Invalid, "%q is Weir's own: only runs are such sources", e.Source).WithField("source")
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
