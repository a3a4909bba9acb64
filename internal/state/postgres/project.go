package postgres

import (
	"context"
	"encoding/json"
	"time"

	"weir"
	"weir/internal/state"
)

const (
	projectColumns = `id, name, revision, retention_us`
	selectProjects = `SELECT ` + projectColumns + ` FROM projects WHERE deleted_us = 0 ORDER BY name`
	selectProject  = `SELECT ` + projectColumns + ` FROM projects WHERE name = $1 AND deleted_us = 0`
	setRetention   = `UPDATE projects SET retention_us = $1 WHERE id = $2 AND deleted_us = 0`
	insertProject  = `INSERT INTO projects (name, revision) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING RETURNING ` + projectColumns
)

// Projects returns all projects but deleted ones, by name.
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
	return weir.Project{ID: weir.ProjectID(r.int(0)), Name: r.text(1), Revision: uint64(r.int(2)), Retention: weir.Duration(r.int(3)) * weir.Duration(time.Microsecond)}
}

// SetRetention says how long a project keeps what happened; 0 is as long as the
// server says. NotFound where there is no such project.
func (s *State) SetRetention(ctx context.Context, project weir.ProjectID, keep weir.Duration) error {
	n, err := s.exec(ctx, "set retention", setRetention, keep.Std().Microseconds(), int32(project))
	if err == nil && n == 0 {
		err = weir.E("set retention", weir.NotFound, "there is no project %d", project)
	}
	return err
}

const (
	erasureColumns = `id, project, subject, up_to, ordered_by, ordered_us, ended_us, records`
	insertErasure  = `INSERT INTO erasures (project, subject, up_to, ordered_by, ordered_us, ended_us, records)`
	addErasure     = insertErasure + ` VALUES ($1, $2, $3, $4, $5, 0, 0) RETURNING id, project`
	selectErasures = `SELECT ` + erasureColumns + ` FROM erasures ORDER BY id DESC`
	noteErasure    = `UPDATE erasures SET ended_us = $1, records = $2 WHERE id = $3`
	dropErasures   = `DELETE FROM erasures WHERE ended_us > 0 AND ended_us < $1`

	// Names have no space, so that no other project is named so.
	deleteProject = `WITH gone AS (
  UPDATE projects SET name = name || ' ' || id, deleted_us = $4 WHERE name = $1 AND deleted_us = 0 RETURNING id
), disused AS (
  DELETE FROM tokens WHERE project IN (SELECT id FROM gone)
) ` + insertErasure + ` SELECT id, '', $2::bigint, $3, $4, 0, 0 FROM gone RETURNING id, project`
)

// DeleteProject makes a project one that is not there: its name is free and its
// tokens are gone. What it had is forgotten by the erasure that it orders, with
// everything of o but the project's. NotFound where there is no project of that
// name.
func (s *State) DeleteProject(ctx context.Context, name string, o weir.Erasure) (weir.Erasure, error) {
	o.Subject = ""
	args := []any{plain(name), int64(o.UpTo), plain(o.By), int64(o.Ordered)}
	found, err := s.write(ctx, "delete project", deleteProject, args, func(r row) error {
		o.ID, o.Project = r.int(0), weir.ProjectID(r.int(1))
		return nil
	})
	if err == nil && !found {
		err = weir.E("delete project", weir.NotFound, "there is no project %q", name)
	}
	return o, err
}

// AddErasure orders that the events of a subject are forgotten, and returns the
// order with its number.
func (s *State) AddErasure(ctx context.Context, o weir.Erasure) (weir.Erasure, error) {
	args := []any{int32(o.Project), plain(o.Subject), int64(o.UpTo), plain(o.By), int64(o.Ordered)}
	_, err := s.write(ctx, "add erasure", addErasure, args, func(r row) error {
		o.ID = r.int(0)
		return nil
	})
	return o, err
}

// Erasures returns all erasures that are under way, and those that ended not
// long ago, newest first.
func (s *State) Erasures(ctx context.Context) (all []weir.Erasure, err error) {
	err = s.query(ctx, "list erasures", selectErasures, nil, func(r row) error {
		all = append(all, weir.Erasure{
			ID: r.int(0), Project: weir.ProjectID(r.int(1)), Subject: r.text(2), UpTo: weir.Seq(r.int(3)),
			By: r.text(4), Ordered: r.time(5), Ended: r.time(6), Records: r.int(7),
		})
		return nil
	})
	return all, err
}

// NoteErasure notes how far an erasure has come and, where o.Ended is not none,
// that it has ended.
func (s *State) NoteErasure(ctx context.Context, o weir.Erasure) error {
	_, err := s.exec(ctx, "note erasure", noteErasure, int64(o.Ended), o.Records, o.ID)
	return err
}

// DropErasures forgets erasures that ended before a time.
func (s *State) DropErasures(ctx context.Context, before weir.Time) error {
	_, err := s.exec(ctx, "drop erasures", dropErasures, int64(before))
	return err
}

// The rows of a project but for its own, by table, a thousand at most.
var dropRows = [...]string{
	`DELETE FROM definitions WHERE project = $1 AND (kind, name, revision) IN (
  SELECT kind, name, revision FROM definitions WHERE project = $1 LIMIT 1000)`,
	`DELETE FROM refusals WHERE project = $1 AND n IN (SELECT n FROM refusals WHERE project = $1 LIMIT 1000)`,
	`DELETE FROM counters WHERE project = $1`,
	`DELETE FROM refusal_counts WHERE project = $1`,
	`DELETE FROM secrets WHERE project = $1`,
	`DELETE FROM tokens WHERE project = $1`,
}

// DropProject forgets what state has of a deleted project that has no group and
// no run any more, in steps: while it reports more, it is to be called again.
func (s *State) DropProject(ctx context.Context, project weir.ProjectID) (more bool, err error) {
	for _, text := range dropRows {
		n, err := s.exec(ctx, "drop project", text, int32(project))
		if err != nil {
			return false, err
		}
		more = more || n >= 1000
	}
	return more, nil
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

const (
	listVersions = `SELECT project, kind, name, revision, body IS NULL FROM definitions ORDER BY project, kind, name, revision`
	dropVersions = `DELETE FROM definitions AS d USING unnest($1::int[], $2::text[], $3::text[], $4::bigint[]) AS v (project, kind, name, revision)
WHERE d.project = v.project AND d.kind = v.kind AND d.name = v.name AND d.revision < v.revision`
)

// Versions returns all versions of all definitions that are kept, by project,
// kind, name and revision.
func (s *State) Versions(ctx context.Context) (all []state.Version, err error) {
	err = s.query(ctx, "list versions", listVersions, nil, func(r row) error {
		all = append(all, state.Version{
			Project: weir.ProjectID(r.int(0)), Kind: weir.DefinitionKind(r.text(1)), Name: r.text(2),
			Revision: uint64(r.int(3)), Deletes: r.bool(4),
		})
		return nil
	})
	return all, err
}

// DropVersions forgets the versions of each name that are older than the one
// given.
func (s *State) DropVersions(ctx context.Context, olderThan []state.Version) error {
	_, err := s.exec(ctx, "drop versions", dropVersions,
		column(olderThan, func(v *state.Version) int32 { return int32(v.Project) }),
		column(olderThan, func(v *state.Version) string { return string(v.Kind) }),
		column(olderThan, func(v *state.Version) string { return plain(v.Name) }),
		column(olderThan, func(v *state.Version) int64 { return int64(v.Revision) }))
	return err
}
