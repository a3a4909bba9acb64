package postgres

import (
	"context"
	"crypto/sha256"
	"hash"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"weir"
)

// Writer writes one blob. It is used by one goroutine. It has its context because
// io.Writer takes none.
type Writer struct {
	ctx   context.Context
	store *Store // nil once it has ended
	key   pgtype.UUID
	sum   hash.Hash
	size  int64
	held  []byte // of the chunk that is not full
	sent  int32  // chunks
}

// Create begins a blob. Its writer must end with Commit or Discard; ctx counts
// until then.
func (s *Store) Create(ctx context.Context) (*Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &Writer{ctx: ctx, store: s, key: newKey(time.Now()), sum: sha256.New()}, nil
}

const (
	insertBlob  = `INSERT INTO blobs (id, size, whole, made_us) VALUES ($1, 0, false, now_us()) ON CONFLICT DO NOTHING`
	insertChunk = `INSERT INTO blob_chunks (blob, nth, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	finishBlob  = `UPDATE blobs SET size = $2, whole = true WHERE id = $1`
)

// Write adds bytes. A disk without room is a DiskFull error.
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), chunk-len(w.held))
		w.held = append(w.held, p[:k]...)
		if len(w.held) == chunk {
			if err := w.send(false); err != nil {
				return n, err
			}
		}
		w.sum.Write(p[:k])
		w.size, n, p = w.size+int64(k), n+k, p[k:]
	}
	return n, nil
}

// send writes the chunk at hand and, if it is the last, that the blob is whole.
// Done again, because an answer was lost, it does the same.
func (w *Writer) send(last bool) error {
	err := w.store.db.Retry(w.ctx, "write blob", func() error {
		var b pgx.Batch
		if w.sent == 0 {
			b.Queue(insertBlob, w.key)
		}
		if len(w.held) > 0 {
			b.Queue(insertChunk, w.key, w.sent, w.held)
		}
		if last {
			b.Queue(finishBlob, w.key, w.size)
		}
		return w.store.db.SendBatch(w.ctx, &b).Close()
	})
	if err == nil {
		w.sent, w.held = w.sent+1, w.held[:0]
	}
	return err
}

// Commit makes the blob durable, under its id and for good, and returns it. After
// an error nothing is left of it.
func (w *Writer) Commit() (weir.Blob, error) {
	if err := w.send(true); err != nil {
		w.Discard()
		return weir.Blob{}, err
	}
	b := weir.Blob{ID: idOf(w.key), Size: w.size}
	w.sum.Sum(b.Sum[:0])
	w.store = nil
	return b, nil
}

const discardTime = 5 * time.Second

// Discard ends the blob unwritten. After Commit it does nothing. What cannot be
// removed now, the sweep removes.
func (w *Writer) Discard() {
	if w.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), discardTime)
	defer cancel()
	_ = w.store.Remove(ctx, idOf(w.key))
	w.store = nil
}
