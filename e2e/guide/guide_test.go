package guide

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"weir/internal/app"
	"weir/internal/cli"
	"weir/internal/cli/copies"
	"weir/internal/config"
	"weir/internal/project"
)

const (
	docs  = "../../docs"
	token = "weir_a-token-of-the-guide"
)

// TestMain makes `weir` a command of the shell: this binary under that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(cli.Run(ctx, os.Args[1:], cli.Programs{
			Serve: app.Serve, Copies: copies.Programs{Restore: app.Restore, Verify: app.Verify, VerifyCopy: app.VerifyCopy}, Version: "v0.0.0-test",
		},
			cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
	}})
}

func pages(t testing.TB) (all []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(docs, "guide", "*.md"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return all
}

// TestProjectFilesOfTheGuideAreValid parses every yaml block of the guide as a
// file of its own.
func TestProjectFilesOfTheGuideAreValid(t *testing.T) {
	t.Parallel()
	for _, path := range append(pages(t), filepath.Join(docs, "tutorial.md")) {
		p := readPage(t, path)
		for _, b := range p.of("yaml") {
			if _, err := project.Parse(project.File{Name: filepath.Base(path), Text: []byte(b.text)}); err != nil {
				t.Errorf("%s: %v", p.at(b), err)
			}
		}
	}
}

// TestCommandsOfTheGuideRun types the commands of each page into a shell, with
// a server and a receiver of its own.
func TestCommandsOfTheGuideRun(t *testing.T) {
	t.Parallel()
	needs(t, "bash", "curl", "jq", "openssl")
	for _, path := range pages(t) {
		p := readPage(t, path)
		if len(p.of("sh")) == 0 {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".md"), func(t *testing.T) {
			t.Parallel()
			receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
			}))
			t.Cleanup(receiver.Close)
			open(t, t.TempDir(), "WEIR_URL="+serve(t), "WEIR_TOKEN="+token, "RECEIVER="+receiver.URL).play(p)
		})
	}
}

// TestCommandsOfTheTutorialRun types the tutorial into a shell in a checkout, as
// a newcomer would: it builds weir and starts its own server at the usual
// address, which must be free.
func TestCommandsOfTheTutorialRun(t *testing.T) {
	t.Parallel()
	needs(t, "bash", "curl", "jq", "openssl")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"HOME=" + t.TempDir()}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} { // not below the new home, or everything is compiled anew
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	open(t, root, env...).play(readPage(t, filepath.Join(docs, "tutorial.md")))
}

// needs skips where a command of the pages is not there and could not be
// installed by scripts/e2e; in CI that is a failure.
func needs(t testing.TB, commands ...string) {
	t.Helper()
	for _, name := range commands {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

// serve starts a server that may call loopback, and returns its URL.
func serve(t testing.TB) string {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.AllowDestinations = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Admin.Token = config.NewSecret(token)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	a, err := app.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return a.URL()
}
