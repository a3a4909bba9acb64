package postgres

import (
	"context"

	"weir"
	"weir/internal/state"
)

// Cursor returns up to where the records are folded into what is stored, and
// the time of the last one.
func (s *State) Cursor(ctx context.Context) (seq weir.Seq, at weir.Time, err error) {
	err = s.query(ctx, "read cursor", selectCursor, []any{int16(s.shard)}, func(r row) error {
		seq, at = weir.Seq(r.int(0)), r.time(1)
		return nil
	})
	return seq, at, err
}

// dialect is what lists look like in PostgreSQL.
var dialect = state.Dialect{
	Having:    `0 < position(?::bytea IN body)`,
	Execution: `0 < position(E'\n' || ?::text || E'\n' IN E'\n' || executions || E'\n')`,
	Leased:    "leases.shard = runs.shard AND leases.run = runs.id",
	Running: `leases CROSS JOIN LATERAL (
  SELECT * FROM runs WHERE runs.shard = leases.shard AND runs.id = leases.run OFFSET 0) AS runs`, // which the planner does not see through
}

// ListGroups returns a page of open groups, newest first.
func (s *State) ListGroups(ctx context.Context, f state.GroupFilter) (groups []*weir.Group, l state.Listed, err error) {
	f.Trigger = plain(f.Trigger)
	err = s.snapshot(ctx, "list groups", func(q *reading) error {
		groups, l, err = dialect.ListGroups(ctx, q, f)
		return err
	})
	return groups, l, err
}

// ListRuns returns a page of the runs in state, newest first.
func (s *State) ListRuns(ctx context.Context, f state.RunFilter) (runs []*weir.Run, l state.Listed, err error) {
	f.Pipeline, f.Trigger, f.Execution = plain(f.Pipeline), plain(f.Trigger), plain(f.Execution)
	err = s.snapshot(ctx, "list runs", func(q *reading) error {
		runs, l, err = dialect.ListRuns(ctx, q, f)
		return err
	})
	return runs, l, err
}

// ID returns the id that text selects, zero where there is none.
func (q *reading) ID(ctx context.Context, text string, args []any) (id [16]byte, err error) {
	err = q.each(ctx, text, args, func(r row) (err error) {
		id, err = r.id(0)
		return err
	})
	return id, err
}

// Groups returns the groups that text selects, in its order.
func (q *reading) Groups(ctx context.Context, text string, args []any) (groups []*weir.Group, err error) {
	err = q.each(ctx, text, args, func(r row) error {
		g, err := scanGroup(r)
		groups = append(groups, g)
		return err
	})
	return groups, err
}

// Runs returns the runs that text selects, in its order.
func (q *reading) Runs(ctx context.Context, text string, args []any) (runs []*weir.Run, err error) {
	err = q.each(ctx, text, args, func(r row) error {
		run, err := scanRun(r)
		runs = append(runs, run)
		return err
	})
	return runs, err
}

const (
	counterColumns = `project, trigger, what, n`
	selectCounters = `SELECT ` + counterColumns + ` FROM counters WHERE project = $1`
)

// Counters returns what each trigger of a project did with events.
func (s *State) Counters(ctx context.Context, project weir.ProjectID) (map[string]weir.TriggerCounters, error) {
	all := map[string]weir.TriggerCounters{}
	err := s.query(ctx, "read counters", selectCounters, []any{int32(project)}, func(r row) error {
		trigger := r.text(1)
		if all[trigger] == nil {
			all[trigger] = weir.TriggerCounters{}
		}
		all[trigger][r.text(2)] = r.int(3)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
