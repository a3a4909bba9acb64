package app

import (
	"context"
	"time"

	"weir"
)

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
