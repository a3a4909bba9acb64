package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/client"
	"weir/internal/app"
	"weir/internal/config"
)

// asServer in the environment makes this binary a server.
const asServer = "WEIR_CRASH_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		os.Exit(serve())
	}
	if dir := os.Getenv(asFiller); dir != "" {
		fmt.Fprintln(os.Stderr, fillAndDie(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serve is the server's process. It ends when its tests do, however they do:
// its standard input is a pipe that nobody writes to.
func serve() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	cfg, err := config.Load("", os.Getenv)
	if err == nil {
		err = app.Serve(ctx, cfg, os.Stdout, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir:", err)
		return 1
	}
	return 0
}

const (
	adminToken = "weir_0123456789abcdef0123456789abcdef"
	// patience is how long anything may take that takes milliseconds.
	patience = 30 * time.Second
)

// server is a data directory at an address, and the process that serves it, if
// one does.
type server struct {
	*client.Client
	dir     string
	addr    string
	process *process
}

// newServer makes a directory and finds a port for it. Nothing is started.
func newServer(t *testing.T) *server {
	t.Helper()
	addr := freeAddress(t)
	connections := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(connections.CloseIdleConnections)
	return &server{
		dir:  filepath.Join(t.TempDir(), "data"),
		addr: addr,
		Client: &client.Client{
			URL: "http://" + addr, Token: adminToken, HTTP: &http.Client{Transport: connections, Timeout: patience},
		},
	}
}

// freeAddress finds a port below those that the system gives to outgoing
// connections: while the server is down, nobody may get its port by chance.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(12_000)))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start starts a process and returns when it listens.
func (s *server) start(t *testing.T) *process {
	t.Helper()
	p := s.launch(t)
	select {
	case <-p.listening:
	case <-p.exited:
		t.Fatalf("the server ended at its start: %v\n%s", p.err, p.said())
	case <-time.After(patience):
		t.Fatalf("the server does not listen\n%s", p.said())
	}
	return p
}

// launch starts a process and does not wait for it to listen.
func (s *server) launch(t *testing.T) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), asServer+"=1", "WEIR_DATA="+s.dir, "WEIR_LISTEN="+s.addr,
		"WEIR_ALLOW_DESTINATION=127.0.0.0/8", "WEIR_LOG_FORMAT=json", "WEIR_ADMIN_TOKEN="+adminToken)
	p := &process{
		cmd: cmd, listening: make(chan struct{}), ready: make(chan struct{}), stopping: make(chan struct{}),
		exited: make(chan struct{}),
	}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(out)
	}()
	go func() {
		p.err = cmd.Wait()
		w.Close()
		<-read
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	s.process = p
	return p
}

// process is one life of a server.
type process struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	listening chan struct{} // closed when it says so, likewise stopping
	ready     chan struct{} // closed when restart is known
	restart   restart
	stopping  chan struct{}
	exited    chan struct{}
	err       error // once exited is closed

	mu    sync.Mutex // guards lines
	lines []string
}

// restart is what a server says when its fold has reached the journal's head.
type restart struct {
	Cursor  uint64 `json:"cursor"`  // flushed
	Head    uint64 `json:"head"`    // of the journal
	Records int    `json:"records"` // folded again
	Changes int    `json:"changes"` // of them, changes of runs
	Due     int    `json:"due"`     // runs that may start
	Lost    int    `json:"lost"`    // tries that ended with the process before
}

func (r restart) String() string {
	return fmt.Sprintf("cursor %d, head %d, folded again %d records with %d changes, %d runs due, %d tries lost",
		r.Cursor, r.Head, r.Records, r.Changes, r.Due, r.Lost)
}

// read takes in what the process says.
func (p *process) read(out io.Reader) {
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		line := scan.Text()
		p.mu.Lock()
		p.lines = append(p.lines, line)
		p.mu.Unlock()
		switch {
		case strings.Contains(line, " listens on "):
			close(p.listening)
		case strings.Contains(line, `"caught up with the journal"`):
			if json.Unmarshal([]byte(line), &p.restart) == nil {
				close(p.ready)
			}
		case strings.Contains(line, `"stopping: no more requests"`):
			close(p.stopping)
		}
	}
	_, _ = io.Copy(io.Discard, out) // a line that was too long
}

// said returns the last lines of the process.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines[max(0, len(p.lines)-30):], "\n")
}

// caughtUp waits until the fold has reached the journal's head.
func (p *process) caughtUp(t *testing.T) restart {
	t.Helper()
	select {
	case <-p.ready:
	case <-p.exited:
		t.Fatalf("the server ended before it had caught up: %v\n%s", p.err, p.said())
	case <-time.After(patience):
		t.Fatalf("the server does not catch up\n%s", p.said())
	}
	return p.restart
}

// kill ends the process with SIGKILL and returns when it is gone.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err) // it is our child
	}
	<-p.exited
	p.stdin.Close()
}

// stop ends the process as an operator would.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("signal the server: %v\n%s", err, p.said())
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("the server does not stop\n%s", p.said())
	}
	if p.err != nil {
		t.Fatalf("the server stopped with %v\n%s", p.err, p.said())
	}
}

// refused waits for the process to end by itself, and returns what it said.
func (p *process) refused(t *testing.T) string {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("the server goes on\n%s", p.said())
	}
	if p.err == nil {
		t.Fatalf("the server ended without an error\n%s", p.said())
	}
	return p.said()
}

// apply installs a project file.
func (s *server) apply(t *testing.T, text string) {
	t.Helper()
	if _, err := s.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte(text)}); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// settle waits until no run is left to try. Runs in state come first in a list,
// and one list is of one moment.
func (s *server) settle(ctx context.Context, t *testing.T) {
	t.Helper()
	until(ctx, t, "all runs to end", func() (bool, error) {
		runs, err := s.Runs(ctx, client.RunFilter{}, client.Paging{Limit: 1})
		if err != nil {
			return false, err
		}
		return len(runs.Items) == 0 || runs.Items[0].Ended != 0, nil
	})
}

// until asks again and again, and fails the test when ctx ends.
func until(ctx context.Context, t *testing.T, what string, done func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("wait for %s: %v (%v)", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
