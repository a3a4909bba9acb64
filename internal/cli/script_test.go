package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"weir/internal/config"
)

// TestMain makes `weir` a command of the scripts, with programs that tell what
// they were given.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": func() {
		os.Exit(Run(context.Background(), os.Args[1:], Programs{
			Serve: func(_ context.Context, cfg config.Config, out, _ io.Writer) error {
				_, err := fmt.Fprintf(out, "serve %s on %s\n", cfg.Data, cfg.Listen)
				return err
			},
			Demo: func(_ context.Context, o DemoOptions) error {
				_, err := fmt.Fprintf(o.Out, "demo once=%t json=%t file=%q\n", o.Once, o.JSON, o.File)
				return err
			},
			Migrate: func(_ context.Context, _ config.Config, o MigrateOptions) ([]Migration, error) {
				lacking := Migration{Name: "0002_more.sql"}
				if o.SQL {
					lacking.Text = "CREATE TABLE more (x bigint);\n"
				}
				return []Migration{{Name: "0001_state.sql", Version: "v1.2.2", At: 1}, lacking}, nil
			},
			Version: "v1.2.3",
		}, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
	}})
}

// Each script has a server that answers METHOD /v1/x?y with its file
// api/METHOD/v1/x.json: the status on the first line, then the body. Without such a
// file it answers 404, and no problem. What it was asked is in the file asked.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			server := httptest.NewServer(fake(env.WorkDir))
			env.Defer(server.Close)
			env.Setenv("WEIR_URL", server.URL)
			env.Setenv("WEIR_TOKEN", "weir_token")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // with -race each weir would sleep for a second when it ends
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// same FILE: the last output is the same JSON as what the file answers.
			"same": func(ts *testscript.TestScript, _ bool, args []string) {
				_, answer, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
				var want, got any
				ts.Check(json.Unmarshal([]byte(answer), &want))
				ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &got))
				if fmt.Sprint(want) != fmt.Sprint(got) {
					ts.Fatalf("answered %v, printed %v", want, got)
				}
			},
			// status N COMMAND...: the command ends with that exit status.
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				if got := fmt.Sprint(err); got != "exit status "+args[0] {
					ts.Fatalf("%s, want exit status %s", got, args[0])
				}
			},
		},
	})
}

// fake answers from the files below dir, and notes there what it was asked.
func fake(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = note(filepath.Join(dir, "asked"), r, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		answer, err := os.ReadFile(filepath.Join(dir, "api", r.Method, filepath.FromSlash(r.URL.Path+".json")))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		var status int
		first, rest, _ := strings.Cut(string(answer), "\n")
		if _, err := fmt.Sscan(first, &status); err != nil {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, rest)
	})
}

// note appends a request, with the headers that mean something.
func note(file string, r *http.Request, body []byte) error {
	var b strings.Builder
	fmt.Fprintln(&b, r.Method, r.URL)
	for _, name := range []string{"Authorization", "Content-Type", "Weir-Project"} {
		if value := r.Header.Get(name); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	if len(body) > 0 {
		fmt.Fprintf(&b, "%s\n", strings.TrimSuffix(string(body), "\n"))
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(b.String())
	return errors.Join(err, f.Close())
}
