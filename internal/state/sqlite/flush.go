package sqlite

import (
	"context"
	"database/sql/driver"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

// The statements of a flush. They are made of constants; nothing changes them.
// A put sets no column of an index, because SQLite writes the entry anew though
// it is what it was, which doubles the cost of a retry: the project of a group
// or run and the trigger of a group never change, and the state of a run is
// moved by a statement of its own.
var (
	putGroups = puts("groups", groupColumns, `ON CONFLICT (id) DO UPDATE SET
  key_hash = excluded.key_hash, due_us = excluded.due_us, body = excluded.body`)
	putRuns = puts("runs", runColumns, `ON CONFLICT (id) DO UPDATE SET
  pipeline = excluded.pipeline, lane_key = excluded.lane_key, origin = excluded.origin, due_us = excluded.due_us,
  queued_us = excluded.queued_us, queued_seq = excluded.queued_seq, holds = excluded.holds,
  trigger = excluded.trigger, executions = excluded.executions, body = excluded.body`)
	putChunks      = puts("chunks", chunkColumns, `ON CONFLICT (grp, idx) DO UPDATE SET members = excluded.members`)
	putLeases      = puts("leases", leaseColumns, "")
	putBreakers    = puts("breakers", breakerColumns, "")
	putDefinitions = puts("definitions", definitionColumns, "")
	addCounters    = puts("counters", counterColumns, `ON CONFLICT (project, trigger, what) DO UPDATE SET n = counters.n + excluded.n`)

	moveRuns = [...]struct {
		to     weir.RunState
		update bulk
	}{
		{weir.RunPending, listed("UPDATE runs SET state = 1 WHERE state <> 1 AND id IN (", "?", ")")},
		{weir.RunWaiting, listed("UPDATE runs SET state = 3 WHERE state <> 3 AND id IN (", "?", ")")},
		{weir.RunDead, listed("UPDATE runs SET state = 5 WHERE state <> 5 AND id IN (", "?", ")")},
	}

	removeGroups = removes("groups", "id")
	removeRuns   = removes("runs", "id")
	removeChunks = removes("chunks", "grp")
)

const (
	moveCursor     = `UPDATE cursors SET cursor = $1, at_us = $2 WHERE shard = 0 AND cursor = $3`
	raiseRevision  = `UPDATE projects SET revision = $1 WHERE id = $2 AND revision < $1`
	removeLeases   = `DELETE FROM leases`
	removeBreakers = `DELETE FROM breakers`
)

// Flush writes l in one transaction: all of it or nothing. It returns
// state.ErrCursorMoved where the stored cursor is not l.From.
func (s *State) Flush(ctx context.Context, l *fold.Layer) error {
	return s.write(ctx, normal, "flush", func(c *conn) error {
		n, err := c.exec(ctx, moveCursor, int64(l.To), int64(l.At), int64(l.From))
		if err != nil {
			return err
		}
		if n == 0 {
			return state.ErrCursorMoved
		}
		for _, part := range [...]func(context.Context, *conn, *fold.Layer) error{
			flushGroups, flushRuns, flushChunks, flushInstalled, flushRest,
		} {
			if err := part(ctx, c, l); err != nil {
				return err
			}
		}
		return nil
	})
}

func flushGroups(ctx context.Context, c *conn, l *fold.Layer) error {
	err := putGroups.run(ctx, c, len(l.Groups), func(args []driver.Value, i int) []driver.Value {
		g := &l.Groups[i]
		body := c.body(func(b []byte) []byte { return state.AppendGroup(b, g) })
		return append(args, g.ID[:], int64(g.Project), g.Trigger, g.KeyHash[:], int64(g.Due), body)
	})
	if err != nil {
		return err
	}
	return removeGroups.run(ctx, c, len(l.GroupsGone), func(args []driver.Value, i int) []driver.Value {
		return append(args, l.GroupsGone[i][:])
	})
}

func flushRuns(ctx context.Context, c *conn, l *fold.Layer) error {
	err := putRuns.run(ctx, c, len(l.Runs), func(args []driver.Value, i int) []driver.Value {
		r := &l.Runs[i]
		body := c.body(func(b []byte) []byte { return state.AppendRun(b, r) })
		return append(args, r.ID[:], int64(r.Project), int64(r.State), r.Pipeline, r.Lane.Key, r.Lane.Origin, int64(r.Due),
			int64(r.Queued.Due), int64(r.Queued.Seq), r.Holds, r.Firing.Trigger, state.JoinExecutions(r.Firing.Executions), body)
	})
	if err != nil {
		return err
	}
	if err := flushStates(ctx, c, l); err != nil {
		return err
	}
	return removeRuns.run(ctx, c, len(l.RunsGone), func(args []driver.Value, i int) []driver.Value {
		return append(args, l.RunsGone[i][:])
	})
}

// flushStates moves the runs that were put and are stored in another state.
func flushStates(ctx context.Context, c *conn, l *fold.Layer) error {
	ids := make([][]byte, 0, len(l.Runs))
	for k := range moveRuns {
		ids = ids[:0]
		for i := range l.Runs {
			if l.Runs[i].State == moveRuns[k].to {
				ids = append(ids, l.Runs[i].ID[:])
			}
		}
		err := moveRuns[k].update.run(ctx, c, len(ids), func(args []driver.Value, i int) []driver.Value {
			return append(args, ids[i])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// flushChunks puts before it removes: a chunk that filled and whose run ended
// within one layer is gone.
func flushChunks(ctx context.Context, c *conn, l *fold.Layer) error {
	err := putChunks.run(ctx, c, len(l.Chunks), func(args []driver.Value, i int) []driver.Value {
		k := &l.Chunks[i]
		body := c.body(func(b []byte) []byte { return state.AppendChunk(b, k.Members) })
		return append(args, k.Group[:], int64(k.Index), body)
	})
	if err != nil {
		return err
	}
	return removeChunks.run(ctx, c, len(l.ChunksGone), func(args []driver.Value, i int) []driver.Value {
		return append(args, l.ChunksGone[i][:])
	})
}

func flushInstalled(ctx context.Context, c *conn, l *fold.Layer) error {
	revisions := map[weir.ProjectID]uint64{}
	err := putDefinitions.run(ctx, c, len(l.Installed), func(args []driver.Value, i int) []driver.Value {
		d := &l.Installed[i]
		revisions[d.Project] = max(revisions[d.Project], d.Revision)
		var body driver.Value
		if d.Body != nil {
			body = string(d.Body)
		}
		return append(args, int64(d.Project), string(d.Kind), d.Name, int64(d.Revision), d.From, body)
	})
	if err != nil {
		return err
	}
	for project, revision := range revisions {
		if _, err := c.exec(ctx, raiseRevision, int64(revision), int64(project)); err != nil {
			return err
		}
	}
	return nil
}

func flushRest(ctx context.Context, c *conn, l *fold.Layer) error {
	err := addCounters.run(ctx, c, len(l.Counters), func(args []driver.Value, i int) []driver.Value {
		n := &l.Counters[i]
		return append(args, int64(n.Project), n.Trigger, n.What, n.N)
	})
	if err != nil {
		return err
	}
	if _, err := c.exec(ctx, removeLeases); err != nil {
		return err
	}
	err = putLeases.run(ctx, c, len(l.Leases), func(args []driver.Value, i int) []driver.Value {
		x := &l.Leases[i]
		return append(args, x.Run[:], x.Node, int64(x.Try), int64(x.Began))
	})
	if err != nil {
		return err
	}
	if _, err := c.exec(ctx, removeBreakers); err != nil {
		return err
	}
	return putBreakers.run(ctx, c, len(l.Breakers), func(args []driver.Value, i int) []driver.Value {
		b := &l.Breakers[i]
		return append(args, int64(b.Project), b.Origin, int64(b.Failures), int64(b.Until))
	})
}
