package nodes

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// receiver is the destination of all http steps. It takes a moment to answer.
type receiver struct {
	url   string
	delay time.Duration

	mu    sync.Mutex        // guards all below
	keys  map[string]string // event by Idempotency-Key
	calls int
	waits []wait
}

// wait is for a number of calls.
type wait struct {
	n       int
	reached chan struct{}
}

func newReceiver(t *testing.T, delay time.Duration) *receiver {
	r := &receiver{delay: delay, keys: map[string]string{}}
	server := httptest.NewServer(r)
	r.url = server.URL
	t.Cleanup(server.Close)
	return r
}

func (r *receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the node died while it wrote: no request came
	}
	var e struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(body, &e) // what is no event has no id, and is missed
	r.take(req.Header.Get("Idempotency-Key"), e.ID)
	timer := time.NewTimer(r.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
	}
}

func (r *receiver) take(key, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[key] = id
	r.calls++
	for _, w := range r.waits {
		if w.n == r.calls {
			close(w.reached)
		}
	}
}

// reached returns a channel that is closed at the n-th call.
func (r *receiver) reached(n int) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := wait{n, make(chan struct{})}
	if n <= r.calls {
		close(w.reached)
	} else {
		r.waits = append(r.waits, w)
	}
	return w.reached
}

// effects returns how many effects each event had, told apart by their keys, and
// how many calls came more than once.
func (r *receiver) effects() (byEvent map[string]int, repeated int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	byEvent = map[string]int{}
	for _, id := range r.keys {
		byEvent[id]++
	}
	return byEvent, r.calls - len(r.keys)
}
