// Package postgres keeps blobs in the database that many nodes share, in chunks, so
// that a node needs nothing but the database's address. It is to the door, work and
// the read side what package blob is on the embedded engine.
package postgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"weir"
	"weir/internal/pg"
)

// Store is the blobs of a database. Its methods may be called by many goroutines
// and processes at once.
type Store struct{ db *pg.DB }

// chunk is how many bytes stand in one row: large enough that a row more or less
// costs little, small enough to hold many writers' in memory.
const chunk = 256 << 10

// New returns the blobs of a database that is migrated.
func New(db *pg.DB) *Store { return &Store{db} }

// Keep makes a blob of data.
func (s *Store) Keep(ctx context.Context, data []byte) (weir.Blob, error) {
	w, err := s.Create(ctx)
	if err != nil {
		return weir.Blob{}, err
	}
	if _, err := w.Write(data); err != nil {
		w.Discard()
		return weir.Blob{}, err
	}
	return w.Commit()
}

const (
	selectBlob   = `SELECT size FROM blobs WHERE id = $1 AND whole`
	selectChunks = `SELECT data FROM blob_chunks WHERE blob = $1 AND nth >= $2 ORDER BY nth LIMIT $3`
	deleteChunks = `DELETE FROM blob_chunks WHERE blob = $1`
	deleteBlob   = `DELETE FROM blobs WHERE id = $1`
)

// Open opens a blob for reading, without verifying it, and returns its size. One
// that is not there is a NotFound error. ctx counts for the reads, too.
func (s *Store) Open(ctx context.Context, id string) (io.ReadSeekCloser, int64, error) {
	key, err := keyOf(id)
	if err != nil {
		return nil, 0, err
	}
	var size int64
	switch err := s.db.QueryRow(ctx, selectBlob, key).Scan(&size); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, 0, weir.E("", weir.NotFound, "blob %s is not there", id)
	case err != nil:
		return nil, 0, pg.Failure("read blob", err)
	}
	return &reader{ctx: ctx, store: s, id: id, key: key, size: size}, size, nil
}

// Read returns a whole blob and verifies its size and sum. One that is not there
// is a NotFound error, one that is damaged an Internal error that names it. An
// Unavailable error may pass.
func (s *Store) Read(ctx context.Context, b weir.Blob) ([]byte, error) {
	f, size, err := s.Open(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	if size != b.Size {
		return nil, damaged(b.ID, "it has %d bytes, and its record says %d", size, b.Size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	if sha256.Sum256(data) != b.Sum {
		return nil, damaged(b.ID, "its bytes are not those that its record tells the sum of")
	}
	return data, nil
}

// Remove removes a blob that no record will name. One that is not there is none.
func (s *Store) Remove(ctx context.Context, id string) error {
	key, err := keyOf(id)
	if err != nil {
		return err
	}
	return s.db.Retry(ctx, "remove blob", func() error {
		var b pgx.Batch
		b.Queue(deleteBlob, key)
		b.Queue(deleteChunks, key)
		return s.db.SendBatch(ctx, &b).Close()
	})
}

func damaged(id, format string, args ...any) error {
	return weir.E("", weir.Internal, "blob %s is damaged: %w", id, fmt.Errorf(format, args...))
}

// newKey makes an id: 48 bits of the time in milliseconds, 80 of chance.
func newKey(now time.Time) pgtype.UUID {
	key := pgtype.UUID{Valid: true}
	binary.BigEndian.PutUint64(key.Bytes[:8], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(key.Bytes[6:]) // never fails
	return key
}

func idOf(key pgtype.UUID) string { return hex.EncodeToString(key.Bytes[:]) }

func keyOf(id string) (key pgtype.UUID, err error) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != len(key.Bytes) || hex.EncodeToString(b) != id {
		return key, weir.E("", weir.Invalid, "%.40q is no id of a blob", id)
	}
	return pgtype.UUID{Bytes: [16]byte(b), Valid: true}, nil
}

// reader reads a blob. It has its context because io.Reader takes none.
type reader struct {
	ctx   context.Context
	store *Store
	id    string
	key   pgtype.UUID
	size  int64
	at    int64  // the next byte
	held  []byte // of the chunks that were read last
	from  int64  // where they begin
}

const ahead = 4 // chunks that are read together

// Read reads what the chunks at hand have, or the next ones.
func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.at < r.from || r.at >= r.from+int64(len(r.held)) {
		if err := r.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.held[r.at-r.from:])
	r.at += int64(n)
	return n, nil
}

func (r *reader) fetch() error {
	nth := r.at / chunk
	r.from, r.held = nth*chunk, r.held[:0]
	rows, err := r.store.db.Query(r.ctx, selectChunks, r.key, nth, ahead)
	if err != nil {
		return pg.Failure("read blob", err)
	}
	defer rows.Close()
	for rows.Next() {
		r.held = append(r.held, rows.RawValues()[0]...)
	}
	if err := rows.Err(); err != nil {
		return pg.Failure("read blob", err)
	}
	if want := min(ahead*chunk, r.size-r.from); int64(len(r.held)) != want {
		return damaged(r.id, "of its bytes from %d on there are %d, not %d", r.from, len(r.held), want)
	}
	return nil
}

// Seek moves to where the next Read begins.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, weir.E("read blob", weir.Invalid, "place %d is before the first byte", offset)
	}
	r.at = offset
	return offset, nil
}

// Close does nothing: no connection is held between reads.
func (r *reader) Close() error { return nil }
