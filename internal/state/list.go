package state

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// The columns of groups and runs, in the order in which all engines know them.
const (
	GroupColumns = `id, project, trigger, key_hash, due_us, body`
	RunColumns   = `id, project, state, pipeline, lane_key, origin, due_us, queued_us, queued_seq, holds, trigger, executions, body`
)

// Dialect is where the SQL of lists differs between engines. "?" is where the
// argument belongs.
type Dialect struct {
	Having    string // the body has these bytes in it
	Execution string // it is one of executions, so between line breaks
	Leased    string // the lease is the run's
	Running   string // what leases and their runs are read from, in this order: leases are few
}

// Snapshot is one snapshot of an engine, in which lists are read.
type Snapshot interface {
	Cursor(ctx context.Context) (weir.Seq, weir.Time, error)
	ID(ctx context.Context, text string, args []any) ([16]byte, error) // of the one row; zero: there is none
	Groups(ctx context.Context, text string, args []any) ([]*weir.Group, error)
	Runs(ctx context.Context, text string, args []any) ([]*weir.Run, error)
}

// Where joins constant conditions with their arguments.
type Where struct {
	text strings.Builder
	args []any
}

func (w *Where) and(condition string, arg any) {
	w.args = append(w.args, arg)
	if w.text.Len() > 0 {
		w.text.WriteString(" AND ")
	}
	w.text.WriteString(strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.args)), 1))
}

// Nth returns the query for the id of the nth of what meets the conditions,
// newest first, and its arguments.
func (w *Where) Nth(table string, n int) (string, []any) {
	args := append(slices.Clone(w.args), int64(n-1))
	return "SELECT id FROM " + table + " WHERE " + w.text.String() + " ORDER BY id DESC LIMIT 1 OFFSET $" + strconv.Itoa(len(args)), args
}

// page returns the query that selects from what meets the conditions, newest
// first, a page of it, and its arguments.
func (w *Where) page(selection string, limit int) (string, []any) {
	w.args = append(w.args, int64(limit))
	return selection + " WHERE " + w.text.String() + " ORDER BY id DESC LIMIT $" + strconv.Itoa(len(w.args)), w.args
}

// depth is how far a list looks: at n rows, of which the last has the id down;
// that is zero where there are fewer.
type depth struct {
	n    int
	down [16]byte
}

// lookDown ends what meets the conditions at the nth of it; 0 is no bound.
func (w *Where) lookDown(ctx context.Context, s Snapshot, table string, n int) (d depth, err error) {
	if n <= 0 {
		return d, nil
	}
	d.n = n
	text, args := w.Nth(table, n)
	d.down, err = s.ID(ctx, text, args)
	if d.down != [16]byte{} {
		w.and("id >= ?", d.down[:])
	}
	return d, err
}

// reached says down to where a page looked that found so many rows up to last.
func (d depth) reached(rows, limit int, last [16]byte) Listed {
	switch {
	case rows == limit:
		return Listed{Looked: rows, Reached: last}
	case d.down != [16]byte{}:
		return Listed{Looked: d.n, Reached: d.down}
	}
	return Listed{Looked: rows}
}

func limitOf(limit int) int {
	if limit <= 0 {
		return DefaultLimit
	}
	return limit
}

// ListGroups returns a page of open groups, newest first.
func (d Dialect) ListGroups(ctx context.Context, s Snapshot, f GroupFilter) (groups []*weir.Group, l Listed, err error) {
	f.Limit = limitOf(f.Limit)
	asOf, _, err := s.Cursor(ctx)
	if err != nil {
		return nil, l, err
	}
	w, look := GroupsWhere(f), depth{}
	if f.Having != "" {
		if look, err = w.lookDown(ctx, s, "groups", f.Look); err != nil {
			return nil, l, err
		}
	}
	text, args := d.GroupsPage(w, f)
	if groups, err = s.Groups(ctx, text, args); err != nil {
		return nil, l, err
	}
	var last [16]byte
	if len(groups) > 0 {
		last = groups[len(groups)-1].ID
	}
	l = look.reached(len(groups), f.Limit, last)
	l.AsOf = asOf
	return groups, l, nil
}

