package postgres

import (
	"bytes"
	"fmt"
	"log/slog"
	neturl "net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"weir"
	"weir/internal/journal"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
)

// failing makes inserts into records fail with a code, the first n times.
const failing = `CREATE SEQUENCE failures;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF nextval('failures') <= %d THEN RAISE EXCEPTION 'as told' USING ERRCODE = '%s'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER fail BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION fail()`

func TestWhatOthersRolledBackIsAppendedAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	j := open(t, openDB(t, url))
	pgtest.Exec(t, url, fmt.Sprintf(failing, 4, "40001"))

	got := j.mustAppend(t, bound(change(1, 1), event("a")))

	if got[0].Refused || got[0].Items[1].Seq != 2 {
		t.Errorf("%+v", got)
	}
}

func TestAFullDatabaseIsToldAndRecovers(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	j := open(t, openDB(t, url))
	pgtest.Exec(t, url, fmt.Sprintf(failing, 2, "53100"))
	if _, err := j.Append(t.Context()); err != nil {
		t.Error(err)
	}

	if _, err := j.Append(t.Context(), free(event("a"))); weir.CodeOf(err) != weir.DiskFull {
		t.Error(err)
	}
	if _, err := j.Append(t.Context()); weir.CodeOf(err) != weir.DiskFull {
		t.Errorf("who asks whether anything is taken is told: %v", err)
	}
	if _, err := j.Append(t.Context()); err != nil {
		t.Error("with room again:", err)
	}
	if got := j.mustAppend(t, free(event("a"))); got[0].Items[0] != (weir.Item{Seq: 2, At: got[0].Items[0].At}) {
		t.Errorf("%+v", got)
	}
}

