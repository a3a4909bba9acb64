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

// Run serves until ctx ends or a loop cannot go on, then stops in stages: no new
// requests, no new leases, time for what is under way, the last flush, the
// stores. It returns nil where ctx ended and all went well.
func (a *App) Run(ctx context.Context) error {
	// Loops end one after the other, so each has a context of its own.
	base := context.WithoutCancel(ctx)
	dispatching := begin(base, func(ctx context.Context) error { return a.dispatch.Run(ctx, a.work) })
	working := begin(base, a.work.Run)
	refusing := begin(base, a.door.Run)
	sweeping := begin(base, func(ctx context.Context) error { return a.sweep(ctx, a.named) })
	telling := begin(base, a.tail.Run)
	serving := begin(base, func(context.Context) error { return a.server.Serve(a.listener) })

	var failed error
	select {
	case <-ctx.Done():
	case <-dispatching.done:
	case <-working.done:
	case <-refusing.done:
	case <-serving.done:
	}
	a.log.Info("stopping")
	failed = errors.Join(failed, telling.end()) // streams do not end by themselves
	shutdown, cancel := context.WithTimeout(base, requestGrace)
	defer cancel()
	a.server.RegisterOnShutdown(func() { time.AfterFunc(unusedGrace, a.unused.close) })
	if err := a.server.Shutdown(shutdown); err != nil {
		_ = a.server.Close() // requests that do not end are cut off
	}
	if err := serving.end(); !errors.Is(err, http.ErrServerClosed) {
		failed = errors.Join(failed, err)
	}
	a.dispatch.Drain()
	failed = errors.Join(failed, sweeping.end(), refusing.end(), working.end(), dispatching.end(), a.Close())
	a.log.Info("stopped", "err", failed)
	return failed
}

// loop is something that runs until its context ends.
type loop struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done is closed
}

func begin(ctx context.Context, run func(context.Context) error) *loop {
	ctx, cancel := context.WithCancel(ctx)
	l := &loop{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
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
