package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: what the user sees and types, and what the
// program has.
func terminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = user.Close() })
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return user, program
}

func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func TestAnInterruptedQuestionLeavesATerminalThatEchoes(t *testing.T) {
	t.Parallel()
	user, program := terminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	status := make(chan int, 1)
	var said bytes.Buffer
	go func() {
		status <- Run(ctx, []string{"secret", "set", "github"}, Programs{}, Streams{
			In: program, Out: io.Discard, Err: &said, Env: variables(map[string]string{"WEIR_TOKEN": "weir_token"}),
		})
	}()
	for echoes(t, program) {
		runtime.Gosched()
	}

	interrupt()

	if got := <-status; got != 130 || !echoes(t, program) {
		t.Errorf("status %d, echoes %t: %s", got, echoes(t, program), said.String())
	}
	_, _ = io.WriteString(user, "\n") // ends the read that was left behind
}

func TestAWaitForInputEndsWithTheFirstInterrupt(t *testing.T) {
	t.Parallel()
	in, keep := io.Pipe()
	defer keep.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()

	_, err := await(ctx, func() ([]byte, error) { return io.ReadAll(in) })

	if !errors.Is(err, context.Canceled) || exitStatus(err) != 130 {
		t.Errorf("got %v", err)
	}
}

func TestStatesHaveColoursOnTerminalsOnly(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"items": [{"id": "run_1", "state": "dead"}, {"id": "run_2", "state": "succeeded"}]}`)
	}))
	t.Cleanup(server.Close)
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"colours":  {want: "\x1b[31mdead\x1b[0m       "},
		"NO_COLOR": {env: map[string]string{"NO_COLOR": "1"}, want: "dead       "},
		"dumb":     {env: map[string]string{"TERM": "dumb"}, want: "dead       "},
		"json":     {args: []string{"-o", "json"}, want: `"dead"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user, program := terminal(t)
			env := map[string]string{"WEIR_TOKEN": "weir_token", "WEIR_URL": server.URL}
			for k, v := range c.env {
				env[k] = v
			}

			status := Run(t.Context(), append([]string{"runs"}, c.args...), Programs{}, Streams{
				Out: program, Err: io.Discard, Env: variables(env),
			})

			shown := bufio.NewReader(user)
			for line, err := shown.ReadString('\n'); ; line, err = shown.ReadString('\n') {
				if err != nil || status != 0 {
					t.Fatalf("status %d: %v", status, err)
				}
				if strings.Contains(line, "dead") {
					if !strings.Contains(line, c.want) || strings.Contains(line, "\x1b") != strings.Contains(c.want, "\x1b") {
						t.Errorf("shown %q", line)
					}
					return
				}
			}
		})
	}
}
