package bulk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir/client"
	"weir/internal/app"
	"weir/internal/cli"
)

// The bounds of what client and server hold in memory at their worst. The
// server's journal keeps look-ups of a million events in it (docs/performance.md
// says how many bytes each).
const (
	clientBytes = 128 << 20
	serverBytes = 500 << 20
)

const (
	lines = 1_000_000
	token = "weir_a-token-of-the-test"
)

// TestMain makes `weir` a command: this binary under that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(cli.Run(ctx, os.Args[1:], cli.Programs{Serve: app.Serve, Version: "v0.0.0-test"},
			cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
	}})
}

// TestAMillionEventsArePublishedFromAFileOnceThoughInterrupted kills the client
// in the middle, publishes the file again, and then once more: what the server
// has is each event, once.
func TestAMillionEventsArePublishedFromAFileOnceThoughInterrupted(t *testing.T) {
	t.Parallel()
	file := writeEvents(t)
	server := serve(t)
	c := &client.Client{URL: server.url, Token: token}

	first := server.weir(t, "publish", "--ndjson", file)
	var firstSaid bytes.Buffer
	first.Stderr = &firstSaid
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for newest(t, c) < lines/4 {
		if first.ProcessState != nil {
			t.Fatal("the first client ended by itself:", firstSaid.String())
		}
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()

	began := time.Now()
	taken, duplicates, said, peak := server.publish(t, file)
	took := time.Since(began)
	if taken+duplicates != lines || taken == 0 || duplicates < lines/4 {
		t.Errorf("the second time %d were taken and %d were duplicates", taken, duplicates)
	}
	if !regexp.MustCompile(`\d+ ?%`).MatchString(said) {
		t.Errorf("no progress was shown:\n%s", said)
	}
	if peak > clientBytes {
		t.Errorf("the client held %d MiB", peak>>20)
	}

	taken, duplicates, _, _ = server.publish(t, file)
	if taken != 0 || duplicates != lines {
		t.Errorf("the third time %d were taken and %d were duplicates", taken, duplicates)
	}
	// Nothing but events is in the journal, but for a few ticks.
	if n := newest(t, c); n < lines || n > lines+100 {
		t.Errorf("the newest event is the journal's record %d", n)
	}
	held := peakOf(t, server.cmd.Process.Pid)
	if held > serverBytes {
		t.Errorf("the server held %d MiB", held>>20)
	}
	fmt.Printf("seen: a million events by weir publish --ndjson: %d to go took %v; the client held %d MiB at most, the server %d MiB\n",
		lines-lines/4, took.Round(10*time.Millisecond), peak>>20, held>>20)
}

// writeEvents writes a file of a million lines, some 150 bytes each.
func writeEvents(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.ndjson")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range lines {
		fmt.Fprintf(w, `{"specversion":"1.0","id":"%d","source":"/meter/%d","type":"meter.read","data":{"kwh":%d.%d,"phase":"L%d","ok":true}}`+"\n",
			i, i%1000, i%97, i%10, i%3+1)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// server is a process that serves.
type server struct {
	cmd *exec.Cmd
	url string
}

func serve(t testing.TB) *server {
	t.Helper()
	s := &server{}
	s.cmd = command(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	s.cmd.Env = append(s.cmd.Env, "WEIR_ADMIN_TOKEN="+token)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	s.cmd.Stderr = &logs
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	for said := bufio.NewScanner(out); said.Scan(); {
		if _, url, ok := strings.Cut(said.Text(), "listens on "); ok {
			s.url = url
			return s
		}
	}
	t.Fatal("the server did not start:", logs.String())
	return nil
}

// weir is a command of the client side.
func (s *server) weir(t testing.TB, args ...string) *exec.Cmd {
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, "WEIR_URL="+s.url, "WEIR_TOKEN="+token)
	return cmd
}

// publish publishes the file, and returns what the client said of it and the
// most memory that it held.
func (s *server) publish(t testing.TB, file string) (taken, duplicates int, said string, peak int64) {
	t.Helper()
	cmd := s.weir(t, "publish", "--ndjson", file, "-o", "json")
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	var total struct{ Taken, Duplicates int }
	last := bytes.TrimSpace(out.Bytes())
	if err := json.Unmarshal(last[bytes.LastIndexByte(last, '\n')+1:], &total); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return total.Taken, total.Duplicates, progress.String(), usage.Maxrss << 10
}

// command is `weir args` with nothing of Weir in its environment.
func command(t testing.TB, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "weir", args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WEIR_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// newest returns the place of the newest event, 0 where there is none.
func newest(t testing.TB, c *client.Client) int {
	t.Helper()
	page, err := c.Events(t.Context(), client.EventFilter{}, client.Paging{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) == 0 {
		return 0
	}
	return int(page.Items[0].Seq)
}

// peakOf returns the most memory that a process that runs held.
func peakOf(t testing.TB, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
