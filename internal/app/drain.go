package app

import (
	"context"
	"net/http"
	"sync"

	"weir"
	"weir/internal/work"
)

// drain is whether the node takes part: it does not while it is ordered to drain,
// nor once it is told to stop.
type drain struct {
	mu       sync.Mutex // guards:
	ordered  bool
	stopping bool
	turned   chan struct{} // closed when ordered is another
}

func newDrain() *drain { return &drain{turned: make(chan struct{})} }

// order makes the node drain, or take part again.
func (d *drain) order(drains bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ordered != drains {
		d.ordered = drains
		close(d.turned)
		d.turned = make(chan struct{})
	}
}

func (d *drain) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopping = true
}

// is reports whether the node drains, and why.
func (d *drain) is() (why string, drains bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.stopping:
		return "draining: the node was told to stop", true
	case d.ordered:
		return "draining: the node was ordered to", true
	}
	return "", false
}

// until waits until the order is such; false: ctx ended.
func (d *drain) until(ctx context.Context, drains bool) bool {
	for {
		d.mu.Lock()
		ordered, turned := d.ordered, d.turned
		d.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return false
		case ordered == drains:
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-turned:
		}
	}
}

// workers are the node's own, which take nothing while it drains.
type workers struct {
	*work.Loop
	drain *drain
}

func (w workers) Free() int {
	if _, drains := w.drain.is(); drains {
		return 0
	}
	return w.Loop.Free()
}

// closing has connections closed after their request while the node drains, so
// that who spreads requests comes back to another.
func (d *drain) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, drains := d.is(); drains {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// ready tells why the node does not take part, or what is wrong though it does.
func (a *App) ready(ctx context.Context) (warning string, err error) {
	if why, drains := a.drain.is(); drains {
		return "", weir.E("", weir.Unavailable, "%s", why)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if _, err := a.journal.Append(ctx); err != nil {
		return "", err // it takes nothing any more, or has no room
	}
	return a.rooms.shows(ctx)
}
