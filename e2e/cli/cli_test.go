package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir/internal/app"
	"weir/internal/cli"
	"weir/internal/cli/copies"
	"weir/internal/config"
	"weir/internal/demo"
)

var update = flag.Bool("update", false, "write the expected output of scripts anew")

const token = "weir_a-token-of-the-scripts"

// TestMain makes `weir` a command of the scripts: this binary under that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": weirMain, "among": among})
}

func weirMain() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Programs{
		Serve: app.Serve,
		Demo: func(ctx context.Context, o cli.DemoOptions) error {
			return demo.Run(ctx, demo.Options{Once: o.Once, JSON: o.JSON, ProjectFile: o.File, Out: o.Out})
		},
		Migrate: func(ctx context.Context, cfg config.Config, o cli.MigrateOptions) (all []cli.Migration, err error) {
			migrations, err := app.Migrate(ctx, cfg, app.Migrating(o))
			for _, m := range migrations {
				all = append(all, cli.Migration(m))
			}
			return all, err
		},
		Copies:  copies.Programs{Restore: app.Restore, Verify: app.Verify, VerifyCopy: app.VerifyCopy},
		Version: "v0.0.0-test",
	}, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
}

// among WORD... FIELD waits until `weir runs -o json` has a run with the words
// in it, and prints the run's field. It is how a script waits for what the
// server does by itself.
func among() {
	words, name := os.Args[1:len(os.Args)-1], os.Args[len(os.Args)-1]
	var out strings.Builder
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		out.Reset()
		cli.Run(context.Background(), []string{"runs", "-o", "json"}, cli.Programs{},
			cli.Streams{In: os.Stdin, Out: &out, Err: os.Stderr, Env: os.Getenv})
		var page struct{ Items []map[string]any }
		if json.Unmarshal([]byte(out.String()), &page) != nil {
			continue
		}
		for _, run := range page.Items {
			if hasAll(fmt.Sprint(run), words) {
				fmt.Println(run[name])
				os.Exit(0)
			}
		}
	}
	fmt.Fprintln(os.Stderr, "no such run in time:", out.String())
	os.Exit(1)
}

func hasAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// Each script has a server of its own, and a receiver that refuses /broken.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			url, stop, err := serve(env.WorkDir + "/.data")
			if err != nil {
				return err
			}
			env.Defer(stop)
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if r.URL.Path == "/broken" {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}))
			env.Defer(receiver.Close)
			env.Setenv("WEIR_URL", url)
			env.Setenv("WEIR_TOKEN", token)
			env.Setenv("RECEIVER", receiver.URL)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // with -race each weir would sleep for a second when it ends
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// setenv NAME: the variable becomes the last output, without its end.
			"setenv": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
			},
			// expand FILE: $RECEIVER in the file becomes the receiver's URL.
			"expand": func(ts *testscript.TestScript, _ bool, args []string) {
				text := strings.ReplaceAll(ts.ReadFile(args[0]), "$RECEIVER", ts.Getenv("RECEIVER"))
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
			},
			// jsondoc: the last output is one JSON document.
			"jsondoc": func(ts *testscript.TestScript, _ bool, _ []string) {
				var v any
				ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
			},
			// field NAME: the field of the only item of the last output becomes the last output.
			"field": func(ts *testscript.TestScript, _ bool, args []string) {
				var page struct{ Items []map[string]any }
				ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &page))
				if len(page.Items) != 1 {
					ts.Fatalf("%d items", len(page.Items))
				}
				fmt.Fprintln(ts.Stdout(), page.Items[0][args[0]])
			},
			"pages":   pages,
			"nowhere": nowhere,
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

// pages N LIST...: the list has N items, shown one a page as all together.
func pages(ts *testscript.TestScript, _ bool, args []string) {
	type page struct {
		Items []any
		Next  string
	}
	read := func(more ...string) (p page) {
		ts.Check(ts.Exec("weir", slices.Concat(args[1:], []string{"-o", "json"}, more)...))
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &p))
		return p
	}
	all := read()
	if fmt.Sprint(len(all.Items)) != args[0] || all.Next != "" {
		ts.Fatalf("%d items, and then %q", len(all.Items), all.Next)
	}
	var single []any
	for p := read("--limit", "1"); ; p = read("--limit", "1", "--after", p.Next) {
		if len(p.Items) > 1 {
			ts.Fatalf("%d items on a page of one", len(p.Items))
		}
		single = append(single, p.Items...)
		if p.Next == "" {
			break
		}
	}
	if !reflect.DeepEqual(all.Items, single) {
		ts.Fatalf("all: %v\nby pages: %v", all.Items, single)
	}
}

// nowhere TEXT: no file of the server has the text.
func nowhere(ts *testscript.TestScript, _ bool, args []string) {
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(".data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(args[0])) {
			ts.Fatalf("%s has it", path)
		}
		files++
		return err
	}))
	if files == 0 {
		ts.Fatalf("the server has no files")
	}
}

func serve(dir string) (url string, stop func(), err error) {
	cfg := config.Default()
	cfg.Data, cfg.Listen = dir, "127.0.0.1:0"
	cfg.AllowDestinations = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Admin.Token = config.NewSecret(token)
	ctx, cancel := context.WithCancel(context.Background())
	a, err := app.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		cancel()
		return "", nil, err
	}
	served := make(chan error, 1)
	go func() { served <- a.Run(ctx) }()
	return a.URL(), func() {
		cancel()
		if err := <-served; err != nil {
			panic(err)
		}
	}, nil
}
