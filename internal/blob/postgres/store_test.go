package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
)

func open(tb testing.TB) *Store {
	tb.Helper()
	db, err := pg.Open(tb.Context(), pg.Options{URL: pgtest.New(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return New(db)
}

func keep(tb testing.TB, s *Store, data []byte) weir.Blob {
	tb.Helper()
	b, err := s.Keep(tb.Context(), data)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// rows counts what stands in the tables.
func rows(tb testing.TB, s *Store) (n int) {
	tb.Helper()
	err := s.db.QueryRow(tb.Context(), `SELECT (SELECT count(*) FROM blobs) + (SELECT count(*) FROM blob_chunks)`).Scan(&n)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestABlobIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 7*chunk + 5} {
		data := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]

		b := keep(t, s, data)

		if b.Size != int64(size) || b.Sum != sha256.Sum256(data) {
			t.Errorf("%+v of %d bytes", b, size)
		}
		if got, err := s.Read(t.Context(), b); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d of %d bytes, %v", len(got), size, err)
		}
		f, n, err := s.Open(t.Context(), b.ID)
		if err != nil || n != int64(size) {
			t.Fatal(n, err)
		}
		if _, err := f.Seek(int64(size/2), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if part, err := io.ReadAll(f); err != nil || !bytes.Equal(part, data[size/2:]) {
			t.Errorf("%d bytes of the second half of %d, %v", len(part), size, err)
		}
	}
}

func TestDamageIsFoundAndNamesTheBlob(t *testing.T) {
	t.Parallel()
	s := open(t)
	for name, damage := range map[string]string{
		"a byte":         `UPDATE blob_chunks SET data = set_byte(data, 5, 0) WHERE blob = $1 AND nth = 1`,
		"a chunk":        `DELETE FROM blob_chunks WHERE blob = $1 AND nth = 0`,
		"another length": `UPDATE blobs SET size = size - 1 WHERE id = $1`,
	} {
		b := keep(t, s, bytes.Repeat([]byte("x"), 2*chunk))
		key, err := keyOf(b.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.db.Exec(t.Context(), damage, key); err != nil {
			t.Fatal(err)
		}

		_, err = s.Read(t.Context(), b)

		if weir.CodeOf(err) != weir.Internal || !strings.Contains(err.Error(), "blob "+b.ID+" is damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABlobThatIsNotThereIsNotFoundAndOneThatIsNoneInvalid(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := keep(t, s, []byte("x"))
	for range 2 { // the second time there is nothing to remove
		if err := s.Remove(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}
	}

	_, err := s.Read(t.Context(), b)

	if weir.CodeOf(err) != weir.NotFound {
		t.Error(err)
	}
	for _, id := range []string{"", "x", "AB" + b.ID[2:], b.ID + "00", b.ID[:30]} {
		if _, _, err := s.Open(t.Context(), id); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestWhatIsNotCommittedIsNotThereAndDiscardedLeavesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 3*chunk)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(t.Context(), idOf(w.key)); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("before its commit: %v", err)
	}

	w.Discard()
	w.Discard()

	if n := rows(t, s); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestManyWriteAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	blobs := make([]weir.Blob, 16)
	var all sync.WaitGroup
	for i := range blobs {
		all.Go(func() { blobs[i] = keep(t, s, bytes.Repeat([]byte{byte(i)}, i*chunk/4)) })
	}
	all.Wait()
	for i, b := range blobs {
		if got, err := s.Read(t.Context(), b); err != nil || len(got) != i*chunk/4 {
			t.Errorf("%d: %d bytes, %v", i, len(got), err)
		}
	}
}

// older makes a blob as it is after a time.
func older(tb testing.TB, s *Store, age time.Duration) string {
	tb.Helper()
	w, err := s.Create(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	w.key = newKey(time.Now().Add(-age))
	b, err := w.Commit()
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.db.Exec(tb.Context(), `UPDATE blobs SET made_us = made_us - $2 WHERE id = $1`, w.key, age.Microseconds()); err != nil {
		tb.Fatal(err)
	}
	return b.ID
}

func TestASweepRemovesOldBlobsThatNoRecordNamesAndHalves(t *testing.T) {
	t.Parallel()
	s := open(t)
	named, orphan, half := older(t, s, 25*time.Hour), older(t, s, 26*time.Hour), older(t, s, 27*time.Hour)
	if _, err := s.db.Exec(t.Context(), `UPDATE blobs SET whole = false WHERE id = $1`, half); err != nil {
		t.Fatal(err)
	}
	older(t, s, 23*time.Hour)
	keep(t, s, []byte("x"))
	var asked []string
	is := func(_ context.Context, id string) (bool, error) {
		asked = append(asked, id)
		return id == named, nil
	}
	sweeper := Sweeper{Store: s, Named: is}

	removed, err := sweeper.Sweep(t.Context(), 0)
	again, err2 := sweeper.Sweep(t.Context(), 0)

	if err != nil || err2 != nil || removed != 2 || again != 0 {
		t.Errorf("removed %d and %d, %v, %v", removed, again, err, err2)
	}
	if diff := cmp.Diff([]string{orphan, named}, asked); diff != "" {
		t.Error(diff)
	}
	named = "" // its record is gone
	if removed, err := sweeper.Sweep(t.Context(), weir.TimeOf(time.Now())); err != nil || removed != 1 {
		t.Errorf("removed %d, %v", removed, err)
	}
	if n := rows(t, s); n != 3 {
		t.Errorf("%d rows are left", n)
	}
}
