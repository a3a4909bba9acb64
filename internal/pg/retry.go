package pg

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	tries     = 10
	firstWait = 2 * time.Millisecond
)

// Retry runs f, a transaction, again while it was rolled back for the sake of
// another, and gives what it then fails with a code. Where it did not get a lock in
// time, those who are silent with one lose it before f is run once more.
func (db *DB) Retry(ctx context.Context, op string, f func() error) error {
	ended := false
	for n, wait := 1, firstWait; ; n, wait = n+1, 2*wait {
		err := f()
		code := CodeOf(err)
		switch {
		case code == "55P03" && !ended:
			ended = true
			db.endSilent(ctx)
			continue
		case code != "40001" && code != "40P01" || n == tries:
			return Failure(op, err)
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// endSilent ends the sessions that wrote and wait for the rest of what their
// client sends, for longer than one waits for a lock. A statement of ours is sent
// whole, and written by the server alone; but a client that is stopped before it
// sent the last few bytes, which end the transaction, would keep its locks for as
// long as it is stopped: PostgreSQL's timeouts count only what is between
// transactions' statements, until transaction_timeout of version 17.
const endSilent = `WITH silent AS MATERIALIZED (
  SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND usename = current_user AND wait_event = 'ClientRead' AND backend_xid IS NOT NULL
    AND xact_start < clock_timestamp() - interval '2 s'
) SELECT pg_terminate_backend(pid) FROM silent`

func (db *DB) endSilent(ctx context.Context) {
	rows, err := db.Query(ctx, endSilent)
	if err == nil {
		rows.Close()
		err = rows.Err()
	}
	if n := rows.CommandTag().RowsAffected(); n > 0 || err != nil {
		db.log.Warn("ended connections of nodes that kept others waiting", "connections", n, "err", err)
	}
}
