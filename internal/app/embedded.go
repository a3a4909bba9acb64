package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"weir"
	"weir/internal/backup"
	"weir/internal/blob"
	"weir/internal/config"
	"weir/internal/dispatch"
	"weir/internal/fold"
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

// openEmbedded opens the stores in the data directory, which it makes.
func openEmbedded(ctx context.Context, cfg config.Config, log *slog.Logger) (e *engine, err error) {
	dir := cfg.Data
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	j, s, err := openStores(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	if err := backup.Clear(dir); err != nil {
		log.Warn("what a backup left is not removed", "data", dir, "err", err)
	}
	b, err := blob.New(filepath.Join(dir, blobDir))
	if err != nil {
		return nil, errors.Join(err, s.Close(), j.Close())
	}
	return &engine{
		journal: j, state: s, control: s, blobs: blobs[*blob.Writer]{b},
		checkpoint: func(int64) dispatch.State { return s },
		first:      func(ctx context.Context, do func(context.Context) error) error { return do(ctx) },
		kept:       s, past: j, sweeper: sweeperOf(b), prepare: s.Checkpoint,
		stores: backup.Stores{Journal: j, State: s, Blobs: b, Check: checks(j)},
		close:  func() error { return errors.Join(s.Close(), j.Close()) },
	}, nil
}

// openStores opens the journal and, beside it, the state.
func openStores(ctx context.Context, cfg config.Config, log *slog.Logger) (*chapter.Journal, *preloaded, error) {
	if err := journalIsThere(cfg.Data); err != nil {
		return nil, nil, err
	}
	var s *preloaded
	var failed error
	opening := func(o chapter.Opening) {
		s, failed = preload(ctx, sqlite.Options{Path: filepath.Join(cfg.Data, stateFile), DataID: o.DataID, Began: o.Began, Logger: log})
	}
	j, err := chapter.Open(ctx, chapter.Options{
		Dir: filepath.Join(cfg.Data, journalDir), Window: cfg.DedupWindow.Std(), Logger: log, Opening: opening,
	})
	switch {
	case err != nil:
		err = fmt.Errorf("open the journal: %w", err)
		if s != nil {
			err = errors.Join(err, s.Close())
		}
		return nil, nil, err
	case failed != nil:
		return nil, nil, errors.Join(failed, j.Close())
	}
	return j, s, nil
}

// journalIsThere refuses a state whose journal is missing, before a new one is in
// the way of who puts it back: the journal is made first.
func journalIsThere(dir string) error {
	_, state := os.Stat(filepath.Join(dir, stateFile))
	_, journal := os.Stat(filepath.Join(dir, journalDir))
	if state != nil || !errors.Is(journal, fs.ErrNotExist) {
		return nil
	}
	return weir.E("open the journal", weir.Conflict,
		"%s is missing, though the state beside it has begun: put back the journal that belongs to this state, from the same backup, "+
			"or start with another data directory", filepath.Join(dir, journalDir))
}

// preloaded is the embedded state with the checkpoint that the dispatcher goes
// on from, read while the journal was: where a million runs wait, each of the
// two takes a core for most of a second. Nothing that the checkpoint holds is
// written before.
type preloaded struct {
	*sqlite.State
	first chan checkpoint
}

type checkpoint struct {
	*fold.Checkpoint
	err error
}

// preload opens the state and begins to read its checkpoint.
func preload(ctx context.Context, o sqlite.Options) (*preloaded, error) {
	s, err := sqlite.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	p := &preloaded{s, make(chan checkpoint, 1)}
	ctx = context.WithoutCancel(ctx) // a server that is told to stop still writes what it has
	go func() {
		defer close(p.first)
		c, err := s.Load(ctx)
		p.first <- checkpoint{c, err}
	}()
	return p, nil
}

// Load returns the checkpoint that was read ahead, and reads it again when it
// is asked again.
func (p *preloaded) Load(ctx context.Context) (*fold.Checkpoint, error) {
	if c, ok := <-p.first; ok {
		return c.Checkpoint, c.err
	}
	return p.State.Load(ctx)
}

// Close waits for what is being read.
func (p *preloaded) Close() error {
	for range p.first {
	}
	return p.State.Close()
}

// wireAlone makes this process do all that there is to do.
func (a *App) wireAlone(applied func(weir.ProjectID)) {
	limits := a.config.Limits
	d := &counted{Dispatcher: dispatch.New(dispatch.Options{
		Journal: a.journal, State: a.checkpoint(0), Blobs: a.blobs, Applied: applied, Logger: a.log, Node: a.config.Node,
		OriginLimit: limits.Origin, Slots: limits.WorkerSlots,
	})}
	a.work.Dispatcher = d
	a.rooms = rooms{
		join:        func(context.Context) error { return nil },
		dispatch:    d,
		nodes:       &alone{a, d},
		shows:       func(ctx context.Context) (string, error) { return "", d.Settle(ctx, 0) },
		drained:     d.Drain,
		holds:       func(string) bool { return true },
		lost:        d.Lost,
		dispatching: func(ctx context.Context) error { return d.Run(ctx, a.work) },
		working:     a.work.Run,
		keeping:     a.upkeep.Run,
	}
}

// counted counts the tries that ended.
type counted struct {
	*dispatch.Dispatcher
	tries atomic.Int64
}

func (c *counted) Finish(ended []weir.Finish) {
	c.tries.Add(int64(len(ended)))
	c.Dispatcher.Finish(ended)
}

// alone is the one node of the embedded engine.
type alone struct {
	app      *App
	dispatch *counted
}

func (n *alone) Nodes(context.Context) ([]weir.Node, error) {
	a := n.app
	_, draining := a.drain.is()
	return []weir.Node{{
		Name: a.config.Node, Duties: a.config.Duties, Version: Version(), Started: weir.TimeOf(a.started), Seen: weir.TimeOf(time.Now()),
		Draining: draining, Slots: a.config.Limits.WorkerSlots, Free: a.work.Free(), Share: n.dispatch.tries.Load(),
		Holds: []string{shardHold, upkeepHold},
	}}, nil
}

func (n *alone) Drain(_ context.Context, name string) error {
	if name != n.app.config.Node {
		return weir.E("", weir.NotFound, "there is no node %q", name).WithField("name")
	}
	return weir.E("", weir.Conflict, "there is no other node to take over: the embedded engine is one process; stop it, and start it again")
}

func (n *alone) Undrain(ctx context.Context, name string) error { return n.Drain(ctx, name) }
