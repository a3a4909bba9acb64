package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/backup"
	"weir/internal/config"
)

// TestVerifySaysWhatToDoWhereItCannotOpen: advice to make a backup of a server
// that runs stands only where one does, and never that to run what just ran.
func TestVerifySaysWhatToDoWhereItCannotOpen(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	verify := func() string {
		_, err := Verify(t.Context(), cfg, nil, func(backup.Fault) {})
		if weir.CodeOf(err) != weir.Unavailable {
			t.Fatal(err)
		}
		return err.Error()
	}
	e, err := openEmbedded(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	running := verify()
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(cfg.Data, journalDir, "00000001.chapter"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{1}, 20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	damaged := verify()

	if !strings.Contains(running, "of a server that runs") {
		t.Error(running)
	}
	if strings.Contains(damaged, "of a server that runs") || strings.Contains(damaged, "see weir verify") ||
		!strings.Contains(damaged, "00000001.chapter is damaged: restore from a backup") {
		t.Error(damaged)
	}
}

// TestWhatAKilledBackupLeftIsGoneAfterTheNextStart copies what there is while a
// backup is written, as a kill leaves it.
func TestWhatAKilledBackupLeftIsGoneAfterTheNextStart(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	entries := func() (names []string) {
		all, err := os.ReadDir(cfg.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			names = append(names, e.Name())
		}
		return names
	}
	open := func() *engine {
		e, err := openEmbedded(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if err := open().close(); err != nil {
		t.Fatal(err)
	}
	before := entries()
	_ = backup.Write(t.Context(), io.Discard, backup.Head{}, backup.Source{Dir: cfg.Data, CopyState: func(_ context.Context, path string) error {
		left := filepath.Dir(path)
		if err := os.CopyFS(left+"1", os.DirFS(left)); err != nil {
			t.Error(err)
		}
		return io.ErrUnexpectedEOF
	}})
	if left := entries(); len(left) != len(before)+1 {
		t.Fatalf("there are %v", left)
	}

	if err := open().close(); err != nil {
		t.Fatal(err)
	}

	if after := entries(); !slices.Equal(after, before) {
		t.Errorf("there are %v, and were %v", after, before)
	}
}
