package sqlite

import (
	"context"
	"database/sql/driver"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"modernc.org/sqlite"

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
	selectMigrations = `SELECT number, name, sum, version, applied_us FROM migrations ORDER BY number`
	selectBegun      = `SELECT 1 FROM sqlite_schema WHERE name = 'migrations'`
	insertMigration  = `INSERT INTO migrations (number, name, sum, version, applied_us) VALUES ($1, $2, $3, $4, $5)`
)

// migrate applies the migrations that the database lacks, each with its entry in
// one transaction.
func (s *State) migrate(ctx context.Context) error {
	all, err := known()
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

// known returns the migrations of this weir.
func known() ([]state.Migration, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, weir.E("open state", weir.Internal, "%w", err)
	}
	return state.ReadMigrations(files)
}

// Migrations returns the migrations that the state at path has, and those that it
// lacks. It changes nothing, and a server may have the state open. It fails with
// NotFound where there is no state, and as Open does where another weir made it.
func Migrations(ctx context.Context, path string) (applied []state.Applied, pending []state.Migration, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, nil, weir.E("read migrations", weir.NotFound, "there is no state at %s: %w", path, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, nil, weir.E("read migrations", weir.Invalid, "%w", err)
	}
	connector, err := sqlite.NewConnector(dsn(path, readOptions))
	if err != nil {
		return nil, nil, weir.E("read migrations", weir.Internal, "%w", err)
	}
	c, err := connect(ctx, connector)
	if err != nil {
		return nil, nil, weir.E("read migrations", weir.Unavailable, "%w", err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	begun, err := c.first(ctx, selectBegun, nil, func(row) error { return nil })
	if err == nil && begun {
		applied, err = readApplied(ctx, c)
	}
	if err != nil {
		return nil, nil, weir.E("read migrations", weir.Unavailable, "%s: %w", path, err)
	}
	all, err := known()
	if err != nil {
		return nil, nil, err
	}
	pending, err = state.Pending(all, applied)
	return applied, pending, err
}

func readApplied(ctx context.Context, c *conn) (applied []state.Applied, err error) {
	err = c.query(ctx, selectMigrations, nil, func(r row) error {
		applied = append(applied, state.Applied{Number: int(r.int(0)), Name: r.text(1), Sum: r.text(2), Version: r.text(3), At: r.time(4)})
		return nil
	})
	return applied, err
}

// migrateOne applies the first migration that is missing and reports whether
// there was one. What is missing is found under the lock of the transaction, so
// that two processes that start together do not both apply it.
func (s *State) migrateOne(ctx context.Context, all []state.Migration) (more bool, err error) {
	err = s.write(ctx, full, "migrate state", func(c *conn) error {
		if err := c.script(createMigrations); err != nil {
			return err
		}
		applied, err := readApplied(ctx, c)
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
