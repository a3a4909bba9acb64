package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"

	"weir"
)

const (
	definitionColumns = `project, kind, name, revision, body`

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
	d := weir.Definition{Kind: weir.DefinitionKind(r.text(1)), Name: r.text(2), Revision: uint64(r.int(3))}
	if body := r.text(4); body != "" {
		d.Body = json.RawMessage(body)
	}
	return d
}
