package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"

	"modernc.org/sqlite"

	"weir"
	"weir/internal/state"
)

const (
	erasureColumns = `id, project, subject, up_to, ordered_by, ordered_us, ended_us, records`
	insertErasure  = `INSERT INTO erasures (project, subject, up_to, ordered_by, ordered_us, ended_us, records)
VALUES ($1, $2, $3, $4, $5, 0, 0) RETURNING id`
	selectErasures = `SELECT ` + erasureColumns + ` FROM erasures ORDER BY id DESC`
	noteErasure    = `UPDATE erasures SET ended_us = $1, records = $2 WHERE id = $3`
	dropErasures   = `DELETE FROM erasures WHERE ended_us > 0 AND ended_us < $1`
)

// AddErasure orders that the events of a subject are forgotten, durably, and
// returns the order with its number.
func (s *State) AddErasure(ctx context.Context, o weir.Erasure) (weir.Erasure, error) {
	err := s.write(ctx, full, "add erasure", func(c *conn) error { return addErasure(ctx, c, &o) })
	return o, err
}

func addErasure(ctx context.Context, c *conn, o *weir.Erasure) error {
	args := []driver.Value{int64(o.Project), o.Subject, int64(o.UpTo), o.By, int64(o.Ordered)}
	return c.query(ctx, insertErasure, args, func(r row) error {
		o.ID = r.int(0)
		return nil
	})
}

// Erasures returns all erasures that are under way, and those that ended not
// long ago, newest first.
func (s *State) Erasures(ctx context.Context) (all []weir.Erasure, err error) {
	err = s.read(ctx, "list erasures", func(c *conn) error {
		return c.query(ctx, selectErasures, nil, func(r row) error {
			all = append(all, weir.Erasure{
				ID: r.int(0), Project: weir.ProjectID(r.int(1)), Subject: r.text(2), UpTo: weir.Seq(r.int(3)),
				By: r.text(4), Ordered: r.time(5), Ended: r.time(6), Records: r.int(7),
			})
			return nil
		})
	})
	return all, err
}

// NoteErasure notes how far an erasure has come and, where o.Ended is not none,
// that it has ended, durably.
func (s *State) NoteErasure(ctx context.Context, o weir.Erasure) error {
	return s.write(ctx, full, "note erasure", func(c *conn) error {
		_, err := c.exec(ctx, noteErasure, int64(o.Ended), o.Records, o.ID)
		return err
	})
}

// DropErasures forgets erasures that ended before a time.
func (s *State) DropErasures(ctx context.Context, before weir.Time) error {
	return s.write(ctx, normal, "drop erasures", func(c *conn) error {
		_, err := c.exec(ctx, dropErasures, int64(before))
		return err
	})
}

const (
	walkGroups = `SELECT ` + groupColumns + ` FROM groups`
	walkChunks = `SELECT members FROM chunks`
	walkRuns   = `SELECT id, project, pipeline, trigger, body FROM runs`
)

// Walk calls each for all that is live, and returns the cursor that it is as of.
func (s *State) Walk(ctx context.Context, each func(*state.Live) error) (at weir.Seq, err error) {
	err = s.read(ctx, "walk state", func(c *conn) error {
		if at, _, err = cursor(ctx, c); err != nil {
			return err
		}
		err := c.query(ctx, walkGroups, nil, func(r row) error {
			g, err := scanGroup(r)
			if err != nil {
				return err
			}
			return each(new(state.OfGroup(g)))
		})
		if err != nil {
			return err
		}
		err = c.query(ctx, walkChunks, nil, func(r row) error {
			members, err := state.DecodeChunk(r.blob(0))
			if err != nil {
				return err
			}
			return each(&state.Live{Members: members})
		})
		if err != nil {
			return err
		}
		return c.query(ctx, walkRuns, nil, func(r row) error {
			id, err := r.id(0)
			if err != nil {
				return err
			}
			run := weir.Run{ID: id, Project: weir.ProjectID(r.int(1)), Pipeline: r.text(2), Firing: weir.Firing{Trigger: r.text(3)}}
			if err := state.DecodeRun(r.blob(4), &run); err != nil {
				return err
			}
			return each(new(state.OfRun(&run)))
		})
	})
	return at, err
}

// Members calls each for the members in [low, high] of open groups and of runs in
// state. One that is in several batches comes several times.
func (s *State) Members(ctx context.Context, low, high weir.Seq, each func(weir.Seq) error) error {
	return state.Walker(s.Walk).Members(ctx, low, high, each)
}

const (
	listVersions = `SELECT project, kind, name, revision, body IS NULL FROM definitions ORDER BY project, kind, name, revision`
	dropVersions = `DELETE FROM definitions WHERE project = $1 AND kind = $2 AND name = $3 AND revision < $4`
)

