// Package postgres is the engine of state for many nodes: tables in one
// PostgreSQL database, beside those of the journal, so that the journal and the
// state in it belong together. app makes it; everybody else knows it by the
// interfaces that they declare.
//
// Everybody reads and writes control data. Live state is written by flushes
// alone, and only by the node that holds the shard: see Tenure.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"weir"
	"weir/internal/pg"
)

// Options says which state to use. DB is required.
type Options struct {
	DB    *pg.DB
	Shard weir.Shard
	Lease time.Duration // of a run that is granted to another node; 0: 30 s
}

// State is the state in a database. It is safe for concurrent use, and ends with
// its database.
type State struct {
	db    *pg.DB
	shard weir.Shard
	lease time.Duration
	wrote atomic.Int64 // rows
}

const defaultLease = 30 * time.Second

// New returns the state in a database that is migrated.
func New(o Options) *State {
	if o.Lease <= 0 {
		o.Lease = defaultLease
	}
	return &State{db: o.DB, shard: o.Shard, lease: o.Lease}
}

// RowsWritten returns how many rows of live state this process inserted, changed
// or deleted by flushes.
func (s *State) RowsWritten() int64 { return s.wrote.Load() }

// holdName is the name under which a shard is held by who dispatches it.
func holdName(shard weir.Shard) string { return fmt.Sprintf("shard %d", shard) }

// query calls f for every row of one statement. op is for the error.
func (s *State) query(ctx context.Context, op, text string, args []any, f func(row) error) error {
	rows, err := s.db.Query(ctx, text, args...)
	if err == nil {
		err = each(rows, f)
	}
	return failure(op, err)
}

// first calls f for the first row and reports whether there was one.
func (s *State) first(ctx context.Context, op, text string, args []any, f func(row) error) (found bool, err error) {
	err = s.query(ctx, op, text, args, func(r row) error {
		if found {
			return nil
		}
		found = true
		return f(r)
	})
	return found, err
}

// write runs one statement that writes, again where it was rolled back for the sake
// of another, calls f for every row that it returns, and reports whether there was
// one.
func (s *State) write(ctx context.Context, op, text string, args []any, f func(row) error) (bool, error) {
	var returned []row
	err := s.db.Retry(ctx, op, func() error {
		returned = returned[:0]
		rows, err := s.db.Query(ctx, text, args...)
		if err != nil {
			return err
		}
		return each(rows, func(r row) error {
			returned = append(returned, r.copy())
			return nil
		})
	})
	for i := 0; i < len(returned) && err == nil; i++ {
		err = f(returned[i])
	}
	return len(returned) > 0, failure(op, err)
}

// exec runs one statement and returns how many rows it wrote.
func (s *State) exec(ctx context.Context, op, text string, args ...any) (n int64, err error) {
	err = failure(op, s.db.Retry(ctx, op, func() error {
		tag, err := s.db.Exec(ctx, text, args...)
		n = tag.RowsAffected()
		return err
	}))
	return n, err
}

// statement is one of several that are sent together.
type statement struct {
	text string
	args []any
}

// together runs statements as one transaction in one round trip.
func (s *State) together(ctx context.Context, op string, statements ...statement) error {
	return failure(op, s.db.Retry(ctx, op, func() error {
		var b pgx.Batch
		for _, x := range statements {
			b.Queue(x.text, x.args...)
		}
		return s.db.SendBatch(ctx, &b).Close()
	}))
}

// reading is one snapshot.
type reading struct {
	tx    pgx.Tx
	shard weir.Shard
}

func (q *reading) each(ctx context.Context, text string, args []any, f func(row) error) error {
	rows, err := q.tx.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	return each(rows, f)
}

// snapshot calls f with what sees one snapshot. op is for the error.
func (s *State) snapshot(ctx context.Context, op string, f func(*reading) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return failure(op, pgx.BeginTxFunc(ctx, s.db, options, func(tx pgx.Tx) error { return f(&reading{tx, s.shard}) }))
}

// failure says what an error means; that of a context is Unavailable.
func failure(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return weir.E(op, weir.Unavailable, "%w", err)
	}
	return pg.Failure(op, err)
}
