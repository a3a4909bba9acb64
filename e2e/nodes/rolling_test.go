package nodes

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/client"
	"weir/internal/pg/pgtest"
)

// spreader spreads requests over the nodes that say that they are ready, as
// whatever stands before a server does. It repeats nothing.
type spreader struct {
	nodes  []*node
	ready  []atomic.Bool
	turn   atomic.Uint64
	failed atomic.Int64
	by     []*httputil.ReverseProxy
}

func newSpreader(t *testing.T, nodes ...*node) *spreader {
	s := &spreader{nodes: nodes, ready: make([]atomic.Bool, len(nodes))}
	for _, n := range nodes {
		p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: n.addr})
		p.Transport = &http.Transport{MaxIdleConnsPerHost: 16}
		p.ErrorHandler = func(w http.ResponseWriter, req *http.Request, err error) {
			s.failed.Add(1)
			t.Errorf("%s %s at node %s: %v", req.Method, req.URL.Path, n.name, err)
			w.WriteHeader(http.StatusBadGateway)
		}
		s.by = append(s.by, p)
	}
	return s
}

// watch asks each node now and then whether it is ready, until ctx ends.
func (s *spreader) watch(ctx context.Context, t *testing.T) {
	var all sync.WaitGroup
	for i, n := range s.nodes {
		all.Go(func() {
			asking := &http.Client{Timeout: time.Second}
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			for silent := 0; ctx.Err() == nil; {
				why, answered := n.notReady(asking)
				if !answered {
					silent++
				} else {
					silent = 0
				}
				// Once is no answer on a machine that has too much to do.
				if answered || silent > 1 {
					s.note(t, i, why)
				}
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	all.Wait()
}

func (s *spreader) note(t *testing.T, i int, why string) {
	if s.ready[i].Swap(why == "") != (why == "") {
		t.Logf("node %s is ready no more, or again: %q", s.nodes[i].name, why)
	}
}

// notReady asks a node whether it is ready, and returns why not.
func (n *node) notReady(by *http.Client) (why string, answered bool) {
	resp, err := by.Get(n.URL + "/readyz")
	if err != nil {
		return err.Error(), false
	}
	defer resp.Body.Close()
	if resp.StatusCode < 300 {
		return "", true
	}
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%s %s (%v)", resp.Status, body, err), true
}

func (s *spreader) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	turn := s.turn.Add(1) // once: others take theirs meanwhile
	for k := range uint64(len(s.nodes)) {
		i := int((turn + k) % uint64(len(s.nodes)))
		if s.ready[i].Load() {
			s.by[i].ServeHTTP(w, req)
			return
		}
	}
	s.failed.Add(1)
	w.WriteHeader(http.StatusBadGateway)
}

func TestNoRequestFailsWhileOneNodeAfterTheOtherIsRestarted(t *testing.T) {
	t.Parallel()
	database, to := pgtest.New(t), newReceiver(t, 20*time.Millisecond)
	nodes := []*node{newNode(t, database, "one", allDuties), newNode(t, database, "two", allDuties)}
	for _, n := range nodes {
		n.start(t)
	}
	nodes[0].apply(t, project(to))
	spread := newSpreader(t, nodes...)
	watching, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		spread.watch(watching, t)
	}()
	defer func() {
		stop()
		<-watched
	}()
	until(t, "both to be ready", func() (bool, error) { return spread.ready[0].Load() && spread.ready[1].Load(), nil })
	front := httptest.NewServer(spread)
	defer front.Close()
	l := newLoad(to, "u", 0, 0)

	restarted := make(chan struct{})
	sent := l.trickle(t, front.URL, restarted)
	for i, n := range nodes {
		n.stop(t)
		n.start(t)
		until(t, "the node to be ready again", func() (bool, error) { return spread.ready[i].Load(), nil })
	}
	close(restarted)
	requests := <-sent

	nodes[0].settle(t)
	share(t, nodes[0])
	t.Logf("seen: %d requests, %d failed", requests, spread.failed.Load())
	l.check(t, nodes[0])
}

// trickle publishes one event after the other, and reads, through whatever spreads
// the requests, until it is told to stop. Nothing is tried again.
func (l *load) trickle(t *testing.T, front string, stop <-chan struct{}) (requests <-chan int) {
	count := make(chan int, 1)
	go func() {
		var n atomic.Int64
		var all sync.WaitGroup
		for p := range publishers {
			all.Go(func() {
				c := &client.Client{URL: front, Token: adminToken, HTTP: &http.Client{Timeout: patience, Transport: once{http.DefaultTransport}}}
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					l.step(t, c, fmt.Sprintf("u%d-%05d", p, i))
					n.Add(2)
				}
			})
		}
		all.Wait()
		count <- int(n.Load())
	}()
	return count
}

// step publishes one event and reads what shows it.
func (l *load) step(t *testing.T, c *client.Client, id string) {
	if _, err := c.Publish(t.Context(), event(id, calling)); err != nil {
		t.Errorf("publish: %v", err)
	}
	l.mu.Lock()
	l.call = append(l.call, id)
	l.mu.Unlock()
	if _, err := c.Runs(t.Context(), client.RunFilter{}, client.Paging{Limit: 1}); err != nil {
		t.Errorf("list runs: %v", err)
	}
}

// once makes of every answer that a client would wait and try again after one that
// it does not.
type once struct{ http.RoundTripper }

func (o once) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Header.Del("Retry-After")
	}
	return resp, err
}
