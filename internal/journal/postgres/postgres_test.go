package postgres

import (
	"io"
	"sync"
	"testing"

	"weir/internal/journal/journaltest"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
)

func openDB(tb testing.TB, url string) *pg.DB {
	tb.Helper()
	db, err := pg.Open(tb.Context(), pg.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

func open(tb testing.TB, db *pg.DB) *Journal {
	tb.Helper()
	j, err := Open(tb.Context(), Options{DB: db})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close() })
	return j
}

func TestJournalConforms(t *testing.T) {
	t.Parallel()
	var urls sync.Map // a place is a database
	journaltest.Run(t, func(tb testing.TB, dir string) (journaltest.Journal, io.Closer) {
		url, ok := urls.Load(dir)
		if !ok {
			url = pgtest.New(tb)
			urls.Store(dir, url)
		}
		j := open(tb, openDB(tb, url.(string)))
		return j, j
	})
}
