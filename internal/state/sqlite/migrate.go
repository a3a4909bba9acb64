package sqlite

import (
	"context"
	"database/sql/driver"
	"embed"
	"io/fs"
	"runtime/debug"
	"time"

	"weir"
	"weir/internal/state"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	createMigrations = `CREATE TABLE IF NOT EXISTS migrations (
  number     INTEGER PRIMARY KEY CHECK (number > 0),
  name       TEXT NOT NULL,
  sum        TEXT NOT NULL,
  version    TEXT NOT NULL,
  applied_us INTEGER NOT NULL
) STRICT`
	selectMigrations = `SELECT number, name, sum, version FROM migrations ORDER BY number`
	insertMigration  = `INSERT INTO migrations (number, name, sum, version, applied_us) VALUES ($1, $2, $3, $4, $5)`
)

// migrate applies the migrations that the database lacks, each with its entry in
// one transaction.
func (s *State) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return weir.E("open state", weir.Internal, "%w", err)
	}
	all, err := state.ReadMigrations(files)
	if err != nil {
		return err
	}
	for {
		more, err := s.migrateOne(ctx, all)
		if err != nil || !more {
			return err
		}
	}
}

// migrateOne applies the first migration that is missing and reports whether
// there was one. What is missing is found under the lock of the transaction, so
// that two processes that start together do not both apply it.
func (s *State) migrateOne(ctx context.Context, all []state.Migration) (more bool, err error) {
	err = s.write(ctx, full, "migrate state", func(c *conn) error {
		if err := c.script(createMigrations); err != nil {
			return err
		}
		var applied []state.Applied
		err := c.query(ctx, selectMigrations, nil, func(r row) error {
			applied = append(applied, state.Applied{Number: int(r.int(0)), Name: r.text(1), Sum: r.text(2), Version: r.text(3)})
			return nil
		})
		if err != nil {
			return err
		}
		pending, err := state.Pending(all, applied)
		if err != nil || len(pending) == 0 {
			return err
		}
		m := pending[0]
		if err := c.script(m.Text); err != nil {
			return weir.E("migrate state", weir.Internal, "%s: %w", m.Name, err)
		}
		args := []driver.Value{int64(m.Number), m.Name, m.Sum, version(), time.Now().UnixMicro()}
		if _, err := c.exec(ctx, insertMigration, args...); err != nil {
			return err
		}
		more = true
		s.log.Info("schema migrated", "name", m.Name)
		return nil
	})
	return more, err
}

// version is that of the running weir, as its build recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
