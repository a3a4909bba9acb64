package app_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/app"
	"weir/internal/config"
)

func configured(dir string) config.Config {
	cfg := config.Default()
	cfg.Data, cfg.Listen = dir, "127.0.0.1:0"
	cfg.AllowDestinations = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return cfg
}

// running is a server at work. Its end stops it and returns how it ended.
type running struct {
	*app.App
	*client.Client
	end func() error
}

func run(t *testing.T, cfg config.Config, token string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	a, err := app.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if token == "" {
		token = a.AdminToken()
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	r := &running{App: a, Client: &client.Client{URL: a.URL(), Token: token}}
	r.end = sync.OnceValue(func() error {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = r.end() })
	return r
}

func TestTheAdminTokenIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := run(t, configured(dir), "")
	token := first.AdminToken()
	if !strings.HasPrefix(token, "weir_") {
		t.Fatalf("the first start made %q", token)
	}
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "secret.key"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %o", path, info, err, mode)
		}
	}

	// A token that is configured later changes nothing: the first holds.
	cfg := configured(dir)
	cfg.Admin.Token = config.NewSecret("weir_another-token-of-somebody")
	second := run(t, cfg, token)

	if made := second.AdminToken(); made != "" {
		t.Errorf("the second start made %q, too", made)
	}
	if _, err := second.Secrets(t.Context()); err != nil {
		t.Error(err)
	}
	stranger := client.Client{URL: second.App.URL(), Token: "weir_another-token-of-somebody"}
	if _, err := stranger.Secrets(t.Context()); weir.CodeOf(err) != weir.Unauthenticated {
		t.Errorf("a token that was never made: %v", err)
	}
}

func TestServeTellsTheTokenOnceAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve := func(cfg config.Config) string {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := &told{until: " listens on ", then: cancel}
		if err := app.Serve(ctx, cfg, out, io.Discard); err != nil {
			t.Error(err)
		}
		return out.String()
	}
	token := regexp.MustCompile(`weir_[0-9A-Za-z]{43}`)
	given := configured(t.TempDir())
	given.Admin.Token = config.NewSecret("weir_a-token-that-was-given")

	if out := serve(configured(dir)); len(token.FindAllString(out, -1)) != 1 {
		t.Errorf("the first start told %q", out)
	}
	if out := serve(configured(dir)); token.MatchString(out) {
		t.Errorf("the second start told %q", out)
	}
	if out := serve(given); strings.Contains(out, "a-token-that-was-given") {
		t.Errorf("a start with a token told it: %q", out)
	}
}

// told is what a server prints; it acts once that holds a text.
type told struct {
	bytes.Buffer
	until string
	then  func()
}

func (w *told) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.until) {
		w.then()
	}
	return n, err
}

// A start that fails leaves nothing open: the next one has the directory.
func TestAStartThatFailsLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(t, configured(dir), "").end(); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := run(t, configured(other), "").end(); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		spoil, mend func(cfg *config.Config)
		want        string
	}{
		"the address is taken": {
			func(cfg *config.Config) { cfg.Listen = taken.Addr().String() },
			func(*config.Config) {}, "address already in use",
		},
		"the key is open to others": {
			func(*config.Config) { chmod(t, filepath.Join(dir, "secret.key"), 0o644) },
			func(*config.Config) { chmod(t, filepath.Join(dir, "secret.key"), 0o600) }, "chmod 600",
		},
		"the state is another's": {
			func(*config.Config) { swap(t, filepath.Join(dir, "state.db"), filepath.Join(other, "state.db")) },
			func(*config.Config) { swap(t, filepath.Join(dir, "state.db"), filepath.Join(other, "state.db")) }, "state",
		},
	} {
		cfg := configured(dir)
		c.spoil(&cfg)

		_, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))

		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		c.mend(&cfg)
		again, err := app.Open(t.Context(), configured(dir), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("after %q: %v", name, err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func swap(t *testing.T, a, b string) {
	t.Helper()
	for _, move := range [][2]string{{a, a + ".was"}, {b, a}, {a + ".was", b}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// A stop lets what is under way end: the step's outcome is on record, and the
// step is not done again.
func TestAStopWaitsForStepsUnderWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	began, finish := make(chan struct{}, 10), make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		select {
		case <-finish:
		case <-r.Context().Done():
		}
	}))
	defer receiver.Close()
	first := run(t, configured(dir), "")
	token := first.AdminToken()
	text := `triggers: {one: {match: {type: x}, run: [{http: {url: ` + receiver.URL + `}}]}}`
	if _, err := first.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Publish(t.Context(), &weir.Event{Source: "/s", Type: "x"}); err != nil {
		t.Fatal(err)
	}
	<-began

	ended := make(chan error, 1)
	go func() { ended <- first.end() }()
	for err := error(nil); err == nil; {
		_, err = first.Version(t.Context()) // until it takes no more
	}
	close(finish)

	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	second := run(t, configured(dir), token)
	runs, err := second.Runs(t.Context(), client.RunFilter{}, client.Paging{})
	if err != nil || len(runs.Items) != 1 || runs.Items[0].State != "succeeded" || len(began) != 0 {
		t.Errorf("after the restart: %+v, %v, and %d more requests", runs.Items, err, len(began))
	}
}

func TestAConnectionThatWasNeverUsedDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t.TempDir()), "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.App.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()

	if err := r.end(); err != nil {
		t.Fatal(err)
	}

	if took := time.Since(began); took > 4*time.Second { // net/http alone waits five
		t.Errorf("it took %v", took)
	}
}
