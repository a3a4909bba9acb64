package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/internal/backup"
	"weir/internal/config"
	"weir/internal/pg/pgtest"
)

func TestMigratingLeavesAServerAloneAndMakesNoData(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	if _, err := Migrate(t.Context(), cfg, Migrating{}); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("without data: %v", err)
	}
	a, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}

	all, err := Migrate(t.Context(), cfg, Migrating{Status: true})
	if err != nil || len(all) == 0 || all[0].At == 0 || all[0].Version == "" {
		t.Errorf("beside a server: %+v, %v", all, err)
	}
	for _, how := range []Migrating{{}, {DryRun: true}} {
		if _, err := Migrate(t.Context(), cfg, how); weir.CodeOf(err) != weir.Unavailable {
			t.Errorf("%+v beside a server: %v", how, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	after, err := Migrate(t.Context(), cfg, Migrating{})
	if err != nil || len(after) != len(all) {
		t.Errorf("after it: %+v, %v", after, err)
	}
}

func TestADatabaseIsMigratedAheadOfItsNodes(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Database = config.NewDatabase(pgtest.New(t))
	lacking := func(how Migrating) (n int, text string) {
		t.Helper()
		all, err := Migrate(t.Context(), cfg, how)
		if err != nil || len(all) == 0 {
			t.Fatalf("%+v: %v, %v", how, all, err)
		}
		for _, m := range all {
			if m.At == 0 {
				n++
			}
			text += m.Text
		}
		return n, text
	}

	_, unmade := Verify(t.Context(), cfg, nil, func(backup.Fault) {})
	before, _ := lacking(Migrating{Status: true})
	asText, text := lacking(Migrating{SQL: true})
	dry, _ := lacking(Migrating{DryRun: true})
	applied, _ := lacking(Migrating{})
	after, none := lacking(Migrating{SQL: true})

	if weir.CodeOf(unmade) != weir.NotFound {
		t.Errorf("verify without data: %v", unmade)
	}
	if before == 0 || asText != before || dry != before || applied != before || after != 0 {
		t.Errorf("lacking: %d, as text %d, dry %d, applied %d, then %d", before, asText, dry, applied, after)
	}
	if !strings.Contains(text, "CREATE TABLE meta") || none != "" {
		t.Errorf("the text of what is lacking: %.100s, then %.100s", text, none)
	}
}

// Who gives a server a database sees an empty server, and is told why.
func TestADirectoryIsNotReadWhereThereIsADatabase(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	alone, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := alone.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Database = config.NewDatabase(pgtest.New(t))
	var logged bytes.Buffer

	a, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}

	if !strings.Contains(logged.String(), "what the data directory has is not read") {
		t.Errorf("%s", &logged)
	}
}

func TestAStateWithoutItsJournalIsRefusedAndGetsNoNewOne(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	if err := openAlone(t, cfg).close(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cfg.Data, journalDir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}

	_, err := openEmbedded(t.Context(), cfg, slog.New(slog.DiscardHandler))

	if weir.CodeOf(err) != weir.Conflict || !strings.Contains(err.Error(), dir+" is missing") {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a new journal is in the way of the one that is put back")
	}
}
