package app

import (
	"context"
	"fmt"

	"weir/internal/fold"
	"weir/internal/state/sqlite"
)

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
