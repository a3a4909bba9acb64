package pg

import (
	"context"
	"embed"
	"io/fs"
	"runtime/debug"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"weir"
	"weir/internal/state"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	// In one statement, because another node may be making the tables.
	selectBegun = `SELECT to_regclass('migrations') IS NOT NULL, coalesce((SELECT min(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')), '')`
	createMigrations = `CREATE TABLE IF NOT EXISTS migrations (
  number     integer PRIMARY KEY CHECK (number > 0),
  name       text NOT NULL,
  sum        text NOT NULL,
  version    text NOT NULL,
  applied_us bigint NOT NULL
)`
	selectMigrations = `SELECT number, name, sum, version, applied_us FROM migrations ORDER BY number`
	insertMigration  = `INSERT INTO migrations (number, name, sum, version, applied_us)
VALUES ($1, $2, $3, $4, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)`
	leastPool = 4 // connections

	// Nodes that start together apply each migration once. It may take its time.
	lockMigrations = `SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(1465149778, 1)`
)

// Migrations returns the migrations that the database has, and those that it
// lacks. It changes nothing. It fails as Open does where a newer weir made it.
func Migrations(ctx context.Context, url string) (applied []state.Applied, pending []state.Migration, err error) {
	config, err := poolConfig(url)
	if err != nil {
		return nil, nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, Failure("read migrations", err)
	}
	defer pool.Close()
	return (&DB{Pool: pool}).migrations(ctx)
}

func (db *DB) migrations(ctx context.Context) (applied []state.Applied, pending []state.Migration, err error) {
	all, err := known()
	if err != nil {
		return nil, nil, err
	}
	var begun bool
	var table string
	if err := db.QueryRow(ctx, selectBegun).Scan(&begun, &table); err != nil {
		return nil, nil, Failure("read migrations", err)
	}
	switch {
	case begun:
		applied, err = readApplied(ctx, db)
		if CodeOf(err) == "42703" { // there is no such column
			err = strange("migrations")
		}
		if err != nil {
			return nil, nil, Failure("read migrations", err)
		}
	case table != "":
		return nil, nil, strange(table)
	}
	pending, err = state.Pending(all, applied)
	return applied, pending, err
}

// strange refuses a database in which something else keeps its tables.
func strange(table string) error {
	return weir.E("open database", weir.Conflict, "the database has a table %s that is not weir's: give weir an empty database of its own", table)
}

// migrate applies the migrations that the database lacks. Where it lacks none, the
// user needs no right to.
func (db *DB) migrate(ctx context.Context) error {
	_, pending, err := db.migrations(ctx)
	for more := err == nil && len(pending) > 0; more; {
		err = db.Retry(ctx, "migrate the database", func() error {
			return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
				more, err = db.migrateOne(ctx, tx)
				return err
			})
		})
		more = more && err == nil
	}
	return err
}

// migrateOne applies the first migration that is missing and reports whether
// there was one.
func (db *DB) migrateOne(ctx context.Context, tx pgx.Tx) (more bool, err error) {
	if _, err := tx.Exec(ctx, lockMigrations, pgx.QueryExecModeSimpleProtocol); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, createMigrations); err != nil {
		return false, err
	}
	applied, err := readApplied(ctx, tx)
	if err != nil {
		return false, err
	}
	all, err := known()
	if err != nil {
		return false, err
	}
	pending, err := state.Pending(all, applied)
	if err != nil || len(pending) == 0 {
		return false, err
	}
	m := pending[0]
	if _, err := tx.Exec(ctx, m.Text, pgx.QueryExecModeSimpleProtocol); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, insertMigration, m.Number, m.Name, m.Sum, version()); err != nil {
		return false, err
	}
	db.log.Info("schema migrated", "name", m.Name)
	return true, nil
}

// Alone runs f while no other node runs its own: for what only the first one is to
// make. It must not take long: a client is not silent for more than 5 s.
func (db *DB) Alone(ctx context.Context, f func(context.Context) error) error {
	// One connection stands by while f uses others.
	if most := db.Config().MaxConns; most < leastPool {
		return weir.E("open database", weir.Invalid, "pool_max_conns is %d, and a node needs %d or more", most, leastPool).WithField("database")
	}
	return Failure("begin", pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(1465149778, 2)`); err != nil {
			return err
		}
		return f(ctx)
	}))
}

// known returns the migrations of this weir.
func known() ([]state.Migration, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, weir.E("read migrations", weir.Internal, "%w", err)
	}
	return state.ReadMigrations(files)
}

type querier interface {
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
}

func readApplied(ctx context.Context, q querier) ([]state.Applied, error) {
	rows, err := q.Query(ctx, selectMigrations)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a state.Applied, err error) {
		err = row.Scan(&a.Number, &a.Name, &a.Sum, &a.Version, &a.At)
		return a, err
	})
}

// version is that of the running weir, as its build recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
