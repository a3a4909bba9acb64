package crash

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// call is one request that the receiver got.
type call struct {
	path    string
	key     string   // Idempotency-Key
	members []string // ids of the events in its body
	refused bool     // answered 503
}

// receiver is the destination of all http steps. It keeps a list of what it got.
type receiver struct {
	url   string
	count *counter
	// refuses says, by number from 1 of a path's requests with one key, whether
	// to answer 503. It may block. nil is never.
	refuses func(path, key string, n int) bool
	opened  *counter // connections
	closed  *counter // likewise

	mu    sync.Mutex // guards all below
	calls []call
	seen  map[string]int // by path and key
}

func newReceiver(t *testing.T, refuses func(path, key string, n int) bool) *receiver {
	r := &receiver{
		refuses: refuses, count: newCounter(), opened: newCounter(), closed: newCounter(), seen: map[string]int{},
	}
	server := httptest.NewUnstartedServer(r)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			r.opened.add(1)
		case http.StateClosed:
			r.closed.add(1)
		case http.StateActive, http.StateIdle, http.StateHijacked:
		}
	}
	server.Start()
	r.url = server.URL
	t.Cleanup(server.Close)
	return r
}

// drain waits, when the server is dead, until all that it had sent has come.
func (r *receiver) drain(t *testing.T) {
	t.Helper()
	last := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := last.Get(r.url) // its connection is accepted after all others
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case <-r.closed.reached(r.opened.now()):
	case <-time.After(patience):
		t.Fatal("connections of a dead process stay open")
	}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		return // drain asks
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the server died while it wrote: no request came
	}
	c := call{path: req.URL.Path, key: req.Header.Get("Idempotency-Key"), members: idsOf(body)}
	r.mu.Lock()
	r.seen[c.path+" "+c.key]++
	n := r.seen[c.path+" "+c.key]
	place := len(r.calls)
	r.calls = append(r.calls, c)
	r.mu.Unlock()
	r.count.add(1)
	if r.refuses == nil || !r.refuses(c.path, c.key, n) {
		return
	}
	r.mu.Lock()
	r.calls[place].refused = true
	r.mu.Unlock()
	w.WriteHeader(http.StatusServiceUnavailable)
}

// idsOf reads the ids of one event or of a batch.
func idsOf(body []byte) []string {
	type event struct {
		ID string `json:"id"`
	}
	var one event
	if json.Unmarshal(body, &one) == nil {
		return []string{one.ID}
	}
	var batch []event
	_ = json.Unmarshal(body, &batch) // what is no batch has no ids, and the checker sees it
	ids := make([]string, len(batch))
	for i, e := range batch {
		ids[i] = e.ID
	}
	return ids
}

// all returns what came so far.
func (r *receiver) all() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call(nil), r.calls...)
}

// at returns the calls of one path.
func (r *receiver) at(path string) []call {
	var calls []call
	for _, c := range r.all() {
		if c.path == path {
			calls = append(calls, c)
		}
	}
	return calls
}

// counter counts, and tells those who wait for a number.
type counter struct {
	mu    sync.Mutex // guards all below
	n     int
	waits map[int]chan struct{}
}

func newCounter() *counter { return &counter{waits: map[int]chan struct{}{}} }

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	for at, wait := range c.waits {
		if at <= c.n {
			close(wait)
			delete(c.waits, at)
		}
	}
}

func (c *counter) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// reached returns a channel that is closed when the count is n or more.
func (c *counter) reached(n int) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := c.waits[n]
	if wait == nil {
		wait = make(chan struct{})
		if n <= c.n {
			close(wait)
			return wait
		}
		c.waits[n] = wait
	}
	return wait
}
