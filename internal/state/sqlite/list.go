package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/internal/state"
)

// where joins constant conditions with their arguments.
type where struct {
	text strings.Builder
	args []driver.Value
}

// and adds a condition that ends where its argument belongs.
func (w *where) and(condition string, arg driver.Value) {
	w.args = append(w.args, arg)
	if w.text.Len() > 0 {
		w.text.WriteString(" AND ")
	}
	w.text.WriteString(condition + "$" + strconv.Itoa(len(w.args)))
}

// having adds the condition that the body has bytes in it.
func (w *where) having(bytes string) {
	if bytes != "" {
		w.and("0 < instr(body, ", []byte(bytes))
		w.text.WriteString(")")
	}
}

// page returns the query that selects from what meets the conditions, newest
// first, a page of it, and its arguments.
func (w *where) page(selection string, limit int) (string, []driver.Value) {
	if limit <= 0 {
		limit = state.DefaultLimit
	}
	w.args = append(w.args, int64(limit))
	return selection + " WHERE " + w.text.String() + " ORDER BY id DESC LIMIT $" + strconv.Itoa(len(w.args)), w.args
}

// Cursor returns up to where the records are folded into what is stored, and
// the time of the last one.
func (s *State) Cursor(ctx context.Context) (seq weir.Seq, at weir.Time, err error) {
	err = s.read(ctx, "read cursor", func(c *conn) error {
		seq, at, err = cursor(ctx, c)
		return err
	})
	return seq, at, err
}

const listGroups = `SELECT ` + groupColumns + ` FROM groups`

// ListGroups returns a page of open groups, newest first, with the cursor that
// they are as of.
func (s *State) ListGroups(ctx context.Context, f state.GroupFilter) (groups []*weir.Group, seq weir.Seq, err error) {
	text, args := groupsPage(f)
	err = s.read(ctx, "list groups", func(c *conn) error {
		if seq, _, err = cursor(ctx, c); err != nil {
			return err
		}
		return c.query(ctx, text, args, func(r row) error {
			g, err := scanGroup(r)
			groups = append(groups, g)
			return err
		})
	})
	if err != nil {
		return nil, 0, err
	}
	return groups, seq, nil
}

func groupsPage(f state.GroupFilter) (string, []driver.Value) {
	var w where
	w.and("project = ", int64(f.Project))
	if f.Trigger != "" {
		w.and("trigger = ", f.Trigger)
	}
	w.having(f.Having)
	if !f.After.IsZero() {
		w.and("id < ", f.After[:])
	}
	return w.page(listGroups, f.Limit)
}

// The lists of runs by state. A pending run with a lease is running.
const (
	listRuns    = `SELECT ` + runColumns + ` FROM runs`
	listRunning = `SELECT ` + runColumns + ` FROM leases CROSS JOIN runs` // in this order: leases are few
	leased      = ` AND runs.id = leases.run`
	notLeased   = ` AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.run = runs.id)`
)

// ListRuns returns a page of the runs in state, newest first, with the cursor
// that they are as of.
func (s *State) ListRuns(ctx context.Context, f state.RunFilter) (runs []*weir.Run, seq weir.Seq, err error) {
	states := []weir.RunState{f.State}
	if f.State == 0 {
		states = []weir.RunState{weir.RunPending, weir.RunRunning, weir.RunWaiting, weir.RunDead}
	}
	err = s.read(ctx, "list runs", func(c *conn) error {
		if seq, _, err = cursor(ctx, c); err != nil {
			return err
		}
		for _, st := range states {
			part, err := runsIn(ctx, c, st, f)
			if err != nil {
				return err
			}
			runs = append(runs, part...)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(runs, func(a, b *weir.Run) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	if f.Limit <= 0 {
		f.Limit = state.DefaultLimit
	}
	return runs[:min(len(runs), f.Limit)], seq, nil
}

// runsIn returns the first page of the runs in one state: each state has its
// runs in order in the index, all states together have not.
func runsIn(ctx context.Context, c *conn, st weir.RunState, f state.RunFilter) (runs []*weir.Run, err error) {
	text, args := runsPage(st, f)
	err = c.query(ctx, text, args, func(r row) error {
		run, err := scanRun(r)
		if err != nil {
			return err
		}
		run.State = st
		runs = append(runs, run)
		return nil
	})
	return runs, err
}

func runsPage(st weir.RunState, f state.RunFilter) (string, []driver.Value) {
	var w where
	from, stored := listRuns, st
	if st == weir.RunRunning {
		from, stored = listRunning, weir.RunPending
	}
	w.and("project = ", int64(f.Project))
	w.and("state = ", int64(stored))
	if !f.After.IsZero() {
		w.and("id < ", f.After[:])
	}
	if f.Pipeline != "" {
		w.and("pipeline = ", f.Pipeline)
	}
	if f.Trigger != "" {
		w.and("trigger = ", f.Trigger)
	}
	if f.Execution != "" {
		// Between line breaks, so that a part of an execution is not taken for it.
		w.and("0 < instr(char(10) || executions || char(10), char(10) || ", f.Execution)
		w.text.WriteString(" || char(10))")
	}
	w.having(f.Having)
	if st == weir.RunPending {
		w.text.WriteString(notLeased)
	}
	if st == weir.RunRunning {
		w.text.WriteString(leased)
	}
	return w.page(from, f.Limit)
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
