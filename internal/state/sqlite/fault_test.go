package sqlite

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/internal/fold"
)

func manyRuns(from weir.Seq) *fold.Layer {
	return &fold.Layer{From: from, To: from + 2000, Runs: benchRuns(from, 2000)}
}

// pragma changes a setting of the writing connection.
func pragma(t *testing.T, s *State, text string) {
	t.Helper()
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.writer.script(text); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code weir.Code) {
	t.Helper()
	if got := weir.CodeOf(err); got != code {
		t.Errorf("error is %q (%v), want %q", got, err, code)
	}
}

func wantRuns(t *testing.T, s *State, cursor weir.Seq, n int) {
	t.Helper()
	p, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.Cursor != cursor || len(p.Runs) != n {
		t.Errorf("cursor %d with %d runs, want %d with %d", p.Cursor, len(p.Runs), cursor, n)
	}
}

func TestAFullDiskIsSaidAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := openTest(t)

	pragma(t, s, "PRAGMA max_page_count = 60")
	wantCode(t, s.Flush(t.Context(), manyRuns(0)), weir.DiskFull)
	wantRuns(t, s, 0, 0)

	pragma(t, s, "PRAGMA max_page_count = 1000000")
	if err := s.Flush(t.Context(), manyRuns(0)); err != nil {
		t.Errorf("with space again: %v", err)
	}
	wantRuns(t, s, 2000, 2000)
}

func TestAFileThatCannotBeWrittenIsUnavailable(t *testing.T) {
	t.Parallel()
	s := openTest(t)

	pragma(t, s, "PRAGMA query_only = 1")
	wantCode(t, s.Flush(t.Context(), manyRuns(0)), weir.Unavailable)
	wantCode(t, s.PutMeta(t.Context(), "a", []byte("b")), weir.Unavailable)

	pragma(t, s, "PRAGMA query_only = 0")
	if err := s.Flush(t.Context(), manyRuns(0)); err != nil {
		t.Errorf("writable again: %v", err)
	}
}

func TestAPlaceThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "no", "state.db")

	_, err := Open(t.Context(), Options{Path: path, DataID: [16]byte{1}})

	wantCode(t, err, weir.Unavailable)
}

func TestADamagedFileIsRefusedByName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}

	_, err := Open(t.Context(), Options{Path: path, DataID: [16]byte{1}})

	wantCode(t, err, weir.Internal)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("does not name the file: %v", err)
	}
}

func TestAStateOfOtherDataIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}

	_, err := Open(t.Context(), Options{Path: path, DataID: [16]byte{0xf}})
	wantCode(t, err, weir.Conflict)
	_, err = Open(t.Context(), Options{Path: filepath.Join(path, "other")})
	wantCode(t, err, weir.Invalid)

	openAt(t, path)
}

func TestAStateThatIsMissingBesideAJournalThatBeganIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	options := Options{Path: path, DataID: [16]byte{1}, Began: true}

	_, err := Open(t.Context(), options)
	wantCode(t, err, weir.Conflict)
	if _, err := os.Stat(path); err == nil {
		t.Error("the refusal left a file")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), options)
	wantCode(t, err, weir.Conflict)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("does not name the file and what to do: %v", err)
	}
}

// TestAKilledProcessLeavesWhatItFlushed opens copies of the files as they are
// after each flush, without Close.
func TestAKilledProcessLeavesWhatItFlushed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "state.db"))
	for k := range weir.Seq(4) {
		if err := s.Flush(t.Context(), manyRuns(k*2000)); err != nil {
			t.Fatal(err)
		}
		left := t.TempDir()
		for _, name := range []string{"state.db", "state.db-wal"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(left, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}

		wantRuns(t, openAt(t, filepath.Join(left, "state.db")), (k+1)*2000, int(k+1)*2000)
	}
}

func TestOnlyControlDataIsSyncedAtOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	synchronous := func(level durability) (n int64) {
		t.Helper()
		err := s.write(t.Context(), level, "test", func(c *conn) (err error) {
			n, err = count(t.Context(), c, "PRAGMA synchronous")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 2 {
		if n := synchronous(normal); n != 1 {
			t.Errorf("flushes are written with synchronous=%d", n)
		}
		if n := synchronous(full); n != 2 {
			t.Errorf("control data is written with synchronous=%d", n)
		}
	}

	if err := s.Flush(t.Context(), manyRuns(0)); err != nil || s.level != normal {
		t.Errorf("a flush used %q, %v", s.level, err)
	}
	if err := s.PutMeta(t.Context(), "a", nil); err != nil || s.level != full {
		t.Errorf("control data used %q, %v", s.level, err)
	}
}

func TestFilesAreReadableByTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "state.db"))
	if err := s.Flush(t.Context(), manyRuns(0)); err != nil {
		t.Fatal(err)
	}

	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

func TestAPathMayHaveAnyCharacters(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b?c=d&e#f%41ü")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")

	openAt(t, path)

	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestANewerSchemaRefusesThisWeirAndSaysWhichItNeeds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openAt(t, path)
	pragma(t, s, `INSERT INTO migrations SELECT max(number) + 1, '0099_next.sql', 'ab', 'v7.8.9', 1 FROM migrations`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	_, err := Open(t.Context(), Options{Path: path, DataID: [16]byte{1}})

	wantCode(t, err, weir.Conflict)
	if err == nil || !strings.Contains(err.Error(), "v7.8.9") {
		t.Errorf("does not say what it needs: %v", err)
	}
}

func TestMigrationsAreAppliedOnceThoughTwoStartTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	var log bytes.Buffer
	options := Options{Path: path, DataID: [16]byte{1}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	type opened struct {
		s   *State
		err error
	}
	results := make(chan opened, 2)
	for range 2 {
		go func() {
			s, err := Open(context.WithoutCancel(t.Context()), options)
			results <- opened{s, err}
		}()
	}
	for range 2 {
		r := <-results
		if r.err != nil {
			t.Error(r.err)
			continue
		}
		if err := r.s.Close(); err != nil {
			t.Error(err)
		}
	}
	all, err := known()
	if n := strings.Count(log.String(), "schema migrated"); err != nil || n != len(all) {
		t.Errorf("%d migrations, applied %d times (%v):\n%s", len(all), n, err, log.String())
	}
}

// TestStatementsStayPrepared guards against texts that grow in number, each of
// which would keep memory.
func TestStatementsStayPrepared(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	from, prepared := weir.Seq(0), 0
	for n := 0; n < 130; n++ {
		if n > 62 {
			n += 10
		}
		l := &fold.Layer{From: from, To: from + 1, Runs: benchRuns(from*1000, n)}
		for i := range n {
			l.Groups = append(l.Groups, benchGroup(from*1000+weir.Seq(i)+1))
			l.GroupsGone = append(l.GroupsGone, l.Groups[i].ID)
			l.RunsGone = append(l.RunsGone, l.Runs[i].ID)
		}
		if err := s.Flush(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if from++; n == 61 { // one of each size was used
			prepared = len(s.writer.stmts)
		}
	}
	if n := len(s.writer.stmts); n != prepared {
		t.Errorf("%d statements after %d", n, prepared)
	}
}
