package pg_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"weir"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
)

func TestWhatPassesIsToldFromWhatDoesNot(t *testing.T) {
	t.Parallel()
	known := weir.E("x", weir.Conflict, "as it is")
	for _, c := range []struct {
		err  error
		want weir.Code
	}{
		{nil, ""},
		{known, weir.Conflict},
		{errors.New("connection reset"), weir.Unavailable},
		{&pgconn.PgError{Code: "25006"}, weir.Unavailable},
		{&pgconn.PgError{Code: "53300"}, weir.Unavailable},
		{&pgconn.PgError{Code: "57P01"}, weir.Unavailable},
		{&pgconn.PgError{Code: "40001"}, weir.Unavailable},
		{&pgconn.PgError{Code: "53100"}, weir.DiskFull},
		{&pgconn.PgError{Code: "23505"}, weir.Internal},
		{&pgconn.PgError{Code: "42P01"}, weir.Internal},
	} {
		if got := weir.CodeOf(pg.Failure("x", c.err)); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	if err := pg.Failure("x", context.Canceled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestADatabaseThatIsNotThereIsToldWithinTime(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]weir.Code{
		"postgres://nobody:secret@127.0.0.1:1/none": weir.Unavailable,
		"postgres://a b/": weir.Invalid,
	} {
		_, err := pg.Open(t.Context(), pg.Options{URL: url})
		if weir.CodeOf(err) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A person who reads it knows what to mend, from one line.
func TestADatabaseThatRefusesIsToldOnOneLine(t *testing.T) {
	t.Parallel()
	good := pgtest.New(t)
	for _, c := range []struct{ url, want string }{
		{"postgres://nobody:secret@127.0.0.1:1/none", "open database: the database cannot be reached: 127.0.0.1:1 (127.0.0.1): dial error: dial tcp 127.0.0.1:1: connect: connection refused"},
		{named(t, good, "nothere"), `open database: the database has to be created first, for its user to own: FATAL: database "nothere" does not exist (SQLSTATE 3D000)`},
	} {
		_, err := pg.Open(t.Context(), pg.Options{URL: c.url})
		if weir.CodeOf(err) != weir.Unavailable || err.Error() != c.want {
			t.Errorf("%s: %v", c.url, err)
		}
	}
	for code, want := range map[string]string{
		"28P01": "x: the database refuses the user or its password: :  (SQLSTATE 28P01)",
		"42501": "x: the database's user may not do that: weir needs a database that its user owns: :  (SQLSTATE 42501)",
	} {
		if got := pg.Failure("x", &pgconn.PgError{Code: code}).Error(); got != want {
			t.Errorf("%s: %s", code, got)
		}
	}
}

// named is the address of another database of the same server.
func named(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func TestWhatOthersRolledBackIsRunAgain(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.New(t))
	for code, want := range map[string]int{"40001": 3, "40P01": 3, "23505": 1} {
		n := 0
		err := db.Retry(t.Context(), "x", func() error {
			if n++; n < 3 {
				return &pgconn.PgError{Code: code}
			}
			return nil
		})
		if n != want || (err == nil) != (want == 3) {
			t.Errorf("%s: %d times, %v", code, n, err)
		}
	}
}

// Whoever hears is told that something may have been missed, and hears again.
func TestTheConnectionForHintsIsMadeAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db := open(t, url)
	heard := make(chan string, 1000)
	stop := db.Hear("topic", func(text string) {
		select {
		case heard <- text:
		default:
		}
	})
	await := func(want string) {
		t.Helper()
		again, late := time.NewTicker(20*time.Millisecond), time.After(20*time.Second)
		defer again.Stop()
		for {
			select {
			case got := <-heard:
				if got == want {
					return
				}
			case <-again.C:
				if want != "" {
					db.Notify("topic", want)
				}
			case <-late:
				t.Fatalf("%q was not heard", want)
			}
		}
	}
	await("before")

	pgtest.Exec(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = 'LISTEN weir'`)

	await("")
	await("after")
	stop()
}
