package whole

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/app"
	"weir/internal/config"
)

const token = "weir_a-token-of-the-tests"

// patience bounds every wait for something that should come at once.
const patience = 15 * time.Second

// server is a whole server in this process.
type server struct {
	*client.Client
	t    testing.TB
	dir  string
	stop func()
}

// start starts a server that may call loopback.
func start(t testing.TB) *server {
	t.Helper()
	return startIn(t, t.TempDir(), func(*config.Config) {})
}

func startIn(t testing.TB, dir string, change func(*config.Config)) *server {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen = dir, "127.0.0.1:0"
	cfg.AllowDestinations = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Admin.Token = config.NewSecret(token)
	change(&cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	a, err := app.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- a.Run(ctx) }()
	s := &server{Client: &client.Client{URL: a.URL(), Token: token}, t: t, dir: dir}
	s.stop = sync.OnceFunc(func() {
		s.CloseIdle()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// CloseIdle closes the connections that this process keeps open, for which a
// stopping server would wait.
func (s *server) CloseIdle() { http.DefaultClient.CloseIdleConnections() }

// define applies a project file in which RECEIVER stands for a receiver's URL.
func (s *server) define(text string, receivers ...*receiver) {
	s.t.Helper()
	for _, r := range receivers {
		text = strings.ReplaceAll(text, "RECEIVER", r.URL)
	}
	if _, err := s.Apply(s.t.Context(), client.File{Name: "weir.yaml", Text: []byte(text)}); err != nil {
		s.t.Fatal(err)
	}
}

// publish publishes one event with JSON data and returns its receipt.
func (s *server) publish(kind, id, data string) client.Receipt {
	s.t.Helper()
	receipts, err := s.Publish(s.t.Context(), &weir.Event{ID: id, Source: "/test", Type: kind, Data: []byte(data)})
	if err != nil {
		s.t.Fatal(err)
	}
	return receipts[0]
}

// until repeats a look until it is true.
func (s *server) until(what string, look func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !look(); <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in time: %s", what)
		}
	}
}

// runs lists the runs of a filter.
func (s *server) runs(f client.RunFilter) []client.Run {
	s.t.Helper()
	page, err := s.Runs(s.t.Context(), f, client.Paging{Limit: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	return page.Items
}

// await returns the runs of a trigger once there are n in the state.
func (s *server) await(trigger, state string, n int) []client.Run {
	s.t.Helper()
	var runs []client.Run
	s.until(fmt.Sprintf("%d runs of %s are %s", n, trigger, state), func() bool {
		runs = s.runs(client.RunFilter{Trigger: trigger, State: state})
		return len(runs) >= n
	})
	if len(runs) != n {
		s.t.Fatalf("%d runs of %s are %s, want %d", len(runs), trigger, state, n)
	}
	return runs
}

// run shows one run.
func (s *server) run(id string) client.Run {
	s.t.Helper()
	run, err := s.Run(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// events lists all events that were accepted.
func (s *server) events() []client.Event {
	s.t.Helper()
	page, err := s.Events(s.t.Context(), client.EventFilter{}, client.Paging{Limit: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	return page.Items
}

// get returns the answer to a GET.
func (s *server) get(path string) (status int, answer string) {
	s.t.Helper()
	return s.do(http.MethodGet, path, "")
}

// post sends a body as it is and returns the answer.
func (s *server) post(path, contentType, body string, header ...string) (status int, answer string) {
	s.t.Helper()
	return s.do(http.MethodPost, path, body, append([]string{"Content-Type", contentType}, header...)...)
}

func (s *server) do(method, path, body string, header ...string) (status int, answer string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if seq, err := strconv.ParseUint(resp.Header.Get(client.HeaderSeq), 10, 64); err == nil {
		s.See(weir.Seq(seq))
	}
	return resp.StatusCode, string(b)
}

// receiver is a destination that keeps what it got.
type receiver struct {
	*httptest.Server

	mu    sync.Mutex
	calls []call
	open  int // requests under way
	most  int // the most that were at once
}

// call is a request that a receiver got.
type call struct {
	path string
	key  string // Idempotency-Key
	body string
}

// receive starts a receiver whose answers come from answer, called with the
// number of the call at its path, from 1; nil answers 200.
func receive(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int)) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n := r.enter(req)
		defer r.leave()
		if answer != nil {
			answer(w, req, n)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) enter(req *http.Request) int {
	var body bytes.Buffer
	_, _ = body.ReadFrom(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call{req.URL.Path, req.Header.Get("Idempotency-Key"), body.String()})
	r.open++
	r.most = max(r.most, r.open)
	n := 0
	for _, c := range r.calls {
		if c.path == req.URL.Path {
			n++
		}
	}
	return n
}

func (r *receiver) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
}

// got returns the calls at a path, or all for "".
func (r *receiver) got(path string) []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var calls []call
	for _, c := range r.calls {
		if path == "" || c.path == path {
			calls = append(calls, c)
		}
	}
	return calls
}

// atOnce returns the most requests that were under way at once.
func (r *receiver) atOnce() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// asError returns the error with a code that the client gave.
func asError(t testing.TB, err error) *weir.Error {
	t.Helper()
	e, ok := errors.AsType[*weir.Error](err)
	if !ok {
		t.Fatalf("got %v, want an error with a code", err)
	}
	return e
}

// holding starts a receiver that answers when hold is closed.
func holding(t testing.TB, hold chan struct{}) *receiver {
	t.Helper()
	return receive(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	})
}

// openOnly opens a server in a directory and closes it again.
func openOnly(t testing.TB, dir string) error {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen = dir, "127.0.0.1:0"
	a, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return a.Close()
}
