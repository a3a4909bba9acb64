package sqlite

import (
	"path/filepath"
	"testing"

	"weir/internal/fold"
)

func TestACopyIsTheStateAsOfOneMoment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{Path: filepath.Join(dir, "state.db"), DataID: [16]byte{1}}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Flush(t.Context(), &fold.Layer{To: 7, At: 9}); err != nil {
		t.Fatal(err)
	}

	o.Path = filepath.Join(dir, "copy.db")
	if err := s.Copy(t.Context(), o.Path); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context(), &fold.Layer{From: 7, To: 8, At: 9}); err != nil {
		t.Fatal(err)
	}

	copied, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if seq, at, err := copied.Cursor(t.Context()); seq != 7 || at != 9 || err != nil {
		t.Errorf("cursor %d at %d, %v", seq, at, err)
	}
	if err := s.Copy(t.Context(), o.Path); err == nil {
		t.Error("a file that is there was written over")
	}
}
