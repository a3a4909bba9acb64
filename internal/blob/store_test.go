package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s *Store, data string) weir.Blob {
	t.Helper()
	b, err := s.Keep(t.Context(), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestABlobIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data", "blobs")
	s := open(t, dir)
	b := put(t, s, "some bytes")

	again := open(t, dir)
	got, err := again.Read(t.Context(), b)

	if err != nil || string(got) != "some bytes" {
		t.Errorf("read %q, %v", got, err)
	}
	if want := (weir.Blob{ID: b.ID, Size: 10, Sum: sha256.Sum256([]byte("some bytes"))}); want != b {
		t.Error(cmp.Diff(want, b))
	}
	f, size, err := again.Open(t.Context(), b.ID)
	if err != nil || size != 10 {
		t.Fatal(size, err)
	}
	defer f.Close()
	if _, err := f.Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if part, err := io.ReadAll(f); err != nil || string(part) != "bytes" {
		t.Errorf("a part: %q, %v", part, err)
	}
}

func TestDamageIsFoundAndNamesTheBlob(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"a byte":   func(path string) error { return os.WriteFile(path, []byte("some bytez"), 0o600) },
		"too long": func(path string) error { return os.WriteFile(path, []byte("some bytes and more"), 0o600) },
		"cut off":  func(path string) error { return os.Truncate(path, 3) },
	} {
		s := open(t, t.TempDir())
		b := put(t, s, "some bytes")
		path, err := s.path(b.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(path); err != nil {
			t.Fatal(err)
		}

		_, err = s.Read(t.Context(), b)

		if weir.CodeOf(err) != weir.Internal || !strings.Contains(err.Error(), "blob "+b.ID+" is damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABlobThatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	b := put(t, s, "x")
	for range 2 { // the second time there is nothing to remove
		if err := s.Remove(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}
	}

	_, err := s.Read(t.Context(), b)

	if weir.CodeOf(err) != weir.NotFound {
		t.Error(err)
	}
}

func TestWhatIsNotCommittedLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "half"); err != nil {
		t.Fatal(err)
	}

	w.Discard()
	w.Discard()

	if left := files(t, dir); len(left) > 0 {
		t.Error(left)
	}
}

// A process that is killed leaves what it was writing, as here a store that
// nobody closes does.
func TestHalfWrittenFilesAreRemovedAtStartAndWholeOnesStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	whole := put(t, s, "whole")
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "half"); err != nil {
		t.Fatal(err)
	}

	again := open(t, dir)

	if left := files(t, dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	if got, err := again.Read(t.Context(), whole); err != nil || string(got) != "whole" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := w.Commit(); err == nil {
		t.Error("a blob of which nothing is there was committed")
	}
}

func TestADiskWithoutRoomIsTold(t *testing.T) {
	t.Parallel()
	full := &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	for err, want := range map[error]weir.Code{full: weir.DiskFull, syscall.EDQUOT: weir.DiskFull, os.ErrPermission: weir.Unavailable} {
		if got := weir.CodeOf(failure("write", err)); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &Writer{store: open(t, t.TempDir()), file: f, id: newID(time.Now()), sum: sha256.New()}
	defer f.Close()

	if _, err := w.Write([]byte("x")); weir.CodeOf(err) != weir.DiskFull || strings.Contains(err.Error(), "/dev") {
		t.Errorf("%v, which may not tell where files are", err)
	}
}

func TestManyWriteAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	blobs := make([]weir.Blob, 32)
	var all sync.WaitGroup
	for i := range blobs {
		all.Go(func() { blobs[i] = put(t, s, strings.Repeat("x", i)) })
	}
	all.Wait()
	for i, b := range blobs {
		if got, err := s.Read(t.Context(), b); err != nil || len(got) != i {
			t.Errorf("%d: %d bytes, %v", i, len(got), err)
		}
	}
}

