package postgres

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/fold"
	"weir/internal/pg/pgtest"
)

// failing makes flushes of runs fail with a code as long as the sequence called
// failures is not past a number.
const failing = `
CREATE SEQUENCE failures;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('failures') <= %N THEN RAISE EXCEPTION 'for a test' USING ERRCODE = '%CODE'; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER fail BEFORE INSERT ON runs EXECUTE FUNCTION fail()`

func fail(t *testing.T, at, code, times string) {
	t.Helper()
	pgtest.Exec(t, at, strings.NewReplacer("%N", times, "%CODE", code).Replace(failing))
}

func TestAFullDiskIsSaidAndLeavesNothing(t *testing.T) {
	t.Parallel()
	at := pgtest.New(t)
	s := held(t, openAt(t, at, Options{}))
	fail(t, at, "53100", "1")

	wantCode(t, s.Flush(t.Context(), counting(0)), weir.DiskFull)
	wantFlushed(t, s.State, 0)

	if err := s.Flush(t.Context(), counting(0)); err != nil {
		t.Errorf("with space again: %v", err)
	}
	wantFlushed(t, s.State, 1)
}

func TestAFlushThatWasRolledBackForAnotherIsRunAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"40001", "40P01"} {
		at := pgtest.New(t)
		s := held(t, openAt(t, at, Options{}))
		fail(t, at, code, "3")

		if err := s.Flush(t.Context(), counting(0)); err != nil {
			t.Errorf("%s: %v", code, err)
		}
		wantFlushed(t, s.State, 1)
	}
}

func TestADatabaseThatIsReadOnlyIsUnavailableUntilItIsNot(t *testing.T) {
	t.Parallel()
	at := pgtest.New(t)
	s := held(t, openAt(t, at, Options{}))
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	name, query := u.Path[1:], u.Query()
	query.Set("default_transaction_read_only", "off") // of who says it
	u.RawQuery = query.Encode()
	set := func(to string) {
		pgtest.Exec(t, u.String(), "ALTER DATABASE "+name+" SET default_transaction_read_only = "+to)
		s.db.Reset() // as when the server was restarted
	}

	set("on")
	wantCode(t, s.Flush(t.Context(), counting(0)), weir.Unavailable)
	wantCode(t, s.PutMeta(t.Context(), "a", []byte("b")), weir.Unavailable)
	wantCode(t, s.AddRefusals(t.Context(), []weir.Refusal{{Project: 1}}), weir.Unavailable)
	wantFlushed(t, s.State, 0)

	set("off")
	if err := s.Flush(t.Context(), counting(0)); err != nil {
		t.Errorf("writable again: %v", err)
	}
	wantFlushed(t, s.State, 1)
}

func TestALostConnectionIsUnavailableAndThenMadeAgain(t *testing.T) {
	t.Parallel()
	at := pgtest.New(t)
	s := held(t, openAt(t, at, Options{}))
	fail(t, at, "57P01", "1") // as the connection that is ended by the server says it

	wantCode(t, s.Flush(t.Context(), counting(0)), weir.Unavailable)
	pgtest.Exec(t, at, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := s.Flush(ctx, counting(0))
		if err == nil {
			break
		}
		wantCode(t, err, weir.Unavailable) // at most once for each connection of the pool
		if ctx.Err() != nil || t.Failed() {
			t.Fatal(err)
		}
	}
	wantFlushed(t, s.State, 1)
}

// TestANodeThatStopsWithinAFlushStopsNobody keeps the end of its request back: the
// statement is executed, and its locks are held.
func TestANodeThatStopsWithinAFlushStopsNobody(t *testing.T) {
	t.Parallel()
	const halfALease = 7500 * time.Millisecond
	at := pgtest.New(t)
	p := newProxy(t, at)
	direct, s := openAt(t, at, Options{}), held(t, openAt(t, p.url, Options{}))
	if err := s.Flush(t.Context(), counting(0)); err != nil {
		t.Fatal(err)
	}
	p.stall.Store(true)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Flush(context.WithoutCancel(t.Context()), counting(1)) }()
	<-p.stalled
	for inIt := false; !inIt; { // it has executed the flush, and waits for more
		inIt, _ = direct.first(t.Context(), "look", `SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event = 'ClientRead' AND backend_xid IS NOT NULL`, nil, func(row) error { return nil })
	}
	defer p.close()
	began := time.Now()

	other := held(t, direct)
	if err := other.Flush(t.Context(), counting(1)); err != nil {
		t.Error(err)
	}

	if took := time.Since(began); took > halfALease {
		t.Errorf("stopped for %v", took)
	}
	wantFlushed(t, direct, 2)
	wantCode(t, <-stopped, weir.Unavailable)
}

func TestTextThatIsNoneIsKeptAsFarAsItIs(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	odd := "a\x00b\xff"
	if err := s.AddRefusals(t.Context(), []weir.Refusal{{Project: 1, Reason: odd, ID: odd, Door: odd, Code: weir.Invalid}}); err != nil {
		t.Fatal(err)
	}
	all, err := s.ListRefusals(t.Context(), 1, 0, 0)
	if err != nil || len(all) != 1 || all[0].ID != "a\ufffdb\ufffd" {
		t.Errorf("%v, %v", all, err)
	}

	_, err = s.ProjectByName(t.Context(), odd)
	wantCode(t, err, weir.NotFound)
	_, err = s.Definition(t.Context(), 1, weir.KindTrigger, odd, 1)
	wantCode(t, err, weir.NotFound)
	l := counting(0)
	l.Runs[0].Firing.Executions = []string{odd}
	if err := held(t, s).Flush(t.Context(), &fold.Layer{To: 1, Runs: l.Runs}); err != nil {
		t.Errorf("what cannot be kept stops all flushes: %v", err)
	}
}

func TestRefusalsAreAddedWhileOneNodeDoesWhatItDoesAlone(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})

	err := s.db.Alone(t.Context(), func(ctx context.Context) error {
		return s.AddRefusals(ctx, []weir.Refusal{{Project: 1, Door: "api", Code: weir.Invalid}})
	})
	if err != nil {
		t.Error(err)
	}
}
