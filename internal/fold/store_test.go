package fold_test

import (
	"fmt"
	"slices"

	"weir"
	"weir/internal/fold"
)

// store is state in memory: what a flush wrote, and nothing else. It copies all
// that it takes and gives, and is strict about what may be written.
type store struct {
	cursor   weir.Seq
	at       weir.Time
	groups   map[weir.GroupID]weir.Group
	chunks   map[weir.GroupID]map[int][]weir.Member
	runs     map[weir.RunID]weir.Run
	versions []fold.Installed
	counters map[naiveCounter]int64
	rows     int // written in all, but for counters
}

func newStore() *store {
	return &store{
		groups:   make(map[weir.GroupID]weir.Group),
		chunks:   make(map[weir.GroupID]map[int][]weir.Member),
		runs:     make(map[weir.RunID]weir.Run),
		counters: make(map[naiveCounter]int64),
	}
}

// flush writes a layer. It is an error to write what is there, or to remove
// what is not: the fold knows what state holds.
func (s *store) flush(l *fold.Layer) error {
	if l.From != s.cursor {
		return fmt.Errorf("the layer begins at %d, and the cursor is %d", l.From, s.cursor)
	}
	if err := s.remove(l); err != nil {
		return err
	}
	for _, g := range l.Groups {
		s.groups[g.ID] = copyGroup(g)
	}
	for _, r := range l.Runs {
		s.runs[r.ID] = copyRun(r)
	}
	for _, c := range l.Chunks {
		if s.chunks[c.Group] == nil {
			s.chunks[c.Group] = make(map[int][]weir.Member)
		}
		if _, ok := s.chunks[c.Group][c.Index]; ok {
			return fmt.Errorf("chunk %d of %s is written twice", c.Index, c.Group)
		}
		s.chunks[c.Group][c.Index] = slices.Clone(c.Members)
	}
	for _, c := range l.Counters {
		s.counters[naiveCounter{c.Project, c.Trigger, c.What}] += c.N
	}
	s.versions = append(s.versions, l.Installed...)
	s.rows += len(l.Groups) + len(l.GroupsGone) + len(l.Runs) + len(l.RunsGone) + len(l.Chunks) + len(l.ChunksGone)
	s.cursor, s.at = l.To, l.At
	return nil
}

func (s *store) remove(l *fold.Layer) error {
	for _, id := range l.GroupsGone {
		if _, ok := s.groups[id]; !ok {
			return fmt.Errorf("removes %s, which was never written", id)
		}
		delete(s.groups, id)
	}
	for _, id := range l.RunsGone {
		if _, ok := s.runs[id]; !ok {
			return fmt.Errorf("removes %s, which was never written", id)
		}
		delete(s.runs, id)
	}
	for _, id := range l.ChunksGone {
		if _, ok := s.chunks[id]; !ok {
			return fmt.Errorf("removes the chunks of %s, which were never written", id)
		}
		delete(s.chunks, id)
	}
	return nil
}

func (s *store) checkpoint() *fold.Checkpoint {
	cp := &fold.Checkpoint{Cursor: s.cursor, At: s.at, Versions: slices.Clone(s.versions)}
	for _, g := range s.groups {
		cp.Groups = append(cp.Groups, fold.GroupRef{
			ID: g.ID, KeyHash: g.KeyHash, Due: g.Due, Project: g.Project, Trigger: g.Trigger,
		})
	}
	for _, r := range s.runs {
		cp.Runs = append(cp.Runs, fold.RunRef{ID: r.ID, State: r.State, Due: r.Due, Lane: &r.Lane, Queued: r.Queued, Holds: r.Holds})
	}
	return cp
}

// load answers what a plan asks for. Everything must be there, and be asked for
// once.
func (s *store) load(needs fold.Needs) (groups []*weir.Group, runs []*weir.Run, err error) {
	seen := map[[16]byte]bool{}
	for _, id := range needs.Groups {
		g, ok := s.groups[id]
		if !ok || seen[id] {
			return nil, nil, fmt.Errorf("asks for %s: there %v, asked before %v", id, ok, seen[id])
		}
		seen[id] = true
		g = copyGroup(g)
		groups = append(groups, &g)
	}
	for _, id := range needs.Runs {
		r, ok := s.runs[id]
		if !ok || seen[id] {
			return nil, nil, fmt.Errorf("asks for %s: there %v, asked before %v", id, ok, seen[id])
		}
		seen[id] = true
		r = copyRun(r)
		runs = append(runs, &r)
	}
	return groups, runs, nil
}

// chunksOf returns the stored chunks of a group or of its run.
func (s *store) chunksOf(group weir.GroupID) []weir.Chunk {
	var out []weir.Chunk
	for index, members := range s.chunks[group] {
		out = append(out, weir.Chunk{Group: group, Index: index, Members: slices.Clone(members)})
	}
	return out
}

func copyGroup(g weir.Group) weir.Group {
	g.Have, g.Executions, g.Tail = slices.Clone(g.Have), slices.Clone(g.Executions), slices.Clone(g.Tail)
	return g
}

func copyRun(r weir.Run) weir.Run {
	r.Firing.Executions, r.Firing.Members = slices.Clone(r.Firing.Executions), slices.Clone(r.Firing.Members)
	r.Done = slices.Clone(r.Done)
	return r
}
