package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"weir"
	"weir/internal/blob"
	"weir/internal/dispatch"
	"weir/internal/journal/chapter"
	"weir/internal/state/sqlite"
)

// The names in the data directory.
const (
	journalDir = "journal"
	blobDir    = "blobs"
	stateFile  = "state.db"
	keyFile    = "secret.key"
)

// openEmbedded opens the stores in a directory, which it makes.
func openEmbedded(ctx context.Context, dir string, log *slog.Logger) (e *engine, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	j, err := chapter.Open(ctx, chapter.Options{Dir: filepath.Join(dir, journalDir), Logger: log})
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	b, err := blob.New(filepath.Join(dir, blobDir))
	if err != nil {
		return nil, err
	}
	s, err := sqlite.Open(ctx, sqlite.Options{
		Path: filepath.Join(dir, stateFile), DataID: j.DataID(), Began: j.Head() > 0, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	return &engine{
		journal: j, state: s, control: s, blobs: blobs[*blob.Writer]{b},
		checkpoint: func(int64) dispatch.State { return s },
		sweep: func(ctx context.Context, named func(context.Context, string) (bool, error)) error {
			return (&blob.Sweeper{Store: b, Named: named, Logger: log}).Run(ctx)
		},
		close: func() error { return errors.Join(s.Close(), j.Close()) },
	}, nil
}

// alone is the one node of the embedded engine.
type alone struct{ app *App }

func (n alone) Nodes(context.Context) ([]weir.Node, error) {
	a := n.app
	return []weir.Node{{
		Name: a.config.Node, Duties: a.config.Duties, Version: Version(), Started: weir.TimeOf(a.started), Seen: weir.TimeOf(time.Now()),
		Draining: a.draining.Load(), Free: a.work.Free(), Holds: []string{shardHold, upkeepHold},
	}}, nil
}

func (n alone) Drain(_ context.Context, name string) error {
	if name != n.app.config.Node {
		return weir.E("", weir.NotFound, "there is no node %q", name).WithField("name")
	}
	return weir.E("", weir.Conflict, "there is no other node to take over: the embedded engine is one process; stop it, and start it again")
}

func (n alone) Undrain(ctx context.Context, name string) error { return n.Drain(ctx, name) }
