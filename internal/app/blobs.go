package app

import (
	"context"

	"weir/internal/blob"
	"weir/internal/ingest"
	"weir/internal/journal"
)

// doorBlobs keeps the door's blobs: neither room knows the other.
type doorBlobs struct{ *blob.Store }

func (b doorBlobs) Create(ctx context.Context) (ingest.BlobWriter, error) {
	w, err := b.Store.Create(ctx)
	if err != nil {
		return nil, err // without the nil writer, which would be none to the door
	}
	return w, nil
}

// named reports whether a record names a blob.
func (a *App) named(ctx context.Context, id string) (bool, error) {
	found, err := a.journal.Find(ctx, journal.Query{Kind: journal.ByBlob, Value: id, Limit: 1})
	return len(found.Records) > 0, err
}
