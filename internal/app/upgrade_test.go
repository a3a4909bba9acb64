package app_test

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver

	"weir"
	"weir/client"
	"weir/internal/app"
	"weir/internal/backup"
	"weir/internal/config"
)

// later are the statements of a migration that only a newer weir has. It adds,
// as all migrations do that an older one must bear.
var later = []string{
	`CREATE TABLE later (x BIGINT)`,
	`ALTER TABLE projects ADD COLUMN later TEXT`,
	`ALTER TABLE tokens ADD COLUMN later TEXT`,
	`INSERT INTO migrations (number, name, sum, version, applied_us)
SELECT max(number) + 1, '0099_later.sql', 'x', 'v9.9.9', 1 FROM migrations`,
}

func TestAnOlderWeirGoesOnWhileANewerMigratesButDoesNotStart(t *testing.T) {
	t.Parallel()
	cfg := configured(t.TempDir())
	bearsALaterSchema(t, cfg, func() *sql.DB { return opened(t, "sqlite", filepath.Join(cfg.Data, "state.db")) })
}

func opened(t *testing.T, driver, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func bearsALaterSchema(t *testing.T, cfg config.Config, open func() *sql.DB) {
	t.Helper()
	r := run(t, cfg, "")
	db := open()
	defer db.Close()

	for _, text := range later {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}

	if _, err := r.Apply(t.Context(), client.File{Text: []byte(`triggers: {one: {match: {type: x}}}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Publish(t.Context(), &weir.Event{Source: "/s", Type: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := r.SetSecret(t.Context(), "a", "b"); err != nil {
		t.Error(err)
	}
	if runs, err := r.Runs(t.Context(), client.RunFilter{}, client.Paging{}); err != nil || len(runs.Items) != 1 {
		t.Errorf("the older weir goes on with %+v, %v", runs.Items, err)
	}
	if err := r.end(); err != nil {
		t.Errorf("the older weir ends with %v", err)
	}
	_, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if weir.CodeOf(err) != weir.Conflict || !strings.Contains(err.Error(), "run weir v9.9.9 or newer") {
		t.Errorf("the older weir starts: %v", err)
	}
	for _, how := range []app.Migrating{{}, {Status: true}, {SQL: true}} {
		if _, err := app.Migrate(t.Context(), cfg, how); weir.CodeOf(err) != weir.Conflict {
			t.Errorf("migrate %+v: %v", how, err)
		}
	}
}

// Verifying must not be what keeps the older weir from starting again.
func TestVerifyLeavesWhatAnOlderWeirLeftAsItIs(t *testing.T) {
	t.Parallel()
	cfg := configured(unpacked(t, 2))
	fault := func(f backup.Fault) { t.Errorf("%+v", f) }

	_, err := app.Verify(t.Context(), cfg, nil, fault)
	all, looked := app.Migrate(t.Context(), cfg, app.Migrating{Status: true})
	report, copied := app.VerifyCopy(t.Context(), cfg.Data, fault)

	if weir.CodeOf(err) != weir.Conflict || !strings.Contains(err.Error(), "0002_upkeep.sql") {
		t.Errorf("an older directory: %v", err)
	}
	if looked != nil || len(all) < 2 || all[1].At != 0 {
		t.Errorf("then it has %+v, %v", all, looked)
	}
	if copied != nil || report.Records == 0 {
		t.Errorf("a copy: %+v, %v", report, copied)
	}
}