func TestAReadOnlyDatabaseIsUnavailableAndRecovers(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	j := open(t, openDB(t, url))
	j.mustAppend(t, free(event("a")))
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	readOnly := func(value string) {
		pgtest.Exec(t, u.String(), "ALTER DATABASE "+name+" SET default_transaction_read_only = "+value)
		pgtest.Exec(t, u.String(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'")
	}

	readOnly("on")
	if _, err := j.Append(t.Context(), free(event("b"))); weir.CodeOf(err) != weir.Unavailable {
		t.Errorf("read-only: %v", err)
	}
	if all := j.readAll(t); len(all) != 1 {
		t.Errorf("%d records", len(all))
	}

	readOnly("off")
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := j.Append(t.Context(), free(event("c")))
		if err == nil {
			break
		}
		if weir.CodeOf(err) != weir.Unavailable || time.Now().After(deadline) {
			t.Fatal(err)
		}
		pause(t.Context(), 20*time.Millisecond)
	}
}

func TestADatabaseThatMayLoseWhatItAcknowledgedIsWarnedOf(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	pgtest.Exec(t, url, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
	db, err := pg.Open(t.Context(), pg.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var said bytes.Buffer

	j, err := Open(t.Context(), Options{DB: db, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_ = j.Close()

	if !strings.Contains(said.String(), "synchronous_commit = off") {
		t.Error(said.String())
	}
}

// clockOf makes a database's clock one that the test sets.
func clockOf(tb testing.TB, url string) (set func(time.Time)) {
	tb.Helper()
	pgtest.Exec(tb, url, `CREATE TABLE clock (us bigint); INSERT INTO clock VALUES (0);
CREATE OR REPLACE FUNCTION now_us() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT us FROM clock $$`)
	return func(at time.Time) { pgtest.Exec(tb, url, fmt.Sprintf(`UPDATE clock SET us = %d`, at.UnixMicro())) }
}

// partitions lists those of a table.
func partitions(tb testing.TB, j *Journal, table string) (n int) {
	tb.Helper()
	if err := j.db.QueryRow(tb.Context(), `SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass($1)`, table).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestDaysAndWeeksComeAndGo(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db := openDB(t, url)
	set, start := clockOf(t, url), time.Date(2020, 1, 2, 12, 0, 0, 0, time.UTC) // a Thursday: weeks begin with one
	set(start)
	j, other := open(t, db), open(t, openDB(t, url))
	var all []*weir.Record
	for d := range 20 {
		set(start.AddDate(0, 0, d))
		for i := range 3 {
			e := event(fmt.Sprint(d, "-", i))
			j.mustAppend(t, free(e))
			all = append(all, e)
		}
	}
	if n := partitions(t, j, "records"); n < 20 || n > 20+daysAhead {
		t.Errorf("%d days", n)
	}
	if got := j.mustAppend(t, free(event("13-0"))); !got[0].Items[0].Repeated {
		t.Error("an event of last week is taken again")
	}
	stays := func(r *weir.Record) bool { return r.Event.ID == "2-1" || r.Event.ID == "5-0" }
	keep := journal.Keep{Before: weir.TimeOf(start.AddDate(0, 0, 10)), UpTo: j.Head(), Stays: stays}

	gone := 0
	for more := true; more; {
		done, err := j.Trim(t.Context(), keep)
		if err != nil {
			t.Fatal(err)
		}
		gone, more = gone+done.Records, done.More
	}

	if gone != 28 || j.First() != 31 || partitions(t, j, "records") > 10+daysAhead || partitions(t, j, "seen") != 2 {
		t.Errorf("%d gone, first %d, %d days, %d weeks", gone, j.First(), partitions(t, j, "records"), partitions(t, j, "seen"))
	}
	want := append([]*weir.Record{all[7], all[15]}, all[30:]...)
	for name, node := range map[string]*Journal{"who trimmed": j, "another node": other} {
		if diff := cmp.Diff(want, node.readAll(t)); diff != "" {
			t.Errorf("%s reads (-want +got):\n%s", name, diff)
		}
		found, err := node.Find(t.Context(), journal.Query{
			Project: 1, Kind: journal.ByType, Value: "made", From: all[7].At, To: all[33].At,
		})
		if diff := cmp.Diff([]*weir.Record{all[32], all[31], all[30], all[15], all[7]}, found.Records); diff != "" || err != nil {
			t.Errorf("%s finds (-want +got):\n%s%v", name, diff, err)
		}
		if r, err := node.Records(t.Context(), []weir.Seq{8, 9, 59}); err != nil || r[0] == nil || r[1] != nil || r[2] == nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

func TestHotStatementsUseTheirIndex(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db := openDB(t, url)
	j := open(t, db)
	const many, each = 100_000, 1000
	var last string
	for i := 0; i < many; i += each {
		var batch weir.Batch
		for n := range each {
			last = fmt.Sprint(i + n)
			batch.Records = append(batch.Records, event(last))
		}
		j.mustAppend(t, batch)
	}
	pgtest.Exec(t, url, "ANALYZE")
	_ = j.Close()
	scans := func() (n int) {
		db := openDB(t, url)
		defer db.Close()
		err := db.QueryRow(t.Context(), `SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_user_tables
WHERE relname ~ '^(records|links|seen)_[0-9]+$' AND n_live_tup > 0`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	db.Close() // a session tells what it did when it ends
	before := scans()

	db = openDB(t, url)
	j = open(t, db)
	for i := range 20 { // past the number from which plans are kept
		j.mustAppend(t, free(event(fmt.Sprint("new", i)), event(last)))
		if got, err := j.Read(t.Context(), many/2, 10); err != nil || len(got) != 10 {
			t.Fatal(len(got), err)
		}
		if got, err := j.Records(t.Context(), []weir.Seq{1, many / 2, many}); err != nil || got[2] == nil {
			t.Fatal(got, err)
		}
		if _, ok := j.Place(t.Context(), event(last).Identity()); !ok {
			t.Fatal("no place")
		}
		for _, q := range []journal.Query{
			{Limit: 10, Before: many / 2},
			{Project: 1, Kind: journal.ByType, Value: "made", Limit: 10, Before: many / 2},
			{Project: 1, Kind: journal.BySubject, Value: "of 77", Limit: 10},
			{Project: 1, Kind: journal.ByType, Value: "made", Limit: 10, From: 1, To: weir.TimeOf(time.Now())},
		} {
			if got, err := j.Find(t.Context(), q); err != nil || len(got.Records) == 0 {
				t.Fatal(q, got, err)
			}
		}
	}
	_ = j.Close()
	db.Close()

	if after := scans(); after != before {
		t.Errorf("%d scans of whole partitions", after-before)
	}
}

func TestPartitionsThatAQuestionCannotMeanAreLeftOut(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	j := open(t, openDB(t, url))
	today := int32(time.Now().Unix() / (24 * 60 * 60))
	for text, args := range map[string][]any{
		selectRecords: {j.shard, int64(0), today + 1, 10, readSize},
		selectLinked:  {j.shard, int64(7), int64(0), int64(1 << 60), today + 1, today + 1, int64(0), int64(1 << 60), 10},
	} {
		rows, err := j.db.Query(t.Context(), "EXPLAIN (ANALYZE) "+text, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		reads := false
		for rows.Next() {
			line := string(rows.RawValues()[0])
			plan.WriteString(line + "\n")
			reads = reads || strings.Contains(line, fmt.Sprint("_", today, "_")) && !strings.Contains(line, "never executed")
		}
		rows.Close()
		if rows.Err() != nil || plan.Len() == 0 || reads {
			t.Errorf("%v\n%s", rows.Err(), plan.String())
		}
	}
}

func TestTimeGoesOnWhereTheDatabasesClockWasSetBack(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	j := open(t, openDB(t, url))
	pgtest.Exec(t, url, `UPDATE heads SET at_us = now_us() + 3600000000`)
	first := j.mustAppend(t, free(event("first")))[0].Items[0].At

	began, passed := time.Now(), time.Duration(0)
	for n := 0; passed < 50*time.Millisecond; n++ {
		passed = j.mustAppend(t, free(event(fmt.Sprint(n))))[0].Items[0].At.Sub(first)
		if time.Since(began) > 5*time.Second {
			t.Fatalf("in 5 s of appends the journal's time goes on by %s", passed)
		}
	}

	if real := time.Since(began); passed > real {
		t.Errorf("in %s the journal's time goes on by %s", real, passed)
	}
}

func TestWhatAWeekEndedAfterIsNotTakenForARepeatOfItself(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db, another := openDB(t, url), openDB(t, url)
	set, start := clockOf(t, url), time.Date(2020, 1, 1, 23, 59, 59, 0, time.UTC) // a Wednesday: weeks end with one
	set(start)
	one, other := open(t, db), open(t, another)
	g := newGroup(1)
	g.fill(newParts(bound(change(1, 1), event("a"))))
	before, _, err := one.send(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	set(start.Add(2 * time.Second))
	other.mustAppend(t, free(event("b")))

	again, _, err := one.send(t.Context(), g) // as who was not answered

	if diff := cmp.Diff(before, again, cmp.AllowUnexported(outcome{})); diff != "" || err != nil {
		t.Errorf("asked again (-first +again):\n%s%v", diff, err)
	}
}

func newParts(batches ...weir.Batch) (parts []*part) {
	c := newCall(batches)
	for i := range c.parts {
		parts = append(parts, &c.parts[i])
	}
	return parts
}

// TestAppendsDoNotSlowDownWhileADumpRuns counts what appends look at, with all
// versions of the head's row kept by who reads an old snapshot.
func TestAppendsDoNotSlowDownWhileADumpRuns(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db := openDB(t, url)
	j := open(t, db)
	j.mustAppend(t, free(event("first")))
	dump, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dump.Rollback(t.Context()) }()
	if _, err := dump.Exec(t.Context(), `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT 1 FROM heads`, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, url, `DO $$ BEGIN FOR i IN 1..5000 LOOP
  UPDATE heads SET at_us = at_us + 1; UPDATE appends SET at_us = at_us + 1; COMMIT;
END LOOP; END $$`)
	const appends = 50
	looked := func() (n int) {
		pgtest.Exec(t, url, `SELECT pg_stat_force_next_flush()`)
		err := db.QueryRow(t.Context(), `SELECT sum(heap_blks_hit + heap_blks_read) FROM pg_statio_user_tables WHERE relname IN ('heads', 'appends', 'floors')`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	_ = j.Close()
	other := openDB(t, url) // a session tells what it did when it ends
	before, j := looked(), open(t, other)

	for i := range appends {
		j.mustAppend(t, free(event(fmt.Sprint(i))))
		if got, err := j.Records(t.Context(), []weir.Seq{1}); err != nil || got[0] == nil {
			t.Fatal(got, err)
		}
	}

	_ = j.Close()
	other.Close()
	if n := looked() - before; n == 0 || n > appends*40 {
		t.Errorf("%d appends looked at %d pages", appends, n)
	}
}

func TestADumpPutsOffThatADayIsDroppedAndStopsNobody(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db := openDB(t, url)
	set, start := clockOf(t, url), time.Date(2020, 1, 2, 12, 0, 0, 0, time.UTC)
	set(start)
	j := open(t, db)
	j.mustAppend(t, free(event("old")))
	set(start.AddDate(0, 0, 3))
	j.mustAppend(t, free(event("new")))
	dump, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dump.Exec(t.Context(), `SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE records IN ACCESS SHARE MODE`, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	trim := func() (err error) {
		for more := true; more && err == nil; {
			var done journal.Trimmed
			done, err = j.Trim(t.Context(), journal.Keep{Before: weir.TimeOf(start.AddDate(0, 0, 2)), UpTo: 1, Stays: func(*weir.Record) bool { return false }})
			more = done.More
		}
		return err
	}
	tried := make(chan error, 1)

	go func() { tried <- trim() }()
	for n, over := 0, false; !over; n++ {
		select {
		case err := <-tried:
			if over = true; weir.CodeOf(err) != weir.Unavailable {
				t.Error(err)
			}
		default:
			j.mustAppend(t, free(event(fmt.Sprint(n))))
		}
	}

	if all := j.readAll(t); j.First() != 1 || len(all) != int(j.Head()) {
		t.Errorf("%d records of %d from %d on", len(all), j.Head(), j.First())
	}
	if err := dump.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := trim(); err != nil || j.First() != 2 {
		t.Error(j.First(), err)
	}
}
