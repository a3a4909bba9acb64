package postgres

import (
	"time"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

// layerArgs returns a layer as the arguments of flush from $8 on: a list for each
// column.
func (s *State) layerArgs(l *fold.Layer) []any {
	args := groupArgs(l)
	args = append(args, runArgs(l)...)
	args = append(args, installedArgs(l)...)
	args = append(args,
		column(l.Counters, func(c *fold.Counter) int32 { return int32(c.Project) }),
		column(l.Counters, func(c *fold.Counter) string { return plain(c.Trigger) }),
		column(l.Counters, func(c *fold.Counter) string { return plain(c.What) }),
		column(l.Counters, func(c *fold.Counter) int64 { return c.N }),
	)
	args = append(args, s.leaseArgs(l)...)
	return append(args,
		column(l.Breakers, func(b *fold.BreakerRow) int32 { return int32(b.Project) }),
		column(l.Breakers, func(b *fold.BreakerRow) string { return plain(b.Origin) }),
		column(l.Breakers, func(b *fold.BreakerRow) int32 { return int32(b.Failures) }),
		column(l.Breakers, func(b *fold.BreakerRow) int64 { return int64(b.Until) }),
	)
}

// column returns one value of each row.
func column[T, V any](rows []T, value func(*T) V) []V {
	values := make([]V, len(rows))
	for i := range rows {
		values[i] = value(&rows[i])
	}
	return values
}

// without returns the rows whose id is not gone: what a layer puts and removes
// was made and ended within it.
func without[T any, ID comparable](rows []T, gone []ID, id func(*T) ID) []T {
	if len(gone) == 0 {
		return rows
	}
	ended := make(map[ID]bool, len(gone))
	for _, g := range gone {
		ended[g] = true
	}
	left := make([]T, 0, len(rows))
	for i := range rows {
		if !ended[id(&rows[i])] {
			left = append(left, rows[i])
		}
	}
	return left
}

// bodies makes the blobs of many rows in one piece of memory.
type bodies []byte

func (b *bodies) of(appendTo func([]byte) []byte) []byte {
	begin := len(*b)
	*b = appendTo(*b)
	return (*b)[begin:len(*b):len(*b)]
}

func groupArgs(l *fold.Layer) []any {
	var b bodies
	groups := without(l.Groups, l.GroupsGone, func(g *weir.Group) weir.GroupID { return g.ID })
	chunks := without(l.Chunks, l.ChunksGone, func(c *weir.Chunk) weir.GroupID { return c.Group })
	return []any{
		column(groups, func(g *weir.Group) []byte { return g.ID[:] }),
		column(groups, func(g *weir.Group) int32 { return int32(g.Project) }),
		column(groups, func(g *weir.Group) string { return plain(g.Trigger) }),
		column(groups, func(g *weir.Group) []byte { return g.KeyHash[:] }),
		column(groups, func(g *weir.Group) int64 { return int64(g.Due) }),
		column(groups, func(g *weir.Group) []byte {
			return b.of(func(to []byte) []byte { return state.AppendGroup(to, g) })
		}),
		bytesOf(l.GroupsGone),
		column(chunks, func(c *weir.Chunk) []byte { return c.Group[:] }),
		column(chunks, func(c *weir.Chunk) int32 { return int32(c.Index) }),
		column(chunks, func(c *weir.Chunk) []byte {
			return b.of(func(to []byte) []byte { return state.AppendChunk(to, c.Members) })
		}),
		bytesOf(l.ChunksGone),
	}
}

func runArgs(l *fold.Layer) []any {
	var b bodies
	runs := without(l.Runs, l.RunsGone, func(r *weir.Run) weir.RunID { return r.ID })
	return []any{
		column(runs, func(r *weir.Run) []byte { return r.ID[:] }),
		column(runs, func(r *weir.Run) int32 { return int32(r.Project) }),
		column(runs, func(r *weir.Run) int16 { return int16(r.State) }),
		column(runs, func(r *weir.Run) string { return plain(r.Pipeline) }),
		column(runs, func(r *weir.Run) string { return plain(r.Lane.Key) }),
		column(runs, func(r *weir.Run) string { return plain(r.Lane.Origin) }),
		column(runs, func(r *weir.Run) int64 { return int64(r.Due) }),
		column(runs, func(r *weir.Run) int64 { return int64(r.Queued.Due) }),
		column(runs, func(r *weir.Run) int64 { return int64(r.Queued.Seq) }),
		column(runs, func(r *weir.Run) bool { return r.Holds }),
		column(runs, func(r *weir.Run) string { return plain(r.Firing.Trigger) }),
		column(runs, func(r *weir.Run) string { return plain(state.JoinExecutions(r.Firing.Executions)) }),
		column(runs, func(r *weir.Run) []byte {
			return b.of(func(to []byte) []byte { return state.AppendRun(to, r) })
		}),
		bytesOf(l.RunsGone),
	}
}

func installedArgs(l *fold.Layer) []any {
	revisions := map[weir.ProjectID]uint64{}
	for i := range l.Installed {
		d := &l.Installed[i]
		revisions[d.Project] = max(revisions[d.Project], d.Revision)
	}
	var projects []int32
	var raised []int64
	for project, revision := range revisions {
		projects, raised = append(projects, int32(project)), append(raised, int64(revision))
	}
	return []any{
		column(l.Installed, func(d *fold.Installed) int32 { return int32(d.Project) }),
		column(l.Installed, func(d *fold.Installed) string { return string(d.Kind) }),
		column(l.Installed, func(d *fold.Installed) string { return plain(d.Name) }),
		column(l.Installed, func(d *fold.Installed) int64 { return int64(d.Revision) }),
		column(l.Installed, func(d *fold.Installed) string { return plain(d.From) }),
		column(l.Installed, func(d *fold.Installed) *string {
			if d.Body == nil {
				return nil
			}
			return new(plain(string(d.Body)))
		}),
		projects, raised,
	}
}

// takeWithin is how long a node has to take a lease that was granted to it: one
// that died is found out by then.
const takeWithin = 10 * time.Second

// leaseArgs returns the leases to write, and the runs of all that there are.
func (s *State) leaseArgs(l *fold.Layer) []any {
	var fresh []fold.LeaseRow
	for _, x := range l.Leases {
		if !x.Written {
			fresh = append(fresh, x)
		}
	}
	return []any{
		column(fresh, func(x *fold.LeaseRow) []byte { return x.Run[:] }),
		column(fresh, func(x *fold.LeaseRow) string { return plain(x.Node) }),
		column(fresh, func(x *fold.LeaseRow) int32 { return int32(x.Try) }),
		column(fresh, func(x *fold.LeaseRow) int64 { return int64(x.Began) }),
		column(fresh, func(x *fold.LeaseRow) bool { return x.Begun }),
		column(l.Leases, func(x *fold.LeaseRow) []byte { return x.Run[:] }),
		min(takeWithin, s.lease).Microseconds(),
	}
}
