package postgres

import (
	"context"
	"encoding/json"

	"weir"
)

const (
	projectColumns = `id, name, revision`
	selectProjects = `SELECT ` + projectColumns + ` FROM projects ORDER BY name`
	selectProject  = `SELECT ` + projectColumns + ` FROM projects WHERE name = $1`
	insertProject  = `INSERT INTO projects (name, revision) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING RETURNING ` + projectColumns
)

// Projects returns all projects by name.
func (s *State) Projects(ctx context.Context) (all []weir.Project, err error) {
	err = s.query(ctx, "list projects", selectProjects, nil, func(r row) error {
		all = append(all, scanProject(r))
		return nil
	})
	return all, err
}

// ProjectByName returns a project; NotFound where there is none of that name.
func (s *State) ProjectByName(ctx context.Context, name string) (p weir.Project, err error) {
	found, err := s.first(ctx, "find project", selectProject, []any{plain(name)}, func(r row) error {
		p = scanProject(r)
		return nil
	})
	if err == nil && !found {
		err = weir.E("find project", weir.NotFound, "there is no project %q", name)
	}
	return p, err
}

// CreateProject makes a project with a number that was never used; Conflict
// where the name is taken.
func (s *State) CreateProject(ctx context.Context, name string) (p weir.Project, err error) {
	made, err := s.write(ctx, "create project", insertProject, []any{plain(name)}, func(r row) error {
		p = scanProject(r)
		return nil
	})
	if err == nil && !made {
		err = weir.E("create project", weir.Conflict, "there is a project %q already", name)
	}
	return p, err
}

func scanProject(r row) weir.Project {
	return weir.Project{ID: weir.ProjectID(r.int(0)), Name: r.text(1), Revision: uint64(r.int(2))}
}

const (
	selectMeta = `SELECT value FROM meta WHERE name = $1`
	putMeta    = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// Meta returns what the server noted under a name; NotFound where there is
// nothing.
func (s *State) Meta(ctx context.Context, name string) (value []byte, err error) {
	found, err := s.first(ctx, "read meta", selectMeta, []any{plain(name)}, func(r row) error {
		value = append([]byte{}, r[0]...)
		return nil
	})
	if err == nil && !found {
		err = weir.E("read meta", weir.NotFound, "nothing is noted under %q", name)
	}
	return value, err
}

// PutMeta notes a value under a name.
func (s *State) PutMeta(ctx context.Context, name string, value []byte) error {
	_, err := s.exec(ctx, "put meta", putMeta, plain(name), append([]byte{}, value...))
	return err
}

const (
	definitionColumns = `project, kind, name, revision, applied_from, body`

	selectRevision = `SELECT revision FROM projects WHERE id = $1`

	// The newest version of each name, where it does not delete.
	selectInForce = `SELECT ` + definitionColumns + ` FROM definitions AS d
WHERE project = $1 AND body IS NOT NULL AND revision = (
  SELECT max(revision) FROM definitions WHERE project = d.project AND kind = d.kind AND name = d.name)
ORDER BY kind, name`

	selectVersion = `SELECT ` + definitionColumns + ` FROM definitions
WHERE project = $1 AND kind = $2 AND name = $3 AND revision = $4`
)

// Definitions returns the definitions of a project that are in force, by kind
// and name, and the project's revision; NotFound where there is no such project.
func (s *State) Definitions(ctx context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error) {
	var (
		inForce  []weir.Definition
		revision uint64
	)
	args := []any{int32(project)}
	err := s.snapshot(ctx, "read definitions", func(q *reading) error {
		found := false
		err := q.each(ctx, selectRevision, args, func(r row) error {
			found, revision = true, uint64(r.int(0))
			return nil
		})
		if err != nil {
			return err
		}
		if !found {
			return weir.E("read definitions", weir.NotFound, "there is no project %d", project)
		}
		return q.each(ctx, selectInForce, args, func(r row) error {
			inForce = append(inForce, scanDefinition(r))
			return nil
		})
	})
	if err != nil {
		return nil, 0, err
	}
	return inForce, revision, nil
}

// Definition returns the version of a definition that a revision installed,
// which has no body where it was deleted by it; NotFound where there is none.
func (s *State) Definition(
	ctx context.Context, project weir.ProjectID, kind weir.DefinitionKind, name string, revision uint64,
) (d weir.Definition, err error) {
	args := []any{int32(project), string(kind), plain(name), int64(revision)}
	found, err := s.first(ctx, "read definition", selectVersion, args, func(r row) error {
		d = scanDefinition(r)
		return nil
	})
	if err == nil && !found {
		err = weir.E("read definition", weir.NotFound, "there is no %s %q of revision %d", kind, name, revision)
	}
	return d, err
}

func scanDefinition(r row) weir.Definition {
	d := weir.Definition{Kind: weir.DefinitionKind(r.text(1)), Name: r.text(2), Revision: uint64(r.int(3)), From: r.text(4)}
	if body := r.text(5); body != "" {
		d.Body = json.RawMessage(body)
	}
	return d
}
