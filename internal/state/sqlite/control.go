package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"weir"
	"weir/internal/state"
)

const (
	projectColumns = `id, name, revision`
	selectProjects = `SELECT ` + projectColumns + ` FROM projects ORDER BY name`
	selectProject  = `SELECT ` + projectColumns + ` FROM projects WHERE name = $1`
	insertProject  = `INSERT INTO projects (name, revision) VALUES ($1, 0)`
)

// Projects returns all projects by name.
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

func findProject(ctx context.Context, c *conn, name string, p *weir.Project) (bool, error) {
	return c.first(ctx, selectProject, []driver.Value{name}, func(r row) error {
		*p = scanProject(r)
		return nil
	})
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
	putSecret = `INSERT INTO secrets (project, name, sealed, updated_us) VALUES ($1, $2, $3, $4)
ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed, updated_us = excluded.updated_us`
	selectSecret  = `SELECT sealed FROM secrets WHERE project = $1 AND name = $2`
	selectSecrets = `SELECT name, updated_us FROM secrets WHERE project = $1 ORDER BY name`
	deleteSecret  = `DELETE FROM secrets WHERE project = $1 AND name = $2`
)

// PutSecret stores a sealed value, durably, in place of the one before.
func (s *State) PutSecret(ctx context.Context, project weir.ProjectID, name string, sealed []byte) error {
	return s.write(ctx, full, "put secret", func(c *conn) error {
		_, err := c.exec(ctx, putSecret, int64(project), name, sealed, time.Now().UnixMicro())
		return err
	})
}

// FindSecret returns a sealed value, nil where there is none.
func (s *State) FindSecret(ctx context.Context, project weir.ProjectID, name string) (sealed []byte, err error) {
	err = s.read(ctx, "find secret", func(c *conn) error {
		_, err := c.first(ctx, selectSecret, []driver.Value{int64(project), name}, func(r row) error {
			sealed = r.blob(0)
			return nil
		})
		return err
	})
	return sealed, err
}

// Secrets tells of a project's secrets, by name.
func (s *State) Secrets(ctx context.Context, project weir.ProjectID) (all []state.Secret, err error) {
	err = s.read(ctx, "list secrets", func(c *conn) error {
		return c.query(ctx, selectSecrets, []driver.Value{int64(project)}, func(r row) error {
			all = append(all, state.Secret{Name: r.text(0), Updated: r.time(1)})
			return nil
		})
	})
	return all, err
}

// SecretNames returns the names of a project's secrets, sorted.
func (s *State) SecretNames(ctx context.Context, project weir.ProjectID) ([]string, error) {
	all, err := s.Secrets(ctx, project)
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return names, err
}

// DeleteSecret removes a secret, durably; NotFound where there is none.
func (s *State) DeleteSecret(ctx context.Context, project weir.ProjectID, name string) error {
	return s.write(ctx, full, "delete secret", func(c *conn) error {
		n, err := c.exec(ctx, deleteSecret, int64(project), name)
		if err == nil && n == 0 {
			err = weir.E("", weir.NotFound, "there is no secret %q", name)
		}
		return err
	})
}
