package app

import (
	"context"
	"io"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/backup"
	"weir/internal/dispatch"
	"weir/internal/ingest"
	"weir/internal/order"
	"weir/internal/secret"
	"weir/internal/source/webhook"
	"weir/internal/state"
	"weir/internal/track"
	"weir/internal/work"
)

// engine is what keeps the data, open: the embedded one or PostgreSQL.
type engine struct {
	journal journalStore
	state   stateStore
	control controlStore
	kept    keptState
	past    keptJournal // the journal, to have it forget
	blobs   blobStore

	// checkpoint returns the state for the one who dispatches under a token, 0
	// where nobody else could.
	checkpoint func(token int64) dispatch.State
	first      func(ctx context.Context, do func(context.Context) error) error // runs what only the first node of several makes
	among      *shared                                                         // nil: this process is alone
	sweeper    func(named) sweep
	prepare    func(ctx context.Context) error // what the engine wants done every hour
	clock      func() time.Time                // by which records are accepted; nil: time.Now
	stores     backup.Stores                   // the same, to be verified
	close      func() error
}

// journalStore is the journal, for all who ask.
type journalStore interface {
	dispatch.Journal
	ingest.Journal
	order.Journal
	track.Journal
	track.End
	work.Journal
}

// stateStore is the state, for all who ask but dispatch.
type stateStore interface {
	api.State
	ingest.RefusalStore
	order.State
	secret.Sealed
	track.State
	webhook.State
	RowsWritten() int64
}

// controlStore keeps what the server knows of itself.
type controlStore interface {
	api.Projects
	order.Erasures
	PutToken(ctx context.Context, t state.Token) error
	TokenByHash(ctx context.Context, hash state.TokenHash) (state.Token, error)
	Tokens(ctx context.Context) ([]state.Token, error)
	Meta(ctx context.Context, name string) ([]byte, error)
	PutMeta(ctx context.Context, name string, value []byte) error
}

// blobStore keeps what is too long for the journal, for all who ask.
type blobStore interface {
	ingest.Blobs
	Keep(ctx context.Context, data []byte) (weir.Blob, error)
	Open(ctx context.Context, id string) (io.ReadSeekCloser, int64, error)
	Read(ctx context.Context, b weir.Blob) ([]byte, error)
}

// store is an engine's blobs, whose writers are W.
type store[W ingest.BlobWriter] interface {
	Create(ctx context.Context) (W, error)
	Remove(ctx context.Context, id string) error
	Keep(ctx context.Context, data []byte) (weir.Blob, error)
	Open(ctx context.Context, id string) (io.ReadSeekCloser, int64, error)
	Read(ctx context.Context, b weir.Blob) ([]byte, error)
}

// blobs makes an engine's blobs the door's: neither room knows the other.
type blobs[W ingest.BlobWriter] struct{ store[W] }

func (b blobs[W]) Create(ctx context.Context) (ingest.BlobWriter, error) {
	w, err := b.store.Create(ctx)
	if err != nil {
		return nil, err // without the nil writer, which would be none to the door
	}
	return w, nil
}
