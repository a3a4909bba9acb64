package sqlite

import (
	"context"
	"database/sql/driver"

	"weir"
	"weir/internal/fold"
)

const (
	selectCursor   = `SELECT cursor, at_us FROM cursors WHERE shard = 0`
	selectVersions = `SELECT ` + definitionColumns + ` FROM definitions ORDER BY revision, project, kind, name`
	selectLeases   = `SELECT ` + leaseColumns + ` FROM leases ORDER BY run`
	selectBreakers = `SELECT ` + breakerColumns + ` FROM breakers ORDER BY project, origin`

	countGroups     = `SELECT count(*) FROM groups`
	selectGroupRefs = `SELECT id, key_hash, due_us, project, trigger FROM groups ORDER BY id`
	countRuns       = `SELECT count(*) FROM runs`
	selectRunRefs   = `SELECT id, project, state, pipeline, lane_key, origin, due_us, queued_us, queued_seq, holds FROM runs ORDER BY id`
)

// Load reads what the fold goes on from, as one snapshot. Versions are all that
// were ever installed, since a group or run may name an old one. Lanes
// that repeat in Runs are held once.
func (s *State) Load(ctx context.Context) (*fold.Checkpoint, error) {
	p := &fold.Checkpoint{}
	err := s.read(ctx, "load state", func(c *conn) error {
		for _, part := range [...]func(context.Context, *conn, *fold.Checkpoint) error{
			loadCursor, loadDefinitions, loadGroups, loadRuns, loadLeases, loadBreakers,
		} {
			if err := part(ctx, c, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func loadCursor(ctx context.Context, c *conn, p *fold.Checkpoint) (err error) {
	p.Cursor, p.At, err = cursor(ctx, c)
	return err
}

// cursor reads up to where the records are folded, and the time of the last.
func cursor(ctx context.Context, c *conn) (at weir.Seq, when weir.Time, err error) {
	err = c.query(ctx, selectCursor, nil, func(r row) error {
		at, when = weir.Seq(r.int(0)), r.time(1)
		return nil
	})
	return at, when, err
}

func loadDefinitions(ctx context.Context, c *conn, p *fold.Checkpoint) (err error) {
	if p.Projects, err = projects(ctx, c); err != nil {
		return err
	}
	return c.query(ctx, selectVersions, nil, func(r row) error {
		p.Versions = append(p.Versions, fold.Installed{Project: weir.ProjectID(r.int(0)), Definition: scanDefinition(r)})
		return nil
	})
}

func loadGroups(ctx context.Context, c *conn, p *fold.Checkpoint) error {
	n, err := count(ctx, c, countGroups)
	if err != nil {
		return err
	}
	p.Groups = make([]fold.GroupRef, 0, n)
	texts := interned{}
	return c.query(ctx, selectGroupRefs, nil, func(r row) error {
		id, err := r.id(0)
		if err != nil {
			return err
		}
		hash, err := r.id(1)
		p.Groups = append(p.Groups, fold.GroupRef{
			ID: id, KeyHash: hash, Due: r.time(2), Project: weir.ProjectID(r.int(3)), Trigger: texts.of(r.text(4)),
		})
		return err
	})
}

func loadRuns(ctx context.Context, c *conn, p *fold.Checkpoint) error {
	n, err := count(ctx, c, countRuns)
	if err != nil {
		return err
	}
	p.Runs = make([]fold.RunRef, 0, n)
	lanes := map[weir.Lane]*weir.Lane{}
	return c.query(ctx, selectRunRefs, nil, func(r row) error {
		id, err := r.id(0)
		lane := weir.Lane{Project: weir.ProjectID(r.int(1)), Pipeline: r.text(3), Key: r.text(4), Origin: r.text(5)}
		shared := lanes[lane]
		if shared == nil {
			own := lane
			shared = &own
			lanes[lane] = shared
		}
		p.Runs = append(p.Runs, fold.RunRef{
			ID: id, State: weir.RunState(r.int(2)), Due: r.time(6), Queued: r.turn(7), Holds: r.int(9) == 1, Lane: shared,
		})
		return err
	})
}

func loadLeases(ctx context.Context, c *conn, p *fold.Checkpoint) error {
	return c.query(ctx, selectLeases, nil, func(r row) error {
		id, err := r.id(0)
		p.Leases = append(p.Leases, fold.LeaseRow{Run: id, Node: r.text(1), Try: int(r.int(2)), Began: r.time(3)})
		return err
	})
}

func loadBreakers(ctx context.Context, c *conn, p *fold.Checkpoint) error {
	return c.query(ctx, selectBreakers, nil, func(r row) error {
		p.Breakers = append(p.Breakers, fold.BreakerRow{
			Project: weir.ProjectID(r.int(0)), Origin: r.text(1), Failures: int(r.int(2)), Until: r.time(3),
		})
		return nil
	})
}

func count(ctx context.Context, c *conn, text string, args ...driver.Value) (n int64, err error) {
	err = c.query(ctx, text, args, func(r row) error {
		n = r.int(0)
		return nil
	})
	return n, err
}

// interned holds each text once.
type interned map[string]string

func (t interned) of(s string) string {
	if s == "" {
		return ""
	}
	if known, ok := t[s]; ok {
		return known
	}
	t[s] = s
	return s
}
