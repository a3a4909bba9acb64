package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"weir"
	"weir/client"
)

// TestMain makes `weir` a command on the path: this binary under that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": main})
}

// process is a `weir` that runs.
type process struct {
	*exec.Cmd
	lines *bufio.Scanner // of its output
	said  []string       // by its output, as far as it was read
	logs  bytes.Buffer
}

// command is `weir args` with nothing of Weir in its environment but env.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "weir", args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WEIR_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "GORACE=atexit_sleep_ms=0"), env...)
	return cmd
}

// serve starts a server on dir and returns when it has said where it listens.
func serve(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	p := &process{Cmd: command(t, env, "serve", "--data", dir, "--listen", "127.0.0.1:0")}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines, p.Stderr = bufio.NewScanner(out), &p.logs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for p.lines.Scan() {
		p.said = append(p.said, p.lines.Text())
		if strings.Contains(p.lines.Text(), "listens on") {
			return p
		}
	}
	t.Fatalf("the server ended at its start: %v\n%s", p.Wait(), &p.logs)
	return nil
}

// client returns one for the server that p is.
func (p *process) client(token string) *client.Client {
	_, url, _ := strings.Cut(p.said[len(p.said)-1], "listens on ")
	return &client.Client{URL: url, Token: token}
}

// end sends a signal and waits for the process to end well, with nothing more said.
func (p *process) end(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	for p.lines.Scan() {
		t.Errorf("said besides: %s", p.lines.Text())
	}
	if err := p.Wait(); err != nil || !strings.Contains(p.logs.String(), "msg=stopped") {
		t.Errorf("%v: ended with %v\n%s", signal, err, &p.logs)
	}
}

func TestAServerTellsItsTokenOnceAndStopsWhenTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	first := serve(t, dir)
	_, token, found := strings.Cut(first.said[0], "shown only now: ")
	if !found || len(first.said) != 2 {
		t.Fatalf("the first start said %q", first.said)
	}
	receipts, err := first.client(token).Publish(t.Context(), &weir.Event{Source: "/s", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	first.end(t, syscall.SIGTERM)
	second := serve(t, dir)
	_, err = second.client(token).Event(t.Context(), receipts[0].UID)
	second.end(t, os.Interrupt)

	if err != nil {
		t.Errorf("the event of before the restart: %v", err)
	}
	if len(second.said) != 1 || strings.Contains(first.logs.String()+second.logs.String(), token) {
		t.Errorf("the second start said %q; logged\n%s%s", second.said, &first.logs, &second.logs)
	}
}

func TestATokenOfTheEnvironmentIsTakenAndNotShown(t *testing.T) {
	t.Parallel()
	const token = "weir_0123456789abcdef0123456789abcdef"
	p := serve(t, t.TempDir(), "WEIR_ADMIN_TOKEN="+token)

	_, err := p.client(token).Secrets(t.Context())

	if err != nil || len(p.said) != 1 {
		t.Errorf("%v; said %q", err, p.said)
	}
	p.end(t, syscall.SIGTERM)
	if strings.Contains(p.logs.String(), token) {
		t.Errorf("logged\n%s", &p.logs)
	}
}

func TestAServerWhosePlaceIsTakenSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := serve(t, dir)
	address := strings.TrimPrefix(p.client("").URL, "http://")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"directory": {[]string{"--data", dir, "--listen", "127.0.0.1:0"}, "another process may have it"},
		"address":   {[]string{"--data", t.TempDir(), "--listen", address}, "address already in use"},
	} {
		cmd := command(t, nil, append([]string{"serve"}, c.args...)...)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = io.Discard, &said

		_ = cmd.Run()

		if got := cmd.ProcessState.ExitCode(); got != 6 || !strings.Contains(said.String(), c.want) {
			t.Errorf("%s: status %d: %s", name, got, &said)
		}
	}
	p.end(t, syscall.SIGTERM)
}