func TestALargeFileTakesLittleMemory(t *testing.T) { // alone: it measures
	const size = 100 << 20
	s := open(t, t.TempDir())
	part := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < size; n += len(part) {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	b, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := s.Open(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{f}, make([]byte, 32<<10))

	runtime.ReadMemStats(&after)
	if err != nil || n != size || b.Size != size {
		t.Errorf("%d and %d bytes, %v", n, b.Size, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

// old makes a blob as it is after a time.
func old(t testing.TB, s *Store, age time.Duration) string {
	t.Helper()
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := time.Now().Add(-age)
	w.id = newID(made)
	b, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	path, err := s.path(b.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, filepath.Dir(path)} {
		if err := os.Chtimes(name, made, made); err != nil {
			t.Fatal(err)
		}
	}
	return b.ID
}

func TestASweepRemovesOldBlobsThatNoRecordNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a [1] *") // is no pattern
	s := open(t, dir)
	named, orphan := old(t, s, 25*time.Hour), old(t, s, 26*time.Hour)
	young, now := old(t, s, 23*time.Hour), put(t, s, "x").ID
	var asked []string
	sweeper := Sweeper{Store: s, Named: func(_ context.Context, id string) (bool, error) {
		asked = append(asked, id)
		return id == named, nil
	}}

	removed, err := sweeper.Sweep(t.Context(), 0)

	if err != nil || removed != 1 {
		t.Errorf("removed %d, %v", removed, err)
	}
	if diff := cmp.Diff([]string{orphan, named}, asked); diff != "" {
		t.Error(diff)
	}
	for id, there := range map[string]bool{named: true, young: true, now: true, orphan: false} {
		f, _, err := s.Open(t.Context(), id)
		if (err == nil) != there {
			t.Errorf("%s: %v", id, err)
		}
		if err == nil {
			_ = f.Close()
		}
	}
}

func TestASweepKeepsWhatItCannotAskAbout(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	id := old(t, s, 25*time.Hour)
	closed := weir.E("find", weir.Unavailable, "closed")
	sweeper := Sweeper{Store: s, Named: func(context.Context, string) (bool, error) { return false, closed }}

	_, err := sweeper.Sweep(t.Context(), 0)

	if !errors.Is(err, closed) {
		t.Error(err)
	}
	if f, _, err := s.Open(t.Context(), id); err != nil {
		t.Error(err)
	} else {
		_ = f.Close()
	}
}

func TestSweepsAskOnceButAgainWhereRecordsMayBeGone(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	const aDay = 24 * time.Hour
	first, second, third := old(t, s, 9*aDay), old(t, s, 5*aDay), old(t, s, 2*aDay)
	gone := map[string]bool{}
	var asked []string
	sweeper := Sweeper{Store: s, Named: func(_ context.Context, id string) (bool, error) {
		asked = append(asked, id)
		return !gone[id], nil
	}}
	for _, c := range []struct {
		again   time.Duration // ago; 0: none
		gone    string
		asked   []string
		removed int
	}{
		{0, "", []string{first, second, third}, 0},
		{0, first, nil, 0},
		{7 * aDay, "", []string{first}, 1},
		{0, third, nil, 0},
		{time.Hour, "", []string{second, third}, 1},
		{time.Hour, second, []string{second}, 1},
	} {
		asked, gone[c.gone] = nil, true
		var again weir.Time
		if c.again > 0 {
			again = weir.TimeOf(time.Now().Add(-c.again))
		}

		removed, err := sweeper.Sweep(t.Context(), again)

		if err != nil || removed != c.removed {
			t.Errorf("%+v: removed %d, %v", c, removed, err)
		}
		if diff := cmp.Diff(c.asked, asked); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEmptyDirectoriesGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	id := old(t, s, 48*time.Hour)
	put(t, s, "x") // so that the directory is not the one that was made last
	if err := s.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	path, err := s.path(id)
	if err != nil {
		t.Fatal(err)
	}
	was := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Dir(path), was, was); err != nil {
		t.Fatal(err)
	}

	if _, err := (&Sweeper{Store: s}).Sweep(t.Context(), 0); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func BenchmarkCommit(b *testing.B) {
	s := open(b, b.TempDir())
	data := strings.Repeat("0123456789abcdef", 300<<10/16)
	b.SetBytes(int64(len(data)))
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			put(b, s, data)
		}
	})
}

func FuzzIDsStayInTheirDirectory(f *testing.F) {
	f.Add(newID(time.UnixMilli(1)))
	f.Add("../../../../../../../etc/passwd0")
	f.Add("ABCDEF00000000000000000000000000")
	f.Add("")
	s := &Store{dir: "/blobs"}
	f.Fuzz(func(t *testing.T, id string) {
		path, err := s.path(id)
		if err != nil {
			if weir.CodeOf(err) != weir.Invalid {
				t.Fatal(err)
			}
			return
		}
		if want := "/blobs/" + id[:5] + "/" + id[5:7] + "/" + id; path != want || filepath.Clean(path) != path {
			t.Fatalf("%q leads to %q", id, path)
		}
		_ = timeOf(id)
	})
}
