// Package enginetest gives tests of rooms that work on a journal and a state both
// engines: the embedded one, and PostgreSQL.
package enginetest

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"weir/internal/journal/chapter"
	"weir/internal/journal/journaltest"
	journalpg "weir/internal/journal/postgres"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
	statepg "weir/internal/state/postgres"
	"weir/internal/state/sqlite"
	"weir/internal/state/statetest"
)

// Journal is an open journal of either engine.
type Journal interface {
	journaltest.Journal
	Close() error
}

// State is an open state of either engine, as who holds its shard sees it.
type State interface {
	statetest.Live
	statetest.Lists
}

// Stores are an open journal with its state. Who opened them closes the journal,
// then the state.
type Stores struct {
	Journal Journal
	State   State
}

// Engine opens stores that are empty, once.
type Engine func(tb testing.TB) *Stores

// Each runs a test on the stores of each engine.
func Each(t *testing.T, test func(t *testing.T, s *Stores)) {
	t.Helper()
	each(t, postgres, func(t *testing.T, open Engine) {
		s := open(t)
		t.Cleanup(func() {
			if err := errors.Join(s.Journal.Close(), s.State.Close()); err != nil {
				t.Error(err)
			}
		})
		test(t, s)
	})
}

// EachInBubble runs a test that opens the stores in a bubble of fake time. There
// the journal is an embedded one beside either state: a record's time on
// PostgreSQL is the database's, which knows nothing of fake time.
func EachInBubble(t *testing.T, test func(t *testing.T, open Engine)) {
	t.Helper()
	each(t, mixed, test)
}

func each(t *testing.T, other func(testing.TB, string) *Stores, test func(t *testing.T, open Engine)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, Embedded)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgtest.New(t)
		test(t, func(tb testing.TB) *Stores { return other(tb, url) })
	})
}

// Embedded opens those of the embedded engine, for tests that say themselves what
// another does.
func Embedded(tb testing.TB) *Stores {
	tb.Helper()
	dir := tb.TempDir()
	j := chapters(tb, dir)
	s, err := sqlite.Open(tb.Context(), sqlite.Options{Path: filepath.Join(dir, "state.db"), DataID: j.DataID()})
	if err != nil {
		tb.Fatal(err)
	}
	return &Stores{j, s}
}

func chapters(tb testing.TB, dir string) *chapter.Journal {
	tb.Helper()
	j, err := chapter.Open(tb.Context(), chapter.Options{Dir: filepath.Join(dir, "journal")})
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

// held is a state in a database, with the shard's hold.
type held struct {
	*statepg.Tenure
	db *pg.DB
}

func (h held) Close() error {
	h.db.Close()
	return nil
}

func hold(tb testing.TB, url string) held {
	tb.Helper()
	db, err := pg.Open(tb.Context(), pg.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	s := statepg.New(statepg.Options{DB: db})
	token, err := s.Holds().Acquire(tb.Context(), "shard 0", "n1", time.Hour, 0)
	if err != nil || token == 0 {
		tb.Fatal(token, err)
	}
	return held{s.Tenure(token), db}
}

func postgres(tb testing.TB, url string) *Stores {
	tb.Helper()
	s := hold(tb, url)
	j, err := journalpg.Open(tb.Context(), journalpg.Options{DB: s.db})
	if err != nil {
		tb.Fatal(err)
	}
	return &Stores{j, s}
}

func mixed(tb testing.TB, url string) *Stores {
	tb.Helper()
	return &Stores{chapters(tb, tb.TempDir()), hold(tb, url)}
}

var (
	_ State = (*sqlite.State)(nil)
	_ State = held{}
)
