package node

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"weir"
	"weir/internal/fold"
)

// Runs is what state has of runs and definitions.
type Runs interface {
	Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error)
	Chunks(ctx context.Context, groups []weir.GroupID) ([]weir.Chunk, error)
	Definition(ctx context.Context, project weir.ProjectID, kind weir.DefinitionKind, name string, revision uint64) (weir.Definition, error)
	Definitions(ctx context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error)
}

// maxVersions bounds the versions of pipelines that a maker keeps.
const maxVersions = 1000

// Maker makes leases of rows, as dispatch does from what it has in memory.
type Maker struct {
	state Runs

	mu           sync.Mutex // guards all below
	versions     map[version]*weir.Pipeline
	destinations map[weir.ProjectID]map[string]weir.Destination
	applied      int // counts the calls of Applied
}

// version names a version of a pipeline.
type version struct {
	project  weir.ProjectID
	name     string
	revision uint64
}

// NewMaker makes a maker.
func NewMaker(state Runs) *Maker {
	return &Maker{state: state, versions: make(map[version]*weir.Pipeline), destinations: make(map[weir.ProjectID]map[string]weir.Destination)}
}

// Applied forgets what was in force of a project: its definitions in state are
// others from now on.
func (m *Maker) Applied(project weir.ProjectID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.destinations, project)
	m.applied++
}

// Make returns the leases of rows, in any order. Those of runs that are not in
// state any more are left out.
func (m *Maker) Make(ctx context.Context, rows []fold.LeaseRow) ([]weir.Lease, error) {
	byRun := make(map[weir.RunID]fold.LeaseRow, len(rows))
	ids := make([]weir.RunID, len(rows))
	for i, row := range rows {
		byRun[row.Run], ids[i] = row, row.Run
	}
	runs, err := m.state.Runs(ctx, ids)
	if err != nil {
		return nil, err
	}
	if err := m.fillMembers(ctx, runs); err != nil {
		return nil, err
	}
	leases := make([]weir.Lease, len(runs))
	for i, run := range runs {
		row := byRun[run.ID]
		l := weir.Lease{Run: *run, Try: row.Try, Began: row.Began}
		if l.Pipe, err = m.pipeline(ctx, run); err != nil {
			return nil, err
		}
		if l.Destinations, err = m.inForce(ctx, run.Project); err != nil {
			return nil, err
		}
		leases[i] = l
	}
	return leases, nil
}

// fillMembers gives each run all members of its batch, in batch order.
func (m *Maker) fillMembers(ctx context.Context, runs []*weir.Run) error {
	var groups []weir.GroupID
	for _, run := range runs {
		if run.Firing.Chunks > 0 {
			groups = append(groups, run.Firing.Group)
		}
	}
	chunks := make(map[weir.GroupID][]weir.Chunk)
	if len(groups) > 0 {
		stored, err := m.state.Chunks(ctx, groups)
		if err != nil {
			return err
		}
		for _, c := range stored {
			chunks[c.Group] = append(chunks[c.Group], c)
		}
	}
	for _, run := range runs {
		run.Firing.Join(chunks[run.Firing.Group])
	}
	return nil
}

// pipeline returns the version that a run keeps; nil where there is none.
func (m *Maker) pipeline(ctx context.Context, run *weir.Run) (*weir.Pipeline, error) {
	if run.Pipeline == "" {
		return &weir.Pipeline{}, nil
	}
	v := version{run.Project, run.Pipeline, run.Firing.PipeRev}
	m.mu.Lock()
	p := m.versions[v]
	m.mu.Unlock()
	if p != nil {
		return p, nil
	}
	d, err := m.state.Definition(ctx, v.project, weir.KindPipeline, v.name, v.revision)
	switch {
	case weir.CodeOf(err) == weir.NotFound || err == nil && d.Body == nil:
		return nil, nil
	case err != nil:
		return nil, err
	}
	p = &weir.Pipeline{Name: v.name}
	if err := json.Unmarshal(d.Body, p); err != nil {
		return nil, fmt.Errorf("pipeline %s: %w", v.name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.versions) >= maxVersions {
		clear(m.versions)
	}
	m.versions[v] = p
	return p, nil
}

// inForce returns what a project says of origins, and keeps it unless definitions
// were applied meanwhile. Nobody changes the map.
func (m *Maker) inForce(ctx context.Context, project weir.ProjectID) (map[string]weir.Destination, error) {
	m.mu.Lock()
	known, applied := m.destinations[project], m.applied
	m.mu.Unlock()
	if known != nil {
		return known, nil
	}
	all, _, err := m.state.Definitions(ctx, project)
	if err != nil {
		return nil, err
	}
	known = make(map[string]weir.Destination)
	for i := range all {
		if all[i].Kind != weir.KindDestination {
			continue
		}
		var d weir.Destination
		if err := json.Unmarshal(all[i].Body, &d); err != nil {
			return nil, fmt.Errorf("destination %s: %w", all[i].Name, err)
		}
		known[all[i].Name] = d
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.applied == applied {
		m.destinations[project] = known
	}
	return known, nil
}
