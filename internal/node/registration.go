package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weir"
)

const (
	beatEvery  = 2 * time.Second
	askAgain   = beatEvery / 4   // whether the name is free
	leaveGrace = 5 * time.Second // for the removal of the registration
)

// Registry keeps the nodes. Its time is the database's.
type Registry interface {
	// Register puts a node in, and returns it as it is kept. Where a node of that
	// name is not dead yet, it returns that one and false.
	Register(ctx context.Context, n weir.Node) (kept weir.Node, ours bool, err error)

	// Beat says that the node lives. NotFound: there is none of that name that was
	// started then. It returns whether somebody ordered it to drain.
	Beat(ctx context.Context, n weir.Node) (drain bool, err error)

	Leave(ctx context.Context, n weir.Node) error
}

// Options says what a node tells of itself. Slots, Free and Share are of the
// duty work, and may be nil or 0 without it.
type Options struct {
	Registry Registry
	Logger   *slog.Logger

	Name    string
	Duties  []weir.Duty
	Version string
	Slots   int
	Free    func() int
	Share   func() int64

	Drain  func() // called when somebody orders the node to drain
	Resume func() // called when that order is taken back
}

// Registration is a node's place among the others.
type Registration struct {
	Options
	beats chan struct{} // hint to beat now

	mu      sync.Mutex // guards:
	node    weir.Node  // Draining: it does so by itself, as it is told to stop
	ordered bool
}

// Register puts the node in. Where one of its name died a moment ago, it waits
// until it is seen that it is dead, also over a database that is away for a moment.
// Conflict: that one lives.
func Register(ctx context.Context, o Options) (*Registration, error) {
	r := &Registration{Options: o, beats: make(chan struct{}, 1)}
	r.node = weir.Node{Name: o.Name, Duties: o.Duties, Version: o.Version, Slots: o.Slots}
	var found weir.Node
	waits := false
	for {
		kept, ours, err := o.Registry.Register(ctx, r.now())
		switch {
		case waits && weir.CodeOf(err) == weir.Unavailable:
			found = weir.Node{} // the next may be this one, if only the answer was lost
		case err != nil:
			return nil, err
		case ours:
			r.node.Started = kept.Started
			return r, nil
		case found.Name == "":
			found, waits = kept, true
			o.Logger.Warn("a node of this name was here a moment ago: waiting to see whether it lives", "node", o.Name, "seen", kept.Seen)
		case kept.Seen != found.Seen || kept.Started != found.Started:
			return nil, taken(kept)
		}
		if err := pause(ctx, askAgain); err != nil {
			return nil, err
		}
	}
}

func taken(by weir.Node) error {
	return weir.E("", weir.Conflict, "another process is node %q (of version %s, started %s): give this one another name with --node, or stop that one first",
		by.Name, by.Version, by.Started).WithField("node")
}

// Run beats until ctx ends, then removes the registration. It fails with
// Conflict where another process took the name, which it only gets from a node
// that was not seen for long: this one must stop.
func (r *Registration) Run(ctx context.Context) error {
	away := false
	for {
		err := r.beat(ctx)
		switch {
		case ctx.Err() != nil:
			return r.leave(ctx)
		case weir.CodeOf(err) == weir.Conflict:
			return err
		case err != nil && !away:
			r.Logger.Error("the node cannot say that it lives: trying until it can", "node", r.Name, "err", err)
		case err == nil && away:
			r.Logger.Info("the node is seen again", "node", r.Name)
		}
		away = err != nil
		timer := time.NewTimer(beatEvery)
		select {
		case <-ctx.Done():
		case <-r.beats:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// beat tells the registry once, and follows what it answers.
func (r *Registration) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	drain, err := r.Registry.Beat(ctx, r.now())
	if weir.CodeOf(err) == weir.NotFound {
		return r.again(ctx)
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	changed := drain != r.ordered
	r.ordered = drain
	r.mu.Unlock()
	switch {
	case changed && drain:
		r.Logger.Info("the node was ordered to drain", "node", r.Name)
		r.Drain()
	case changed:
		r.Logger.Info("the node's order to drain was taken back", "node", r.Name)
		r.Resume()
	}
	return nil
}

// again registers a node that was not seen for so long that it was removed.
func (r *Registration) again(ctx context.Context) error {
	kept, ours, err := r.Registry.Register(ctx, r.now())
	if err != nil {
		return err
	}
	if !ours {
		return taken(kept)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.node.Started = kept.Started
	return nil
}

// leave removes the registration, so that a node of this name may start at once.
func (r *Registration) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveGrace)
	defer cancel()
	if err := r.Registry.Leave(ctx, r.now()); err != nil {
		r.Logger.Warn("the node stays listed until it is found dead", "node", r.Name, "err", err)
	}
	return nil
}

// Draining shows the node as draining from now on, because it is told to stop.
func (r *Registration) Draining() {
	r.mu.Lock()
	r.node.Draining = true
	r.mu.Unlock()
	hint(r.beats)
}

// now is the node as it is at this moment.
func (r *Registration) now() weir.Node {
	r.mu.Lock()
	n := r.node
	r.mu.Unlock()
	if r.Free != nil {
		n.Free = r.Free()
	}
	if r.Share != nil {
		n.Share = r.Share()
	}
	return n
}

// hint leaves a wake-up, once.
func hint(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits, or fails with the reason for which ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
