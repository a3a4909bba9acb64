package ingest

import (
	"context"
	"io"

	"weir"
)

// Blobs keeps what is too long for the journal. One that no record names is
// removed by its keeper in time.
type Blobs interface {
	Create(ctx context.Context) (BlobWriter, error)
	Remove(ctx context.Context, id string) error
}

// BlobWriter writes one blob. Commit makes it durable; until then Discard leaves
// nothing of it.
type BlobWriter interface {
	io.Writer
	Commit() (weir.Blob, error)
	Discard()
}

// spill moves data that is longer than what stands in the journal into blobs,
// which are durable before their records. Where it fails it leaves none.
func (d *Door) spill(ctx context.Context, events []*weir.Event) error {
	for _, e := range events {
		if len(e.Data) <= d.limits.Inline {
			continue
		}
		blob, err := d.keep(ctx, e.Data)
		if err != nil {
			d.removeBlobs(ctx, events)
			return err
		}
		e.Blob, e.Data = &blob, nil
	}
	return nil
}

func (d *Door) keep(ctx context.Context, data []byte) (weir.Blob, error) {
	w, err := d.blobs.Create(ctx)
	if err != nil {
		return weir.Blob{}, err
	}
	if _, err := w.Write(data); err != nil {
		w.Discard()
		return weir.Blob{}, err
	}
	return w.Commit()
}

// removeBlobs removes the blobs of events that were not taken.
func (d *Door) removeBlobs(ctx context.Context, events []*weir.Event) {
	for _, e := range events {
		if e.Blob == nil {
			continue
		}
		if err := d.blobs.Remove(context.WithoutCancel(ctx), e.Blob.ID); err != nil {
			d.log.Warn("a blob that is not needed is left to be swept", "blob", e.Blob.ID, "err", err)
		}
	}
}

// isUnwritten reports whether an append that failed has surely left nothing. Of
// other failures a restart may find the records whole, and then their blobs must
// be there.
func isUnwritten(err error) bool {
	code := weir.CodeOf(err)
	return code == weir.DiskFull || code == weir.TooLarge || code == weir.Limited
}
