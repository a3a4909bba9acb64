package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"weir"
	"weir/internal/config"
	"weir/internal/obs"
	"weir/internal/work"
)

const (
	requestGrace = 10 * time.Second       // for requests under way
	unusedGrace  = 500 * time.Millisecond // for the first request on a connection that is open
	readyTime    = 2 * time.Second        // for the stores to say that they are
)

// Serve opens a server, tells out where it is and, once, the admin's token, and
// runs it until ctx ends. It logs to logs.
func Serve(ctx context.Context, cfg config.Config, out, logs io.Writer) error {
	log, err := obs.NewLogger(logs, cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return err
	}
	a, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	if token := a.AdminToken(); token != "" && cfg.Admin.Token.IsZero() {
		fmt.Fprintf(out, "the admin's token, shown only now: %s\n", token)
	}
	fmt.Fprintf(out, "weir %s listens on %s\n", Version(), a.URL())
	return a.Run(ctx)
}

// Run serves until ctx ends or a loop cannot go on, then stops in stages: not
// ready, and no new runs; no new requests; time for what is under way; the last
// flush, and what this node holds is free for others; the stores. It returns nil
// where ctx ended and all went well.
func (a *App) Run(ctx context.Context) error {
	// Loops end one after the other, so each has a context of its own.
	base := context.WithoutCancel(ctx)
	r := &a.rooms
	listed, looking := begin(base, r.listed), begin(base, r.looking)
	dispatching, keeping := begin(base, r.dispatching), begin(base, r.keeping)
	working, taking := begin(base, r.working), begin(base, r.taking)
	refusing, telling := begin(base, a.door.Run), begin(base, a.tail.Run)
	serving := begin(base, func(context.Context) error { return a.server.Serve(a.listener) })

	select {
	case <-ctx.Done():
		a.stand(ctx)
	case <-listed.done:
	case <-dispatching.done:
	case <-keeping.done:
	case <-working.done:
	case <-taking.done:
	case <-refusing.done:
	case <-serving.done:
	}
	a.log.Info("stopping: no more requests")
	a.drain.stop()
	failed := telling.end() // streams do not end by themselves
	a.shutdown(base)
	if err := serving.end(); !errors.Is(err, http.ErrServerClosed) {
		failed = errors.Join(failed, err)
	}
	a.log.Info("stopping: what is being tried has some time to end")
	failed = errors.Join(failed, working.end(), taking.end())
	a.log.Info("stopping: writing what is left")
	failed = errors.Join(failed, keeping.end(), dispatching.end(), looking.end(), refusing.end(), listed.end(), a.Close())
	if failed == nil { // else it is told by who gets it
		a.log.Info("stopped")
	}
	return failed
}

// stand says that the node drains, and answers on for the time that others take
// to see it.
func (a *App) stand(ctx context.Context) {
	a.drain.stop()
	a.rooms.drained()
	delay := a.config.Drain().Std()
	a.log.Info("draining: not ready from now on, and no new runs", "delay", delay)
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), delay)
	defer cancel()
	<-lasting.Done()
}

// shutdown lets the requests under way end, and cuts off those that do not.
func (a *App) shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestGrace)
	defer cancel()
	a.server.RegisterOnShutdown(func() { time.AfterFunc(unusedGrace, a.unused.close) })
	if err := a.server.Shutdown(ctx); err != nil {
		a.log.Warn("cut off requests that did not end", "err", err)
		_ = a.server.Close()
	}
}

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

// loop is something that runs until its context ends.
type loop struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done is closed
}

// begin starts a loop. One that is nil, for want of the duty, only waits.
func begin(ctx context.Context, run func(context.Context) error) *loop {
	ctx, cancel := context.WithCancel(ctx)
	l := &loop{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		if run == nil {
			<-ctx.Done()
			return
		}
		l.err = run(ctx)
	}()
	return l
}

// end stops the loop and waits for it.
func (l *loop) end() error {
	l.cancel()
	<-l.done
	return l.err
}
