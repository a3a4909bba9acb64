package track

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"weir"
	"weir/client"
)

// Blobs keeps the data that is not in the journal. Read verifies what it returns.
type Blobs interface {
	Read(ctx context.Context, b weir.Blob) ([]byte, error)
	Open(ctx context.Context, id string) (io.ReadSeekCloser, int64, error)
}

// maxShown is the longest data of a blob, in bytes, that is shown with its event.
const maxShown = 1 << 20

// record returns the record of an event.
func (r *Reader) record(ctx context.Context, project weir.ProjectID, uid weir.EventUID) (*weir.Record, error) {
	records, err := r.Journal.Records(ctx, []weir.Seq{uid.Seq()})
	if err != nil {
		return nil, err
	}
	rec := records[0]
	if rec == nil || rec.Event == nil || rec.Project != project || rec.UID(r.Shard) != uid {
		return nil, weir.E("", weir.NotFound, "there is no event %s in this project", uid)
	}
	return rec, nil
}

// Event returns one event, also one that is not folded yet.
func (r *Reader) Event(ctx context.Context, project weir.ProjectID, uid weir.EventUID) (client.Event, error) {
	rec, err := r.record(ctx, project, uid)
	if err != nil {
		return client.Event{}, err
	}
	shown := r.event(rec)
	if r.Blobs == nil || !rec.Event.LacksData() || rec.Event.Blob.Size > maxShown {
		return shown, nil
	}
	shown.Data, err = r.Blobs.Read(ctx, *rec.Event.Blob)
	if isLost(err) {
		return shown, nil // the event is there all the same, and EventData tells why its data is not
	}
	return shown, err
}

func isLost(err error) bool {
	code := weir.CodeOf(err)
	return code == weir.NotFound || code == weir.Internal
}

// EventData opens the data of an event, and returns the event with it. An event
// without data has none to be found.
func (r *Reader) EventData(ctx context.Context, project weir.ProjectID, uid weir.EventUID) (*weir.Event, io.ReadSeekCloser, error) {
	rec, err := r.record(ctx, project, uid)
	if err != nil {
		return nil, nil, err
	}
	e := rec.Event
	switch {
	case e.Blob != nil && r.Blobs != nil:
		return r.openBlob(ctx, e)
	case e.Data == nil:
		return nil, nil, weir.E("", weir.NotFound, "event %s has no data", uid)
	}
	return e, inMemory{bytes.NewReader(e.Data)}, nil
}

func (r *Reader) openBlob(ctx context.Context, e *weir.Event) (*weir.Event, io.ReadSeekCloser, error) {
	f, size, err := r.Blobs.Open(ctx, e.Blob.ID)
	if err != nil {
		return nil, nil, err
	}
	if size != e.Blob.Size {
		_ = f.Close()
		return nil, nil, weir.E("", weir.Internal, "blob %s is damaged: it has %d bytes, and its record says %d", e.Blob.ID, size, e.Blob.Size)
	}
	return e, f, nil
}

// inMemory is data that need not be closed.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// event shows an event. Where its data is a blob the attribute dataref, which is
// CloudEvents' for data that stands elsewhere, says where, unless the event came
// with one of its own.
func (r *Reader) event(rec *weir.Record) client.Event {
	shown := client.Event{Event: *rec.Event, UID: rec.UID(r.Shard).String(), Seq: rec.Seq, At: rec.At}
	if shown.Blob == nil {
		return shown
	}
	at, taken := slices.BinarySearchFunc(shown.Extensions, dataRef, func(x weir.Extension, name string) int {
		return strings.Compare(x.Name, name)
	})
	if !taken {
		ref := weir.Extension{Name: dataRef, Value: client.DataPath(shown.UID)}
		shown.Extensions = slices.Insert(slices.Clone(shown.Extensions), at, ref)
	}
	return shown
}

const dataRef = "dataref"
