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

// nth returns the query for the id of the nth of what meets the conditions,
// newest first, and its arguments.
func (w *where) nth(table string, n int) (string, []driver.Value) {
	args := append(slices.Clone(w.args), int64(n-1))
	return "SELECT id FROM " + table + " WHERE " + w.text.String() + " ORDER BY id DESC LIMIT 1 OFFSET $" + strconv.Itoa(len(args)), args
}

// depth is how far a list looks: at n rows, of which the last has the id down;
// that is zero where there are fewer.
type depth struct {
	n    int
	down [16]byte
}

// lookDown ends what meets the conditions at the nth of it; 0 is no bound.
func (w *where) lookDown(ctx context.Context, c *conn, table string, n int) (d depth, err error) {
	if n <= 0 {
		return d, nil
	}
	d.n = n
	text, args := w.nth(table, n)
	err = c.query(ctx, text, args, func(r row) (err error) {
		d.down, err = r.id(0)
		return err
	})
	if d.down != [16]byte{} {
		w.and("id >= ", d.down[:])
	}
	return d, err
}

// reached says down to where a page looked that found so many rows up to last.
func (d depth) reached(rows, limit int, last [16]byte) state.Listed {
	switch {
	case rows == limit:
		return state.Listed{Looked: rows, Reached: last}
	case d.down != [16]byte{}:
		return state.Listed{Looked: d.n, Reached: d.down}
	}
	return state.Listed{Looked: rows}
}

// page returns the query that selects from what meets the conditions, newest
// first, a page of it, and its arguments.
func (w *where) page(selection string, limit int) (string, []driver.Value) {
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

// ListGroups returns a page of open groups, newest first.
func (s *State) ListGroups(ctx context.Context, f state.GroupFilter) (groups []*weir.Group, l state.Listed, err error) {
	setLimit(&f.Limit)
	err = s.read(ctx, "list groups", func(c *conn) error {
		asOf, _, err := cursor(ctx, c)
		if err != nil {
			return err
		}
		w, d := groupsWhere(f), depth{}
		if f.Having != "" {
			if d, err = w.lookDown(ctx, c, "groups", f.Look); err != nil {
				return err
			}
			w.having(f.Having)
		}
		text, args := w.page(listGroups, f.Limit)
		var last [16]byte
		err = c.query(ctx, text, args, func(r row) error {
			g, err := scanGroup(r)
			if err == nil {
				groups, last = append(groups, g), g.ID
			}
			return err
		})
		l = d.reached(len(groups), f.Limit, last)
		l.AsOf = asOf
		return err
	})
	if err != nil {
		return nil, l, err
	}
	return groups, l, nil
}

// groupsWhere returns the conditions that an index meets.
func groupsWhere(f state.GroupFilter) *where {
	w := &where{}
	w.and("project = ", int64(f.Project))
	if f.Trigger != "" {
		w.and("trigger = ", f.Trigger)
	}
	if !f.After.IsZero() {
		w.and("id < ", f.After[:])
	}
	return w
}

func setLimit(limit *int) {
	if *limit <= 0 {
		*limit = state.DefaultLimit
	}
}

// The lists of runs by state. A pending run with a lease is running.
const (
	listRuns    = `SELECT ` + runColumns + ` FROM runs`
	listRunning = `SELECT ` + runColumns + ` FROM leases CROSS JOIN runs` // in this order: leases are few
	leased      = ` AND runs.id = leases.run`
	notLeased   = ` AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.run = runs.id)`
)

// ListRuns returns a page of the runs in state, newest first.
func (s *State) ListRuns(ctx context.Context, f state.RunFilter) (runs []*weir.Run, l state.Listed, err error) {
	setLimit(&f.Limit)
	states := []weir.RunState{f.State}
	if f.State == 0 {
		states = []weir.RunState{weir.RunPending, weir.RunRunning, weir.RunWaiting, weir.RunDead}
	}
	err = s.read(ctx, "list runs", func(c *conn) error {
		if l.AsOf, _, err = cursor(ctx, c); err != nil {
			return err
		}
		for _, st := range states {
			part, of, err := runsIn(ctx, c, st, f)
			if err != nil {
				return err
			}
			runs, l.Looked = append(runs, part...), l.Looked+of.Looked
			if bytes.Compare(of.Reached[:], l.Reached[:]) > 0 {
				l.Reached = of.Reached
			}
		}
		return nil
	})
	if err != nil {
		return nil, l, err
	}
	// Behind where one state was looked at no further, others are for the next page.
	runs = slices.DeleteFunc(runs, func(r *weir.Run) bool { return bytes.Compare(r.ID[:], l.Reached[:]) < 0 })
	slices.SortFunc(runs, func(a, b *weir.Run) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	if len(runs) > f.Limit {
		runs, l.Reached = runs[:f.Limit], runs[f.Limit-1].ID
	}
	return runs, l, nil
}

// runsIn returns the first page of the runs in one state: each state has its
// runs in order in the index, all states together have not.
func runsIn(ctx context.Context, c *conn, st weir.RunState, f state.RunFilter) (runs []*weir.Run, l state.Listed, err error) {
	w, d := runsWhere(st, f), depth{}
	if st != weir.RunRunning && f.Pipeline+f.Trigger+f.Execution+f.Having != "" {
		if d, err = w.lookDown(ctx, c, "runs", f.Look); err != nil {
			return nil, l, err
		}
	}
	text, args := w.runsPage(st, f)
	var last [16]byte
	err = c.query(ctx, text, args, func(r row) error {
		run, err := scanRun(r)
		if err != nil {
			return err
		}
		run.State = st
		runs, last = append(runs, run), run.ID
		return nil
	})
	return runs, d.reached(len(runs), f.Limit, last), err
}

// runsWhere returns the conditions that the index meets. A running run is
// stored as pending.
func runsWhere(st weir.RunState, f state.RunFilter) *where {
	w := &where{}
	if st == weir.RunRunning {
		st = weir.RunPending
	}
	w.and("project = ", int64(f.Project))
	w.and("state = ", int64(st))
	if !f.After.IsZero() {
		w.and("id < ", f.After[:])
	}
	return w
}

// runsPage adds the other conditions and returns the query with its arguments.
func (w *where) runsPage(st weir.RunState, f state.RunFilter) (string, []driver.Value) {
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
	from := listRuns
	switch st {
	case weir.RunPending:
		w.text.WriteString(notLeased)
	case weir.RunRunning:
		from = listRunning
		w.text.WriteString(leased)
	case weir.RunWaiting, weir.RunSucceeded, weir.RunDead, weir.RunCancelled:
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
