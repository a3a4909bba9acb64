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
	"syscall"
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
	var first backup.Fault
	report, err := VerifyCopy(ctx, dir, func(f backup.Fault) {
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
// directory that a server has is Unavailable, one without data NotFound, and one
// that this weir would have to migrate first Conflict.
func Verify(ctx context.Context, cfg config.Config, told func(records int64), each func(backup.Fault)) (backup.Report, error) {
	_, err := os.Stat(filepath.Join(cfg.Data, journalDir))
	if cfg.Database.IsZero() && errors.Is(err, fs.ErrNotExist) {
		return backup.Report{}, weir.E("verify", weir.NotFound, "there is no data in %s", cfg.Data)
	}
	applied, pending, err := migrations(ctx, cfg)
	switch {
	case weir.CodeOf(err) == weir.NotFound: // a journal without its state is a fault, or very young
	case err != nil:
		return backup.Report{}, err
	case len(applied) == 0 && !cfg.Database.IsZero():
		return backup.Report{}, weir.E("verify", weir.NotFound, "there is no data in the database")
	case len(applied) > 0 && len(pending) > 0:
		return backup.Report{}, weir.E("verify", weir.Conflict,
			"an older weir left it, whose schema lacks %s: verify it with that one, or let weir migrate apply what is lacking", pending[0].Name)
	}
	return verify(ctx, cfg, told, each)
}

// VerifyCopy verifies a directory that may be brought up to date for that.
func VerifyCopy(ctx context.Context, dir string, each func(backup.Fault)) (backup.Report, error) {
	cfg := config.Default()
	cfg.Data = dir
	return verify(ctx, cfg, nil, each)
}

func verify(
	ctx context.Context, cfg config.Config, told func(records int64), each func(backup.Fault),
) (r backup.Report, err error) {
	open, log := openEmbedded, slog.New(slog.DiscardHandler)
	if !cfg.Database.IsZero() {
		open = openDatabase
	}
	e, err := open(ctx, cfg, log)
	if errors.Is(err, syscall.EWOULDBLOCK) { // somebody has the directory
		err = weir.E("verify", weir.Unavailable, "%w (of a server that runs, make a backup and verify that)", err)
	}
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	e.stores.Told = told
	return backup.Verify(ctx, e.stores, each)
}

// checks is how a journal looks for damage in its files.
func checks(j *chapter.Journal) func(context.Context, func(backup.Fault)) error {
	return func(ctx context.Context, each func(backup.Fault)) error {
		return j.Check(ctx, func(f journal.Fault) error {
			each(backup.Fault{Where: placeOf(f), What: f.What, Do: f.Do})
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
