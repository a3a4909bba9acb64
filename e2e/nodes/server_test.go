package nodes

import (
	"bufio"
	"context"
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
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/app"
	"weir/internal/config"
)

// asServer in the environment makes this binary a server.
const asServer = "WEIR_NODES_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		os.Exit(serve())
	}
	os.Exit(m.Run())
}

// serve is a node's process. It ends when its tests do, however they do: its
// standard input is a pipe that nobody writes to.
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
	secretKey  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	allDuties  = "api,dispatch,work,upkeep"
	patience   = 40 * time.Second // how long anything may take, the end of a lease included
)

// node is a name and an address, and the process that has them, if one does.
type node struct {
	*client.Client
	name     string
	addr     string
	duties   string
	database string
	data     string
	process  *process
}

// newNode finds a port. Nothing is started.
func newNode(t *testing.T, database, name, duties string) *node {
	t.Helper()
	addr := freeAddress(t)
	connections := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(connections.CloseIdleConnections)
	return &node{
		name: name, addr: addr, duties: duties, database: database, data: filepath.Join(t.TempDir(), name),
		Client: &client.Client{
			URL: "http://" + addr, Token: adminToken, HTTP: &http.Client{Transport: connections, Timeout: patience},
		},
	}
}

// freeAddress finds a port below those that the system gives to outgoing
// connections: while a node is down, nobody may get its port by chance.
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
func (n *node) start(t *testing.T) {
	t.Helper()
	p := n.launch(t)
	select {
	case <-p.listening:
	case <-p.exited:
		t.Fatalf("node %s ended at its start: %v\n%s", n.name, p.err, p.said())
	case <-time.After(patience):
		t.Fatalf("node %s does not listen\n%s", n.name, p.said())
	}
}

// launch starts a process and does not wait for it to listen.
func (n *node) launch(t *testing.T) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), asServer+"=1", "WEIR_DATABASE="+n.database, "WEIR_NODE="+n.name, "WEIR_DUTIES="+n.duties,
		"WEIR_DATA="+n.data, "WEIR_LISTEN="+n.addr, "WEIR_SECRET_KEY="+secretKey, "WEIR_ADMIN_TOKEN="+adminToken,
		"WEIR_ALLOW_DESTINATION=127.0.0.0/8", "WEIR_LOG_FORMAT=json")
	p := &process{cmd: cmd, listening: make(chan struct{}), exited: make(chan struct{})}
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
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("node %s said at last:\n%s", n.name, p.said())
		}
	})
	n.process = p
	return p
}

// stop ends the process as an operator would.
func (n *node) stop(t *testing.T) {
	t.Helper()
	n.process.signal(t, syscall.SIGTERM)
	select {
	case <-n.process.exited:
	case <-time.After(patience):
		t.Fatalf("node %s does not stop\n%s", n.name, n.process.said())
	}
	if n.process.err != nil {
		t.Fatalf("node %s stopped with %v\n%s", n.name, n.process.err, n.process.said())
	}
}

// process is one life of a node.
type process struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	listening chan struct{} // closed when it says so
	exited    chan struct{}
	err       error // once exited is closed

	mu    sync.Mutex // guards lines
	lines []string
}

// read takes in what the process says.
func (p *process) read(out io.Reader) {
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, scan.Text())
		p.mu.Unlock()
		if strings.Contains(scan.Text(), " listens on ") {
			close(p.listening)
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

// kill ends the process with SIGKILL and returns when it is gone.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err) // it is our child
	}
	<-p.exited
	p.stdin.Close()
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal a node: %v\n%s", err, p.said())
	}
}

// apply installs a project file.
func (n *node) apply(t *testing.T, text string) {
	t.Helper()
	if _, err := n.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte(text)}); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// listed returns all nodes as one of them lists them.
func (n *node) listed(t *testing.T) []client.Node {
	t.Helper()
	page, err := n.Nodes(t.Context())
	if err != nil {
		t.Fatalf("list nodes: %v", err)
	}
	return page.Items
}

// dispatching waits until some of the nodes has the shard, and returns it with the
// others.
func dispatching(t *testing.T, asked *node, nodes ...*node) (one *node, others []*node) {
	t.Helper()
	until(t, "a node to have the shard", func() (bool, error) {
		page, err := asked.Nodes(t.Context())
		for _, listed := range page.Items {
			i := slices.IndexFunc(nodes, func(n *node) bool { return n.name == listed.Name })
			if i >= 0 && slices.Contains(listed.Holds, "shard 0") {
				one = nodes[i]
			}
		}
		return one != nil, err
	})
	return one, slices.DeleteFunc(slices.Clone(nodes), func(n *node) bool { return n == one })
}

// settle waits until no run is left to try. Runs in state come first in a list,
// and one list is of one moment.
func (n *node) settle(t *testing.T) {
	t.Helper()
	until(t, "all runs to end", func() (bool, error) {
		runs, err := n.Runs(t.Context(), client.RunFilter{}, client.Paging{Limit: 1})
		if err != nil {
			return false, err
		}
		return len(runs.Items) > 0 && runs.Items[0].Ended != 0, nil
	})
}

// allRuns returns all runs that ended well, by the id of their event.
func (n *node) allRuns(t *testing.T) map[string][]client.Run {
	t.Helper()
	all := map[string][]client.Run{}
	after := ""
	for {
		page, err := n.Runs(t.Context(), client.RunFilter{State: "succeeded"}, client.Paging{Limit: 1000, After: after})
		if err != nil {
			t.Fatalf("list runs: %v", err)
		}
		for _, run := range page.Items {
			all[run.Executions[0]] = append(all[run.Executions[0]], run)
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// until asks again and again, and fails the test when it takes too long.
func until(t *testing.T, what string, done func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
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

// event makes an event of which the execution is its id.
func event(id, kind string) *weir.Event {
	return &weir.Event{ID: id, Source: "/load", Type: kind, Execution: id, ContentType: "application/json", Data: []byte(`{"n":1}`)}
}
