package postgres_test

import (
	"testing"
	"time"

	"weir/internal/pg"
	"weir/internal/pg/pgtest"
	"weir/internal/state/postgres"
)

const margin = 50 * time.Millisecond

// holdsOf returns the holds of a database of its own.
func holdsOf(t *testing.T) (*postgres.Holds, *pg.DB) {
	t.Helper()
	db, err := pg.Open(t.Context(), pg.Options{URL: pgtest.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return postgres.New(postgres.Options{DB: db}).Holds(), db
}

func acquire(t *testing.T, h *postgres.Holds, node string, lease time.Duration) int64 {
	t.Helper()
	token, err := h.Acquire(t.Context(), "shard 0", node, lease, margin)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func renew(t *testing.T, h *postgres.Holds, token int64) bool {
	t.Helper()
	granted, err := h.Renew(t.Context(), "shard 0", token, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return granted
}

func TestAHoldHasOneHolderUntilItIsReleased(t *testing.T) {
	t.Parallel()
	h, _ := holdsOf(t)

	first := acquire(t, h, "a", time.Minute)
	if first == 0 || acquire(t, h, "b", time.Minute) != 0 || acquire(t, h, "a", time.Minute) != 0 {
		t.Fatal("it was not taken exactly once")
	}
	if !renew(t, h, first) || renew(t, h, first+1) {
		t.Error("the holder alone may renew")
	}
	if err := h.Release(t.Context(), "shard 0", first); err != nil {
		t.Fatal(err)
	}
	if renew(t, h, first) {
		t.Error("what was released was renewed")
	}
	second := acquire(t, h, "b", time.Minute)
	if second <= first {
		t.Errorf("token %d after %d", second, first)
	}
	if err := h.Release(t.Context(), "shard 0", first); err != nil {
		t.Fatal(err)
	}
	if !renew(t, h, second) {
		t.Error("a former holder released it")
	}
}

func TestAHoldThatIsOverIsTakenOnlyAfterTheMargin(t *testing.T) {
	t.Parallel()
	h, db := holdsOf(t)
	first := acquire(t, h, "a", time.Minute)
	over := func(ago time.Duration) {
		_, err := db.Exec(t.Context(), `UPDATE holds SET until_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1`, ago.Microseconds())
		if err != nil {
			t.Fatal(err)
		}
	}

	over(time.Microsecond)
	if renew(t, h, first) {
		t.Error("a hold that is over was renewed")
	}
	over(-time.Hour)
	if acquire(t, h, "b", time.Minute) != 0 {
		t.Error("it was taken before its time was over")
	}
	over(margin)
	if acquire(t, h, "b", time.Minute) != first+1 {
		t.Error("it was not taken after the margin")
	}
}

// Who loads state after it took the hold must find what was written under the
// token before, while renewals must not wait for what is being written.
func TestANewHolderWaitsForFlushesUnderTheOldTokenAndARenewalDoesNot(t *testing.T) {
	t.Parallel()
	h, db := holdsOf(t)
	first := acquire(t, h, "a", time.Minute)
	flush, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flush.Exec(t.Context(), `SELECT 1 FROM holds WHERE name = 'shard 0' AND token = $1 FOR KEY SHARE`, first); err != nil {
		t.Fatal(err)
	}
	if !renew(t, h, first) {
		t.Fatal("it was not renewed beside a flush")
	}
	if err := h.Release(t.Context(), "shard 0", first); err != nil {
		t.Fatal(err)
	}

	taken := make(chan int64, 1)
	go func() {
		token, err := h.Acquire(t.Context(), "shard 0", "b", time.Minute, margin)
		if err != nil {
			t.Error(err)
		}
		taken <- token
	}()
	select {
	case token := <-taken:
		t.Errorf("got token %d while a flush under %d was being written", token, first)
	case <-time.After(200 * time.Millisecond):
	}
	if err := flush.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if token := <-taken; token <= first {
		t.Errorf("token %d after %d", token, first)
	}
}