// Versions returns all versions of all definitions that are kept, by project,
// kind, name and revision.
func (s *State) Versions(ctx context.Context) (all []state.Version, err error) {
	err = s.read(ctx, "list versions", func(c *conn) error {
		return c.query(ctx, listVersions, nil, func(r row) error {
			all = append(all, state.Version{
				Project: weir.ProjectID(r.int(0)), Kind: weir.DefinitionKind(r.text(1)), Name: r.text(2),
				Revision: uint64(r.int(3)), Deletes: r.int(4) == 1,
			})
			return nil
		})
	})
	return all, err
}

// DropVersions forgets the versions of each name that are older than the one
// given.
func (s *State) DropVersions(ctx context.Context, olderThan []state.Version) error {
	return s.write(ctx, normal, "drop versions", func(c *conn) error {
		for _, v := range olderThan {
			if _, err := c.exec(ctx, dropVersions, int64(v.Project), string(v.Kind), v.Name, int64(v.Revision)); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	// The newest stays, because the next one is numbered after it.
	dropRefusals = `DELETE FROM refusals WHERE project = $1 AND at_us < $2
  AND n < (SELECT max(n) FROM refusals WHERE project = $1)`
	dropCounters = `DELETE FROM counters WHERE project = $1 AND NOT EXISTS (
  SELECT 1 FROM definitions AS d WHERE d.project = $1 AND d.kind = 'trigger' AND d.name = counters.trigger)`
)

// DropOld forgets the refusals of a project that are older than before, and the
// counters of triggers of which no version is kept.
func (s *State) DropOld(ctx context.Context, project weir.ProjectID, before weir.Time) error {
	return s.write(ctx, normal, "drop what is old", func(c *conn) error {
		if _, err := c.exec(ctx, dropRefusals, int64(project), int64(before)); err != nil {
			return err
		}
		_, err := c.exec(ctx, dropCounters, int64(project))
		return err
	})
}

const (
	selectRunsOf = `SELECT ` + runColumns + ` FROM runs WHERE project = $1 LIMIT $2`
	openTriggers = `SELECT DISTINCT trigger FROM groups WHERE project = $1 ORDER BY trigger`
)

// RunsOf returns runs in state of a project, limit at most.
func (s *State) RunsOf(ctx context.Context, project weir.ProjectID, limit int) (runs []*weir.Run, err error) {
	err = s.read(ctx, "read runs of a project", func(c *conn) error {
		return c.query(ctx, selectRunsOf, []driver.Value{int64(project), int64(limit)}, func(r row) error {
			run, err := scanRun(r)
			runs = append(runs, run)
			return err
		})
	})
	return runs, err
}

// OpenTriggers returns the names of a project's triggers that have open groups.
func (s *State) OpenTriggers(ctx context.Context, project weir.ProjectID) (names []string, err error) {
	err = s.read(ctx, "read triggers", func(c *conn) error {
		return c.query(ctx, openTriggers, []driver.Value{int64(project)}, func(r row) error {
			names = append(names, r.text(0))
			return nil
		})
	})
	return names, err
}

// The rows of a project but for its own, by table, a thousand at most.
var dropRows = [...]string{
	`DELETE FROM definitions WHERE project = $1 AND (kind, name, revision) IN (
  SELECT kind, name, revision FROM definitions WHERE project = $1 LIMIT 1000)`,
	`DELETE FROM refusals WHERE project = $1 AND n IN (SELECT n FROM refusals WHERE project = $1 LIMIT 1000)`,
	`DELETE FROM counters WHERE project = $1`,
	`DELETE FROM refusal_counts WHERE project = $1`,
	`DELETE FROM secrets WHERE project = $1`,
	`DELETE FROM tokens WHERE project = $1`,
}

// DropProject forgets what state has of a deleted project that has no group and
// no run any more, in steps: while it reports more, it is to be called again.
func (s *State) DropProject(ctx context.Context, project weir.ProjectID) (more bool, err error) {
	err = s.write(ctx, normal, "drop project", func(c *conn) error {
		for _, text := range dropRows {
			n, err := c.exec(ctx, text, int64(project))
			if err != nil {
				return err
			}
			more = more || n >= 1000
		}
		return nil
	})
	return more, err
}

// Checkpoint moves what flushes wrote from the log into the file, as far as no
// reader needs it where it is, so that flushes need not.
func (s *State) Checkpoint(ctx context.Context) error {
	writing, err := sqlite.NewConnector(dsn(s.path, common))
	if err != nil {
		return s.failed("checkpoint", err)
	}
	c, err := connect(ctx, writing)
	if err != nil {
		return s.failed("checkpoint", err)
	}
	err = c.query(ctx, "PRAGMA wal_checkpoint(PASSIVE)", nil, func(row) error { return nil })
	return s.failed("checkpoint", errors.Join(err, c.close()))
}
