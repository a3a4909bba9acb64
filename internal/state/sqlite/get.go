package sqlite

import (
	"bytes"
	"context"
	"slices"

	"weir"
	"weir/internal/state"
)

// The columns of live state, in the order in which scans and flushes know them.
const (
	groupColumns   = state.GroupColumns
	runColumns     = state.RunColumns
	chunkColumns   = `grp, idx, members`
	leaseColumns   = `run, node, try, began_us`
	breakerColumns = `project, origin, failures, until_us`
)

var (
	groupsByID    = looks(`SELECT `+groupColumns+` FROM groups WHERE id`, "")
	runsByID      = looks(`SELECT `+runColumns+` FROM runs WHERE id`, "")
	chunksByGroup = looks(`SELECT `+chunkColumns+` FROM chunks WHERE grp`, " ORDER BY grp, idx")
)

// Groups returns the open groups with the given ids, in any order. Those that
// are not there are left out.
func (s *State) Groups(ctx context.Context, ids []weir.GroupID) ([]*weir.Group, error) {
	groups := make([]*weir.Group, 0, len(ids))
	err := s.read(ctx, "read groups", func(c *conn) error {
		return c.byIDs(ctx, groupsByID, sorted(ids), func(r row) error {
			g, err := scanGroup(r)
			groups = append(groups, g)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return groups, nil
}

// Runs returns the runs in state with the given ids, in any order. Those that
// are not there are left out.
func (s *State) Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error) {
	runs := make([]*weir.Run, 0, len(ids))
	err := s.read(ctx, "read runs", func(c *conn) error {
		return c.byIDs(ctx, runsByID, sorted(ids), func(r row) error {
			run, err := scanRun(r)
			runs = append(runs, run)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return runs, nil
}

// Chunks returns the full chunks of members that are kept under the given ids,
// in order of group and index.
func (s *State) Chunks(ctx context.Context, groups []weir.GroupID) ([]weir.Chunk, error) {
	var chunks []weir.Chunk
	err := s.read(ctx, "read chunks", func(c *conn) error {
		return c.byIDs(ctx, chunksByGroup, sorted(groups), func(r row) error {
			group, err := r.id(0)
			if err != nil {
				return err
			}
			members, err := state.DecodeChunk(r.blob(2))
			chunks = append(chunks, weir.Chunk{Group: group, Index: int(r.int(1)), Members: members})
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return chunks, nil
}

// sorted returns the ids in order, each once: pages are read in order, and an
// id that is asked for twice is answered once.
func sorted[ID ~[16]byte](ids []ID) [][]byte {
	list := make([][]byte, len(ids))
	for i := range ids {
		list[i] = ids[i][:]
	}
	slices.SortFunc(list, bytes.Compare)
	return slices.CompactFunc(list, bytes.Equal)
}

func scanGroup(r row) (*weir.Group, error) {
	g := &weir.Group{Project: weir.ProjectID(r.int(1)), Trigger: r.text(2), Due: r.time(4)}
	id, err := r.id(0)
	if err != nil {
		return nil, err
	}
	hash, err := r.id(3)
	if err != nil {
		return nil, err
	}
	g.ID, g.KeyHash = id, hash
	return g, state.DecodeGroup(r.blob(5), g)
}

func scanRun(r row) (*weir.Run, error) {
	id, err := r.id(0)
	if err != nil {
		return nil, err
	}
	run := &weir.Run{ID: id, Project: weir.ProjectID(r.int(1)), State: weir.RunState(r.int(2)), Pipeline: r.text(3), Due: r.time(6)}
	run.Lane = weir.Lane{Project: run.Project, Pipeline: run.Pipeline, Key: r.text(4), Origin: r.text(5)}
	run.Queued, run.Holds = r.turn(7), r.int(9) == 1
	run.Firing.Trigger = r.text(10)
	run.Firing.Executions = state.SplitExecutions(r.text(11))
	return run, state.DecodeRun(r.blob(12), run)
}
