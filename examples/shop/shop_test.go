// Package shop holds the files of examples/shop to a real server.
package shop

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/client"
	"weir/internal/app"
	"weir/internal/cli"
	"weir/internal/config"
)

const token = "weir_a-token-of-the-shop"

// serve starts a server and returns its URL.
func serve(t *testing.T) string {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Admin.Token = config.NewSecret(token)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	a, err := app.Open(ctx, cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
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

// shell runs commands against one server.
type shell struct {
	t   *testing.T
	url string
}

// weir runs a command, which must end with a status, and returns what it printed.
func (s shell) weir(status int, args ...string) string {
	s.t.Helper()
	env := map[string]string{"WEIR_URL": s.url, "WEIR_TOKEN": token}
	var out bytes.Buffer
	got := cli.Run(s.t.Context(), args, cli.Programs{}, cli.Streams{
		In: strings.NewReader(""), Out: &out, Err: &out, Env: func(name string) string { return env[name] },
	})
	if got != status {
		s.t.Fatalf("weir %q: status %d, want %d\n%s", args, got, status, out.String())
	}
	return out.String()
}

func wants(t *testing.T, got string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %q in:\n%s", line, got)
		}
	}
}

// copyOf returns a copy of the example, below a directory of its own.
func copyOf(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func replace(t *testing.T, file, old, now string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("%s has no %q", file, old)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte(old), []byte(now), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheExampleIsAppliedAndExportedAsTheSame(t *testing.T) {
	t.Parallel()
	s := shell{t, serve(t)}

	got := s.weir(0, "apply", ".")
	if strings.Contains(got, "warning") {
		t.Error(got)
	}
	wants(t, got, "+ event order.placed", "+ pipeline unshipped.run", "+ trigger usage", "applied as revision 1")
	wants(t, s.weir(0, "apply", "."), "nothing to change; revision 1")

	dir := t.TempDir()
	s.weir(0, "export", "--dir", dir)
	wants(t, s.weir(0, "apply", dir, "--from", "."), "nothing to change; revision 1")
	file := filepath.Join(dir, "all.yaml")
	if err := os.WriteFile(file, []byte(s.weir(0, "export")), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, s.weir(0, "apply", file, "--from", "."), "nothing to change; revision 1")
	if diff := cmp.Diff(s.weir(0, "export", "-o", "json"), s.weir(0, "export", "-o", "json")); diff != "" {
		t.Error(diff)
	}
}

func TestApplyTellsWhatChangesAndPrunesWhatCameFromThere(t *testing.T) {
	t.Parallel()
	s, dir := shell{t, serve(t)}, copyOf(t)
	s.weir(0, "apply", dir)
	c := &client.Client{URL: s.url, Token: token}
	for _, instance := range []string{"i1", "i2"} {
		e := &weir.Event{ID: instance, Source: "/cloud", Type: "compute.instance.create", Data: []byte(`{"instance_id": "` + instance + `"}`)}
		if _, err := c.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if open, err := c.Groups(t.Context(), client.GroupFilter{}, client.Paging{}); err != nil || len(open.Items) != 2 {
		t.Fatal(open, err)
	}

	replace(t, filepath.Join(dir, "usage.yaml"), "> 512", "> 1024")
	replace(t, filepath.Join(dir, "orders.yaml"), "  alert: {", "  alarm: {")
	replace(t, filepath.Join(dir, "orders.yaml"), "on_failure: alert", "on_failure: alarm")
	replace(t, filepath.Join(dir, "schemas", "order.placed.json"), `"minimum": 0`, `"minimum": 1`)
	got := s.weir(0, "apply", dir, "--dry-run")
	wants(t, got,
		"~ event order.placed (schema)", "+ pipeline alarm", "~ pipeline tell (on_failure)",
		"~ trigger usage (match), its 2 open groups take no more events",
		"pipeline alert is no more in the files, and stays: --prune removes it", "a dry run: nothing was changed; revision 1")

	got = s.weir(2, "apply", dir, "--prune")
	wants(t, got, `    on_failure: alert`)
	if !strings.Contains(got, `usage.yaml:27:17: there is no pipeline "alert" (define it under pipelines)`) {
		t.Error(got)
	}
	replace(t, filepath.Join(dir, "usage.yaml"), "on_failure: alert", "on_failure: alarm")
	wants(t, s.weir(0, "apply", dir, "--prune"), "- pipeline alert", "applied as revision 2")

	wants(t, s.weir(0, "apply", filepath.Join(dir, "usage.yaml")),
		"~ trigger usage, was applied from "+dir, "applied as revision 3")
	wants(t, s.weir(0, "apply", dir, "--prune"), "~ trigger usage, was applied from "+filepath.Join(dir, "usage.yaml"))
}
