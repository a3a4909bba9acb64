package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"time"

	"weir"
)

const (
	projectColumns = `id, name, revision, retention_us`
	selectProjects = `SELECT ` + projectColumns + ` FROM projects WHERE deleted_us = 0 ORDER BY name`
	selectProject  = `SELECT ` + projectColumns + ` FROM projects WHERE name = $1 AND deleted_us = 0`
	insertProject  = `INSERT INTO projects (name, revision) VALUES ($1, 0)`
	setRetention   = `UPDATE projects SET retention_us = $1 WHERE id = $2 AND deleted_us = 0`

	// Names have no space, so that no other project is named so.
	buryProject   = `UPDATE projects SET name = name || ' ' || id, deleted_us = $1 WHERE id = $2`
	disuseProject = `DELETE FROM tokens WHERE project = $1`
)

// Projects returns all projects but deleted ones, by name.
func (s *State) Projects(ctx context.Context) (all []weir.Project, err error) {
	err = s.read(ctx, "list projects", func(c *conn) error {
		all, err = projects(ctx, c)
		return err
	})
	return all, err
}

func projects(ctx context.Context, c *conn) (all []weir.Project, err error) {
	err = c.query(ctx, selectProjects, nil, func(r row) error {
		all = append(all, scanProject(r))
		return nil
	})
	return all, err
}

// ProjectByName returns a project; NotFound where there is none of that name.
func (s *State) ProjectByName(ctx context.Context, name string) (p weir.Project, err error) {
	err = s.read(ctx, "find project", func(c *conn) error {
		found, err := findProject(ctx, c, name, &p)
		if err == nil && !found {
			err = weir.E("", weir.NotFound, "there is no project %q", name)
		}
		return err
	})
	return p, err
}

// CreateProject makes a project with a number that was never used; Conflict
// where the name is taken.
func (s *State) CreateProject(ctx context.Context, name string) (p weir.Project, err error) {
	err = s.write(ctx, full, "create project", func(c *conn) error {
		found, err := findProject(ctx, c, name, &p)
		if err != nil {
			return err
		}
		if found {
			return weir.E("", weir.Conflict, "there is a project %q already", name)
		}
		if _, err := c.exec(ctx, insertProject, name); err != nil {
			return err
		}
		_, err = findProject(ctx, c, name, &p)
		return err
	})
	if err != nil {
		return weir.Project{}, err
	}
	return p, nil
}

// SetRetention says how long a project keeps what happened, durably; 0 is as long
// as the server says. NotFound where there is no such project.
func (s *State) SetRetention(ctx context.Context, project weir.ProjectID, keep weir.Duration) error {
	return s.write(ctx, full, "set retention", func(c *conn) error {
		n, err := c.exec(ctx, setRetention, keep.Std().Microseconds(), int64(project))
		if err == nil && n == 0 {
			err = weir.E("", weir.NotFound, "there is no project %d", project)
		}
		return err
	})
}

// DeleteProject makes a project one that is not there, durably: its name is free
// and its tokens are gone. What it had is forgotten by the erasure that it
// orders, with everything of o but the project's. NotFound where there is no
// project of that name.
func (s *State) DeleteProject(ctx context.Context, name string, o weir.Erasure) (weir.Erasure, error) {
	err := s.write(ctx, full, "delete project", func(c *conn) error {
		var p weir.Project
		found, err := findProject(ctx, c, name, &p)
		if err != nil {
			return err
		}
		if !found {
			return weir.E("", weir.NotFound, "there is no project %q", name)
		}
		o.Project, o.Subject = p.ID, ""
		if _, err := c.exec(ctx, buryProject, int64(o.Ordered), int64(p.ID)); err != nil {
			return err
		}
		if _, err := c.exec(ctx, disuseProject, int64(p.ID)); err != nil {
			return err
		}
		return addErasure(ctx, c, &o)
	})
	return o, err
}

func findProject(ctx context.Context, c *conn, name string, p *weir.Project) (bool, error) {
	return c.first(ctx, selectProject, []driver.Value{name}, func(r row) error {
		*p = scanProject(r)
		return nil
	})
}

func scanProject(r row) weir.Project {
	return weir.Project{ID: weir.ProjectID(r.int(0)), Name: r.text(1), Revision: uint64(r.int(2)), Retention: weir.Duration(r.int(3)) * weir.Duration(time.Microsecond)}
}

const (
	selectMeta = `SELECT value FROM meta WHERE name = $1`
	putMeta    = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// Meta returns what the server noted under a name; NotFound where there is
// nothing.
func (s *State) Meta(ctx context.Context, name string) (value []byte, err error) {
	err = s.read(ctx, "read meta", func(c *conn) error {
		found, err := c.first(ctx, selectMeta, []driver.Value{name}, func(r row) error {
			value = r.blob(0)
			return nil
		})
		if err == nil && !found {
			err = weir.E("", weir.NotFound, "nothing is noted under %q", name)
		}
		return err
	})
	return value, err
}

// PutMeta notes a value under a name, durably.
func (s *State) PutMeta(ctx context.Context, name string, value []byte) error {
	return s.write(ctx, full, "put meta", func(c *conn) error {
		_, err := c.exec(ctx, putMeta, name, append([]byte{}, value...))
		return err
	})
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
	args := []driver.Value{int64(project)}
	err := s.read(ctx, "read definitions", func(c *conn) error {
		found, err := c.first(ctx, selectRevision, args, func(r row) error {
			revision = uint64(r.int(0))
			return nil
		})
		if err != nil {
			return err
		}
		if !found {
			return weir.E("", weir.NotFound, "there is no project %d", project)
		}
		return c.query(ctx, selectInForce, args, func(r row) error {
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
	args := []driver.Value{int64(project), string(kind), name, int64(revision)}
	err = s.read(ctx, "read definition", func(c *conn) error {
		found, err := c.first(ctx, selectVersion, args, func(r row) error {
			d = scanDefinition(r)
			return nil
		})
		if err == nil && !found {
			err = weir.E("", weir.NotFound, "there is no %s %q of revision %d", kind, name, revision)
		}
		return err
	})
	return d, err
}

func scanDefinition(r row) weir.Definition {
	d := weir.Definition{Kind: weir.DefinitionKind(r.text(1)), Name: r.text(2), Revision: uint64(r.int(3)), From: r.text(4)}
	if body := r.text(5); body != "" {
		d.Body = json.RawMessage(body)
	}
	return d
}
