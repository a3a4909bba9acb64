package postgres

import (
	"context"

	"weir"
	"weir/internal/state"
)

// The columns of live state, in the order in which scans and flushes know them.
const (
	groupColumns   = state.GroupColumns
	runColumns     = state.RunColumns
	chunkColumns   = `grp, idx, members`
	leaseColumns   = `run, node, try, began_us, begun`
	breakerColumns = `project, origin, failures, until_us`
)

const (
	groupsByID    = `SELECT ` + groupColumns + ` FROM groups WHERE shard = $1 AND id = ANY ($2::bytea[])`
	runsByID      = `SELECT ` + runColumns + ` FROM runs WHERE shard = $1 AND id = ANY ($2::bytea[])`
	chunksByGroup = `SELECT ` + chunkColumns + ` FROM chunks WHERE shard = $1 AND grp = ANY ($2::bytea[]) ORDER BY grp, idx`
)

// Groups returns the open groups with the given ids, in any order. Those that
// are not there are left out.
func (s *State) Groups(ctx context.Context, ids []weir.GroupID) ([]*weir.Group, error) {
	return byIDs(ctx, s, lookup{"read groups", groupsByID}, ids, scanGroup)
}

// Runs returns the runs in state with the given ids, in any order. Those that
// are not there are left out.
func (s *State) Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error) {
	return byIDs(ctx, s, lookup{"read runs", runsByID}, ids, scanRun)
}

// Chunks returns the full chunks of members that are kept under the given ids,
// in order of group and index.
func (s *State) Chunks(ctx context.Context, groups []weir.GroupID) ([]weir.Chunk, error) {
	return byIDs(ctx, s, lookup{"read chunks", chunksByGroup}, groups, scanChunk)
}

// lookup is a query by ids, and what it is for.
type lookup struct{ op, text string }

// byIDs returns what q finds under ids, each once. Of none it asks nothing.
func byIDs[ID ~[16]byte, T any](ctx context.Context, s *State, q lookup, ids []ID, scan func(row) (T, error)) ([]T, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found := make([]T, 0, len(ids))
	err := s.query(ctx, q.op, q.text, []any{int16(s.shard), bytesOf(ids)}, func(r row) error {
		v, err := scan(r)
		found = append(found, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func scanGroup(r row) (*weir.Group, error) {
	id, err := r.id(0)
	if err != nil {
		return nil, err
	}
	hash, err := r.id(3)
	if err != nil {
		return nil, err
	}
	g := &weir.Group{ID: id, Project: weir.ProjectID(r.int(1)), Trigger: r.text(2), KeyHash: hash, Due: r.time(4)}
	return g, state.DecodeGroup(r[5], g)
}

func scanRun(r row) (*weir.Run, error) {
	id, err := r.id(0)
	if err != nil {
		return nil, err
	}
	run := &weir.Run{ID: id, Project: weir.ProjectID(r.int(1)), State: weir.RunState(r.int(2)), Pipeline: r.text(3), Due: r.time(6)}
	run.Lane = weir.Lane{Project: run.Project, Pipeline: run.Pipeline, Key: r.text(4), Origin: r.text(5)}
	run.Queued, run.Holds = r.turn(7), r.bool(9)
	run.Firing.Trigger = r.text(10)
	run.Firing.Executions = state.SplitExecutions(r.text(11))
	return run, state.DecodeRun(r[12], run)
}

func scanChunk(r row) (weir.Chunk, error) {
	group, err := r.id(0)
	if err != nil {
		return weir.Chunk{}, err
	}
	members, err := state.DecodeChunk(r[2])
	return weir.Chunk{Group: group, Index: int(r.int(1)), Members: members}, err
}
