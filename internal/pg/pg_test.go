package pg_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"weir"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
)

func open(tb testing.TB, url string) *pg.DB {
	tb.Helper()
	db, err := pg.Open(tb.Context(), pg.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

func TestADatabaseIsMigratedOnceAndKeepsItsID(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	if applied, pending, err := pg.Migrations(t.Context(), url); err != nil || len(applied) != 0 || len(pending) == 0 {
		t.Fatalf("%v, %v, %v", applied, pending, err)
	}

	first, second := open(t, url), open(t, url)

	if first.DataID() != second.DataID() || first.DataID() == [16]byte{} {
		t.Errorf("%x and %x", first.DataID(), second.DataID())
	}
	if applied, pending, err := pg.Migrations(t.Context(), url); err != nil || len(applied) == 0 || len(pending) != 0 {
		t.Errorf("%v, %v, %v", applied, pending, err)
	}
}

func TestADatabaseOfAnotherApplicationIsLeftAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"CREATE TABLE users (id integer)":                  "open database: the database has a table users that is not weir's: give weir an empty database of its own",
		"CREATE TABLE migrations (id integer, hash text)":  "open database: the database has a table migrations that is not weir's: give weir an empty database of its own",
		"CREATE SCHEMA other; CREATE TABLE other.users ()": "",
	} {
		url := pgtest.New(t)
		pgtest.Exec(t, url, text)

		_, _, looked := pg.Migrations(t.Context(), url)
		db, opened := pg.Open(t.Context(), pg.Options{URL: url})
		if opened == nil {
			db.Close()
		}

		for _, err := range []error{looked, opened} {
			if (err == nil) != (want == "") || err != nil && (err.Error() != want || weir.CodeOf(err) != weir.Conflict) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestHintsReachAllNodes(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	one, two := open(t, url), open(t, url)
	heard := make(chan string, 100)
	for _, db := range []*pg.DB{one, two} {
		db.Hear("topic", func(text string) {
			if text != "" {
				heard <- text
			}
		})
		ready := make(chan struct{}, 100)
		db.Hear("ready", func(string) { ready <- struct{}{} })
		for listening := false; !listening; {
			db.Notify("ready", "x")
			select {
			case <-ready:
				listening = true
			case <-t.Context().Done():
				t.Fatal("nothing heard")
			default:
			}
		}
	}

	one.Notify("topic", "a text")

	for range 2 {
		if got := <-heard; got != "a text" {
			t.Errorf("heard %q", got)
		}
	}
}

func TestPeopleAreNotToldWhereTheDatabaseIs(t *testing.T) {
	t.Parallel()
	cause := errors.New("failed to connect to user=weir host=db.internal")

	err := pg.Failure("append", cause)

	told, ok := errors.AsType[*weir.Error](err)
	if !ok || told.Code != weir.Unavailable || strings.Contains(told.Message, "db.internal") {
		t.Errorf("people are told %+v", told)
	}
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "db.internal") {
		t.Errorf("logs have %v", err)
	}
}

func TestWhoLacksARightIsToldWhatToGiveIt(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	pgtest.Exec(t, url, `DO $$ BEGIN CREATE ROLE weir_without_rights; EXCEPTION WHEN duplicate_object THEN END $$;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO weir_without_rights', current_database()); END $$`)

	db, err := pg.Open(t.Context(), pg.Options{URL: url + and(url) + "role=weir_without_rights"})
	if err == nil {
		db.Close()
	}

	if err == nil || !strings.Contains(err.Error(), "weir needs a database that its user owns") {
		t.Error(err)
	}
}

// and is what stands before one more parameter of an address.
func and(url string) string {
	if strings.Contains(url, "?") {
		return "&"
	}
	return "?"
}

func TestAPoolTooSmallToGoOnIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)

	err := open(t, url+and(url)+"pool_max_conns=1").Alone(t.Context(), func(context.Context) error { return nil })

	if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), "pool_max_conns is 1, and a node needs 4 or more") {
		t.Error(err)
	}
}
