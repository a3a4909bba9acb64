package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"weir"
	"weir/internal/pg"
)

// Sweeper removes orphans: blobs that no record names, because the process ended
// between the one and the other, or because the record is gone.
type Sweeper struct {
	Store *Store
	Named func(ctx context.Context, id string) (bool, error) // whether a record names it
	Age   time.Duration                                      // from which on a blob without a record is an orphan; 0: a day

	settled pgtype.UUID // the blobs up to this one are named
}

const (
	defaultAge = 24 * time.Hour
	sweepStep  = 100 // blobs between pauses
	sweepPause = 5 * time.Millisecond
)

// Ids begin with the time by the clock of the node that made them, so both that
// and the database's must be long ago.
const selectOld = `SELECT id, whole FROM blobs
WHERE id > $1 AND id < $2 AND made_us < now_us() - $3 ORDER BY id LIMIT $4`

// Sweep looks at the blobs that the sweeps before have not found named, the oldest
// first, and returns how many it removed. It looks again at all that were made
// before a time, whose records may be gone.
func (s *Sweeper) Sweep(ctx context.Context, again weir.Time) (removed int, err error) {
	age := s.Age
	if age == 0 {
		age = defaultAge
	}
	after, until := pgtype.UUID{Valid: true}, newKey(time.Now().Add(-age))
	if again == 0 {
		after = s.settled
		after.Valid = true
	}
	for {
		found, err := s.old(ctx, after, until, age)
		if err != nil {
			return removed, err
		}
		for _, b := range found {
			gone, err := s.look(ctx, b)
			if err != nil {
				return removed, err
			}
			if gone {
				removed++
			}
			after = b.ID
		}
		if len(found) < sweepStep {
			s.settled = later(s.settled, after)
			return removed, nil
		}
		// Between those looked at again and those not yet looked at, none need be.
		if at := timeOf(after); again > 0 && at >= again {
			after, again = later(s.settled, after), 0
		}
		if !pause(ctx, sweepPause) {
			return removed, ctx.Err()
		}
	}
}

// old is a blob that may be an orphan.
type old struct {
	ID    pgtype.UUID
	Whole bool
}

func (s *Sweeper) old(ctx context.Context, after, until pgtype.UUID, age time.Duration) ([]old, error) {
	rows, err := s.Store.db.Query(ctx, selectOld, after, until, age.Microseconds(), sweepStep)
	if err != nil {
		return nil, pg.Failure("sweep blobs", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[old])
	return found, pg.Failure("sweep blobs", err)
}

// look removes a blob if it is an orphan.
func (s *Sweeper) look(ctx context.Context, b old) (gone bool, err error) {
	id := idOf(b.ID)
	if b.Whole {
		named, err := s.Named(ctx, id)
		if named || err != nil {
			return false, err
		}
	}
	return true, s.Store.Remove(ctx, id)
}

func later(a, b pgtype.UUID) pgtype.UUID {
	if idOf(a) > idOf(b) {
		return a
	}
	return b
}

// timeOf returns when an id was made.
func timeOf(key pgtype.UUID) weir.Time {
	var ms int64
	for _, b := range key.Bytes[:6] {
		ms = ms<<8 | int64(b)
	}
	return weir.Time(ms * 1000)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
