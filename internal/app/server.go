package app

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// serve makes the HTTP server.
func (a *App) serve(handler http.Handler) {
	a.server = &http.Server{
		Handler:           a.drain.closing(handler),
		ConnState:         a.unused.watch,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

// unused are the connections over which nothing has come yet. A server that
// stops would wait five seconds for a first request on each (http.Server's
// Shutdown); clients that open connections ahead do not expect that.
type unused struct {
	mu    sync.Mutex // guards:
	conns map[net.Conn]struct{}
}

// watch is an http.Server's ConnState.
func (u *unused) watch(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if state == http.StateNew {
		if u.conns == nil {
			u.conns = map[net.Conn]struct{}{}
		}
		u.conns[c] = struct{}{}
		return
	}
	delete(u.conns, c)
}

// close closes them.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		_ = c.Close()
	}
}
