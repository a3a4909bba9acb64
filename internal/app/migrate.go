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

// Migrate applies the migrations that the state in the data directory lacks,
// without serving, and returns all migrations as they were before. A directory
// that a server has is Unavailable, one without data NotFound.
func Migrate(ctx context.Context, cfg config.Config, m Migrating) (all []Migration, err error) {
	path := filepath.Join(cfg.Data, stateFile)
	applied, pending, err := sqlite.Migrations(ctx, path)
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
	j, err := openJournal(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if m.DryRun || len(pending) == 0 {
		return all, nil
	}
	s, err := sqlite.Open(ctx, sqlite.Options{Path: path, DataID: j.DataID(), Began: j.Head() > 0})
	if err != nil {
		return nil, err
	}
	return all, s.Close()
}

// openJournal opens the journal of a data directory that there is.
func openJournal(ctx context.Context, cfg config.Config) (*chapter.Journal, error) {
	dir := filepath.Join(cfg.Data, journalDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, weir.E("migrate", weir.NotFound, "there is no data in %s: weir serve makes it", cfg.Data)
	}
	return chapter.Open(ctx, chapter.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
}
