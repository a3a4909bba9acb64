package sqlite

import (
	"context"
	"database/sql/driver"

	"weir"
	"weir/internal/state"
)

// Cursor returns up to where the records are folded into what is stored, and
// the time of the last one.
func (s *State) Cursor(ctx context.Context) (seq weir.Seq, at weir.Time, err error) {
	err = s.read(ctx, "read cursor", func(c *conn) error {
		seq, at, err = cursor(ctx, c)
		return err
	})
	return seq, at, err
}

// dialect is what lists look like in SQLite.
var dialect = state.Dialect{
	Having:    "0 < instr(body, ?)",
	Execution: "0 < instr(char(10) || executions || char(10), char(10) || ? || char(10))",
	Leased:    "leases.run = runs.id",
	Running:   "leases CROSS JOIN runs",
}

// ListGroups returns a page of open groups, newest first.
func (s *State) ListGroups(ctx context.Context, f state.GroupFilter) (groups []*weir.Group, l state.Listed, err error) {
	err = s.read(ctx, "list groups", func(c *conn) error {
		groups, l, err = dialect.ListGroups(ctx, snapshot{c}, f)
		return err
	})
	return groups, l, err
}

// ListRuns returns a page of the runs in state, newest first.
func (s *State) ListRuns(ctx context.Context, f state.RunFilter) (runs []*weir.Run, l state.Listed, err error) {
	err = s.read(ctx, "list runs", func(c *conn) error {
		runs, l, err = dialect.ListRuns(ctx, snapshot{c}, f)
		return err
	})
	return runs, l, err
}

// snapshot is what lists read from.
type snapshot struct{ c *conn }

func (s snapshot) Cursor(ctx context.Context) (weir.Seq, weir.Time, error) { return cursor(ctx, s.c) }

func (s snapshot) ID(ctx context.Context, text string, args []any) (id [16]byte, err error) {
	err = s.c.query(ctx, text, values(args), func(r row) (err error) {
		id, err = r.id(0)
		return err
	})
	return id, err
}

func (s snapshot) Groups(ctx context.Context, text string, args []any) (groups []*weir.Group, err error) {
	err = s.c.query(ctx, text, values(args), func(r row) error {
		g, err := scanGroup(r)
		groups = append(groups, g)
		return err
	})
	return groups, err
}

func (s snapshot) Runs(ctx context.Context, text string, args []any) (runs []*weir.Run, err error) {
	err = s.c.query(ctx, text, values(args), func(r row) error {
		run, err := scanRun(r)
		runs = append(runs, run)
		return err
	})
	return runs, err
}

func values(args []any) []driver.Value {
	list := make([]driver.Value, len(args))
	for i, v := range args {
		list[i] = v
	}
	return list
}

const (
	counterColumns = `project, trigger, what, n`
	selectCounters = `SELECT ` + counterColumns + ` FROM counters WHERE project = $1`
)

// Counters returns what each trigger of a project did with events.
func (s *State) Counters(ctx context.Context, project weir.ProjectID) (map[string]weir.TriggerCounters, error) {
	all := map[string]weir.TriggerCounters{}
	err := s.read(ctx, "read counters", func(c *conn) error {
		return c.query(ctx, selectCounters, []driver.Value{int64(project)}, func(r row) error {
			trigger := r.text(1)
			if all[trigger] == nil {
				all[trigger] = weir.TriggerCounters{}
			}
			all[trigger][r.text(2)] = r.int(3)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
