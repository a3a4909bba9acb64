package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// receiver is the destination inside the demo: /team and
// /digest take everything, /flaky fails twice per idempotency key, /broken fails
// until it is mended.
type receiver struct {
	url    string
	server *http.Server

	mu     sync.Mutex
	calls  map[string]int // by path and idempotency key
	mended bool
}

func startReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	r := &receiver{url: "http://" + listener.Addr().String(), calls: make(map[string]int)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /team", r.answer(func(int) bool { return true }))
	mux.HandleFunc("POST /digest", r.answer(func(int) bool { return true }))
	mux.HandleFunc("POST /flaky", r.answer(func(call int) bool { return call > 2 }))
	mux.HandleFunc("POST /broken", r.answer(func(int) bool { return r.mended }))
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // ends by stop
	return r, nil
}

// answer counts a call and says 200 where ok says so, else 503. ok is asked
// under the lock.
func (r *receiver) answer(ok func(call int) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		r.mu.Lock()
		key := req.URL.Path + " " + req.Header.Get("Idempotency-Key")
		r.calls[key]++
		good := ok(r.calls[key])
		r.mu.Unlock()
		if !good {
			http.Error(w, "not now", http.StatusServiceUnavailable)
		}
	}
}

// mend makes /broken work.
func (r *receiver) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mended = true
}

func (r *receiver) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.server.Shutdown(ctx)
}
