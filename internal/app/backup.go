package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/backup"
	"weir/internal/config"
	"weir/internal/journal"
	"weir/internal/journal/chapter"
)

// backup writes a backup of the embedded engine.
func (a *App) backup(ctx context.Context, w io.Writer, o api.BackupOptions) error {
	j, ok := a.journal.(*chapter.Journal)
	if !ok {
		return weir.E("backup", weir.Conflict, "state, journal and blobs are in PostgreSQL: back up the database, as with pg_dump")
	}
	if _, err := os.Stat(filepath.Join(a.config.Data, keyFile)); o.Key && errors.Is(err, fs.ErrNotExist) {
		return weir.E("backup", weir.Conflict, "the key is in WEIR_SECRET_KEY and not in the data directory: back up without it").WithField("key")
	}
	keep, err := j.Hold(ctx)
	if err != nil {
		return err
	}
	defer keep()
	id := j.DataID()
	head := backup.Head{Version: Version(), Data: hex.EncodeToString(id[:]), Made: weir.TimeOf(time.Now())}
	return backup.Write(ctx, w, head, backup.Source{
		CopyState: a.copyState, Dir: a.config.Data, Key: o.Key,
		Journal: func(ctx context.Context) ([]backup.File, func(), error) {
			parts, release, err := j.Snapshot(ctx)
			files := make([]backup.File, len(parts))
			for i, p := range parts {
				files[i] = backup.File(p)
			}
			return files, release, err
		},
	})
}

func (a *App) copyState(ctx context.Context, path string) error {
	return a.state.(*preloaded).Copy(ctx, path)
}

// Restore takes a backup out into a directory, and verifies what it wrote. A
// fault is an Internal error; the directory is left then, for who wants what is
// in it.
func Restore(ctx context.Context, from io.Reader, dir string, told func(backup.Standing)) (backup.Head, backup.Report, error) {
	head, err := backup.Extract(ctx, from, dir, told)
	if err != nil {
		return head, backup.Report{}, err
	}
	cfg := config.Default()
	cfg.Data = dir
	var first backup.Fault
	report, err := Verify(ctx, cfg, nil, func(f backup.Fault) {
		if first == (backup.Fault{}) {
			first = f
		}
	})
	if err == nil && report.Faults > 0 {
		err = weir.E("restore", weir.Internal, "%d faults, the first in %s: %s; weir verify --data %s lists them", report.Faults, first.Where, first.What, dir)
	}
	return head, report, err
}

// Verify looks at all that a stopped server left in a directory or a database. A
// directory that a server has is Unavailable, one without data NotFound.
func Verify(
	ctx context.Context, cfg config.Config, told func(records int64), each func(backup.Fault),
) (r backup.Report, err error) {
	e, err := openStopped(ctx, cfg)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	e.stores.Told = told
	return backup.Verify(ctx, e.stores, each)
}

// openStopped opens what no server has, and makes nothing.
func openStopped(ctx context.Context, cfg config.Config) (*engine, error) {
	log := slog.New(slog.DiscardHandler)
	if !cfg.Database.IsZero() {
		applied, pending, err := migrations(ctx, cfg)
		switch {
		case err != nil:
			return nil, err
		case len(applied) == 0:
			return nil, weir.E("verify", weir.NotFound, "there is no data in the database")
		case len(pending) > 0:
			return nil, weir.E("verify", weir.Conflict, "the database lacks %s: weir migrate applies it", pending[0].Name)
		}
		return openDatabase(ctx, cfg, log)
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, journalDir)); errors.Is(err, fs.ErrNotExist) {
		return nil, weir.E("verify", weir.NotFound, "there is no data in %s", cfg.Data)
	}
	e, err := openEmbedded(ctx, cfg, log)
	if weir.CodeOf(err) == weir.Unavailable {
		err = weir.E("verify", weir.Unavailable, "%w (of a server that runs, make a backup and verify that)", err)
	}
	return e, err
}

// checks is how a journal looks for damage in its files.
func checks(j *chapter.Journal) func(context.Context, func(backup.Fault)) error {
	return func(ctx context.Context, each func(backup.Fault)) error {
		return j.Check(ctx, func(f journal.Fault) error {
			each(backup.Fault{Where: placeOf(f), What: f.What})
			return nil
		})
	}
}

func placeOf(f journal.Fault) string {
	if f.First == 0 {
		return f.File
	}
	return fmt.Sprintf("%s, records %d to %d", f.File, f.First, f.Last)
}
