package sqlite

import (
	"path/filepath"
	"testing"

	"modernc.org/sqlite"

	"weir"
)

func TestAStateThatLacksMigrationsSaysWhich(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	if _, _, err := Migrations(t.Context(), path); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("without a state: %v", err)
	}
	connector, err := sqlite.NewConnector(dsn(path, writeOptions))
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(t.Context(), connector)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.script("CREATE TABLE other (x)"); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}

	applied, pending, err := Migrations(t.Context(), path)

	if err != nil || len(applied) != 0 || len(pending) == 0 || pending[0].Name != "0001_state.sql" {
		t.Errorf("%v, %v, %v", applied, pending, err)
	}
	s, err := Open(t.Context(), Options{Path: path, DataID: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if applied, pending, err = Migrations(t.Context(), path); err != nil || len(pending) != 0 || len(applied) == 0 || applied[0].At == 0 {
		t.Errorf("%v, %v, %v", applied, pending, err)
	}
}
