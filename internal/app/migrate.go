package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"weir"
	"weir/internal/config"
	"weir/internal/journal/chapter"
	"weir/internal/pg"
	"weir/internal/state"
	"weir/internal/state/sqlite"
)

// Migration is a step of the state's schema. One that was not applied has
// neither Version nor At.
type Migration struct {
	Name    string    `json:"name"`
	Text    string    `json:"sql,omitempty"`     // of one that was not applied, where it was asked for
	Version string    `json:"version,omitempty"` // of the weir that applied it
	At      weir.Time `json:"at,omitzero"`
}

// Migrating says how far Migrate goes: to tell what the state has and lacks, or
// with SQL also the text of that, both while a server runs; to tell it where it
// could apply it; or, with none of them, to apply it.
type Migrating struct{ Status, SQL, DryRun bool }

// Migrate applies the migrations that the state lacks, without serving, and
// returns all migrations as they were before. A data directory that a server has
// is Unavailable, one without data NotFound; a database may be in use.
func Migrate(ctx context.Context, cfg config.Config, m Migrating) (all []Migration, err error) {
	applied, pending, err := migrations(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, m := range applied {
		all = append(all, Migration{Name: m.Name, Version: m.Version, At: m.At})
	}
	for _, lacking := range pending {
		one := Migration{Name: lacking.Name}
		if m.SQL {
			one.Text = lacking.Text
		}
		all = append(all, one)
	}
	if m.Status || m.SQL {
		return all, nil
	}
	return all, migrate(ctx, cfg, len(pending) > 0 && !m.DryRun)
}

func migrations(ctx context.Context, cfg config.Config) ([]state.Applied, []state.Migration, error) {
	if !cfg.Database.IsZero() {
		return pg.Migrations(ctx, cfg.Database.Reveal())
	}
	return sqlite.Migrations(ctx, filepath.Join(cfg.Data, stateFile))
}

// migrate opens what it would migrate, and does if it shall.
func migrate(ctx context.Context, cfg config.Config, shall bool) (err error) {
	if !cfg.Database.IsZero() {
		return migrateDatabase(ctx, cfg, shall)
	}
	j, err := openJournal(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if !shall {
		return nil
	}
	s, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(cfg.Data, stateFile), DataID: j.DataID(), Began: j.Head() > 0})
	if err != nil {
		return err
	}
	return s.Close()
}

func migrateDatabase(ctx context.Context, cfg config.Config, shall bool) error {
	if !shall {
		return nil
	}
	db, err := pg.Open(ctx, pg.Options{URL: cfg.Database.Reveal(), Name: "migrate"})
	if err != nil {
		return err
	}
	db.Close()
	return nil
}

// openJournal opens the journal of a data directory that there is.
func openJournal(ctx context.Context, cfg config.Config) (*chapter.Journal, error) {
	dir := filepath.Join(cfg.Data, journalDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, weir.E("migrate", weir.NotFound, "there is no data in %s: weir serve makes it", cfg.Data)
	}
	return chapter.Open(ctx, chapter.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
}
