package postgres

import (
	"context"
	"time"
)

// Holds are the rights that one process has at a time, with the database's clock.
// They are rows: who has the hold, under which token, and until when; 0 where it
// was released.
type Holds struct{ state *State }

// Holds returns the holds of the database.
func (s *State) Holds() *Holds { return &Holds{s} }

// The key (name, token) makes a new token wait for flushes under the old one, which
// lock the key, while a renewal does not.
const (
	acquireHold = `UPDATE holds SET node = $2, token = token + 1, until_us = ` + clock + ` + $3
WHERE name = $1 AND (until_us = 0 OR until_us + $4 <= ` + clock + `) RETURNING token`

	beginHold = `INSERT INTO holds (name, node, token, until_us) VALUES ($1, $2, 1, ` + clock + ` + $3)
ON CONFLICT (name) DO NOTHING RETURNING token`

	renewHold = `UPDATE holds SET until_us = ` + clock + ` + $3
WHERE name = $1 AND token = $2 AND until_us > ` + clock + ` RETURNING token`

	releaseHold = `UPDATE holds SET until_us = 0 WHERE name = $1 AND token = $2`
)

// Acquire takes a hold for a lease where it was released, or its time has been
// over for the margin, and returns its token, greater than all before; 0 where
// another node has it.
func (h *Holds) Acquire(ctx context.Context, name, node string, lease, margin time.Duration) (token int64, err error) {
	take := func(r row) error {
		token = r.int(0)
		return nil
	}
	args := []any{name, plain(node), lease.Microseconds()}
	taken, err := h.state.write(ctx, "take a hold", acquireHold, append(args, margin.Microseconds()), take)
	if err == nil && !taken {
		_, err = h.state.write(ctx, "take a hold", beginHold, args, take)
	}
	return token, err
}

// Renew makes a hold last for a lease from now; false where its time is over, it
// was released, or another token is in force.
func (h *Holds) Renew(ctx context.Context, name string, token int64, lease time.Duration) (bool, error) {
	args := []any{name, token, lease.Microseconds()}
	return h.state.write(ctx, "renew a hold", renewHold, args, func(row) error { return nil })
}

// Release lets another have a hold at once. It does nothing where another token is
// in force.
func (h *Holds) Release(ctx context.Context, name string, token int64) error {
	_, err := h.state.exec(ctx, "release a hold", releaseHold, name, token)
	return err
}
