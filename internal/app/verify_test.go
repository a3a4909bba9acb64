package app

import (
	"log/slog"
	"os"
	"path/filepath"
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
