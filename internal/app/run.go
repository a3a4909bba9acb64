package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"weir/internal/config"
	"weir/internal/obs"
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
	a.log.Info("stopped", "err", failed)
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
