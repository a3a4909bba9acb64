package app

import (
	"log/slog"
	"testing"

	"weir"
	"weir/internal/config"
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
