package cli

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/internal/cli/show"
)

// keys is a keyboard at which somebody types, or waits to be interrupted.
type keys struct {
	io.Reader
	typed   string
	wait    func()
	restore bool // Restore was called
}

func (k *keys) ReadUnechoed() ([]byte, error) {
	k.wait()
	return []byte(k.typed), nil
}

func (k *keys) Restore() error {
	k.restore = true
	return nil
}

func TestAnInterruptedQuestionLeavesATerminalThatEchoes(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	typing := make(chan struct{})
	defer close(typing)
	k := &keys{wait: func() {
		interrupt()
		<-typing
	}}
	var said strings.Builder

	status := Run(ctx, []string{"secret", "set", "github"}, Programs{}, Streams{
		In: k, Out: io.Discard, Err: &said, Env: variables(map[string]string{"WEIR_TOKEN": "weir_token"}),
	})

	if status != 130 || !k.restore {
		t.Errorf("status %d, restored %t: %s", status, k.restore, said.String())
	}
}

func TestASecretThatIsTypedIsAskedForAndNotShown(t *testing.T) {
	t.Parallel()
	var sent, said strings.Builder
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&sent, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)

	status := Run(t.Context(), []string{"secret", "set", "c"}, Programs{}, Streams{
		In: &keys{typed: "hidden typed", wait: func() {}}, Out: &said, Err: &said,
		Env: variables(map[string]string{"WEIR_TOKEN": "weir_token", "WEIR_URL": server.URL}),
	})

	if status != 0 || sent.String() != `{"value":"hidden typed"}` || said.String() != "value of c: \nsecret c is set\n" {
		t.Errorf("status %d, sent %s, said %q", status, sent.String(), said.String())
	}
}

func TestAWaitForInputEndsWithTheFirstInterrupt(t *testing.T) {
	t.Parallel()
	in, keep := io.Pipe()
	defer keep.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()

	_, err := await(ctx, func() ([]byte, error) { return io.ReadAll(in) })

	if !errors.Is(err, context.Canceled) || show.ExitStatus(err) != 130 {
		t.Errorf("got %v", err)
	}
}

// screen is an output that says that it is a terminal.
type screen struct{ strings.Builder }

func (*screen) IsTerminal() bool { return true }

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
			env := map[string]string{"WEIR_TOKEN": "weir_token", "WEIR_URL": server.URL}
			for k, v := range c.env {
				env[k] = v
			}
			var shown screen

			status := Run(t.Context(), append([]string{"runs"}, c.args...), Programs{}, Streams{
				Out: &shown, Err: io.Discard, Env: variables(env),
			})

			if got := shown.String(); status != 0 || !strings.Contains(got, c.want) ||
				strings.Contains(got, "\x1b") != strings.Contains(c.want, "\x1b") {
				t.Errorf("status %d, shown %q", status, got)
			}
		})
	}
}