// GroupsWhere returns the conditions that an index meets.
func GroupsWhere(f GroupFilter) *Where {
	w := &Where{}
	w.and("project = ?", int64(f.Project))
	if f.Trigger != "" {
		w.and("trigger = ?", f.Trigger)
	}
	if !f.After.IsZero() {
		w.and("id < ?", f.After[:])
	}
	return w
}

// GroupsPage adds the other conditions and returns the query with its arguments.
func (d Dialect) GroupsPage(w *Where, f GroupFilter) (string, []any) {
	if f.Having != "" {
		w.and(d.Having, []byte(f.Having))
	}
	return w.page(`SELECT `+GroupColumns+` FROM groups`, f.Limit)
}

// ListRuns returns a page of the runs in state, newest first.
func (d Dialect) ListRuns(ctx context.Context, s Snapshot, f RunFilter) (runs []*weir.Run, l Listed, err error) {
	f.Limit = limitOf(f.Limit)
	states := []weir.RunState{f.State}
	if f.State == 0 {
		states = []weir.RunState{weir.RunPending, weir.RunRunning, weir.RunWaiting, weir.RunDead}
	}
	if l.AsOf, _, err = s.Cursor(ctx); err != nil {
		return nil, l, err
	}
	for _, st := range states {
		part, of, err := d.runsIn(ctx, s, st, f)
		if err != nil {
			return nil, l, err
		}
		runs, l.Looked = append(runs, part...), l.Looked+of.Looked
		if bytes.Compare(of.Reached[:], l.Reached[:]) > 0 {
			l.Reached = of.Reached
		}
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
func (d Dialect) runsIn(ctx context.Context, s Snapshot, st weir.RunState, f RunFilter) (runs []*weir.Run, l Listed, err error) {
	w, look := RunsWhere(st, f), depth{}
	if st != weir.RunRunning && f.Pipeline+f.Trigger+f.Execution+f.Having != "" {
		if look, err = w.lookDown(ctx, s, "runs", f.Look); err != nil {
			return nil, l, err
		}
	}
	text, args := d.RunsPage(w, st, f)
	if runs, err = s.Runs(ctx, text, args); err != nil {
		return nil, l, err
	}
	var last [16]byte
	for _, r := range runs {
		r.State, last = st, r.ID
	}
	return runs, look.reached(len(runs), f.Limit, last), nil
}

// RunsWhere returns the conditions that the index meets. A running run is
// stored as pending.
func RunsWhere(st weir.RunState, f RunFilter) *Where {
	w := &Where{}
	if st == weir.RunRunning {
		st = weir.RunPending
	}
	w.and("project = ?", int64(f.Project))
	w.and("state = ?", int64(st))
	if !f.After.IsZero() {
		w.and("id < ?", f.After[:])
	}
	return w
}

// RunsPage adds the other conditions and returns the query with its arguments. A
// pending run with a lease is running.
func (d Dialect) RunsPage(w *Where, st weir.RunState, f RunFilter) (string, []any) {
	for _, c := range [...]struct{ condition, text string }{
		{"pipeline = ?", f.Pipeline}, {"trigger = ?", f.Trigger}, {d.Execution, f.Execution},
	} {
		if c.text != "" {
			w.and(c.condition, c.text)
		}
	}
	if f.Having != "" {
		w.and(d.Having, []byte(f.Having))
	}
	from := "runs"
	switch st {
	case weir.RunPending:
		w.text.WriteString(" AND NOT EXISTS (SELECT 1 FROM leases WHERE " + d.Leased + ")")
	case weir.RunRunning:
		from = d.Running
		w.text.WriteString(" AND " + d.Leased)
	case weir.RunWaiting, weir.RunSucceeded, weir.RunDead, weir.RunCancelled:
	}
	return w.page(`SELECT `+RunColumns+` FROM `+from, f.Limit)
}
