package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// data makes a data directory with one file of each kind, and its source.
func data(t *testing.T) Source {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"secret.key": "a key", "blobs/01a2b/c3/01a2bc3": "a blob", "blobs/tmp/half": "half a blob",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return Source{
		Dir:       dir,
		CopyState: func(_ context.Context, path string) error { return os.WriteFile(path, []byte("the state"), 0o600) },
		Journal: func(context.Context) ([]File, func(), error) {
			return []File{
				{"1.chapter", 6, strings.NewReader("recordsTHAT CAME LATER")}, {"manifest", 1, strings.NewReader("m")},
			}, func() {}, nil
		},
	}
}

func write(t *testing.T, s Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(t.Context(), &b, Head{Version: "v1", Data: "0123", Made: 1_764_000_000_000_000}, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree reads all files below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatWasWrittenIsExtracted(t *testing.T) {
	t.Parallel()
	for _, key := range []bool{false, true} {
		s := data(t)
		s.Key = key
		dir := filepath.Join(t.TempDir(), "new")
		var told []string

		head, err := Extract(t.Context(), bytes.NewReader(write(t, s)), dir, func(st Standing) { told = append(told, st.Part) })
		if err != nil {
			t.Fatal(err)
		}

		want := map[string]string{
			"state.db": "the state", "journal/1.chapter": "record", "journal/manifest": "m", "blobs/01a2b/c3/01a2bc3": "a blob",
		}
		if key {
			want["secret.key"] = "a key"
		}
		if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(Head{Format: 1, Version: "v1", Data: "0123", Made: 1_764_000_000_000_000, Key: key}, head); diff != "" {
			t.Error(diff)
		}
		if len(told) != len(want)+1 || told[0] != stateName {
			t.Errorf("told of %v", told)
		}
		if left, _ := filepath.Glob(filepath.Join(s.Dir, copyPattern)); left != nil {
			t.Errorf("the copy of the state is left: %v", left)
		}
	}
}

func TestAGzipOfABackupIsExtracted(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(write(t, data(t))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}

	if _, err := Extract(t.Context(), &b, t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestAnIncompleteOrChangedFileIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	whole := write(t, data(t))
	refused := func(what string, file []byte, words string) {
		t.Helper()
		dir := t.TempDir()
		_, err := Extract(t.Context(), bytes.NewReader(file), dir, nil)
		if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := Check(t.Context(), bytes.NewReader(file)); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%s: checked: %v", what, err)
		}
		if left := tree(t, dir); len(left) > 0 {
			t.Errorf("%s: left %v", what, left)
		}
	}
	end := bytes.LastIndex(whole, []byte("]}")) + len("]}") // only zeros follow
	for n := 0; n < end; n += 97 {
		refused("cut", whole[:n], "")
	}
	refused("cut in the journal", whole[:bytes.Index(whole, []byte("record"))+3], "incomplete")
	for _, text := range []string{"the state", "record", "a blob"} {
		changed := bytes.Clone(whole)
		changed[bytes.Index(whole, []byte(text))] ^= 1
		refused("changed", changed, "was changed since it was written")
	}
	refused("empty", nil, "it is empty")
	refused("something else", []byte(strings.Repeat("no backup ", 1000)), "no backup of weir")
	refused("newer", bytes.Replace(whole, []byte(`"format":1`), []byte(`"format":2`), 1), "format 2, written by weir v1")
}

func TestNoPartIsWrittenOutsideOfTheDirectory(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../state.db", "/etc/passwd", "journal/../../x", "journal", "blobs/./x", "other"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, part := range []struct{ name, text string }{{headName, `{"format":1}`}, {name, "x"}} {
			if err := w.WriteHeader(&tar.Header{Name: part.name, Mode: 0o600, Size: int64(len(part.text))}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, part.text); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}

		_, err := Extract(t.Context(), &b, t.TempDir(), nil)

		if weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADirectoryThatIsNotEmptyStaysAsItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	_, err := Extract(t.Context(), bytes.NewReader(write(t, data(t))), dir, nil)

	if weir.CodeOf(err) != weir.Conflict || len(tree(t, dir)) != 1 {
		t.Errorf("%v, and %v is there", err, tree(t, dir))
	}
}

func TestAFailureWhileWritingIsNoBackup(t *testing.T) {
	t.Parallel()
	released := false
	broken := data(t)
	broken.Journal = func(context.Context) ([]File, func(), error) {
		return []File{{"1.chapter", 60, strings.NewReader("shorter than it was")}}, func() { released = true }, nil
	}
	var b bytes.Buffer

	err := Write(t.Context(), &b, Head{}, broken)

	if err == nil || !released {
		t.Errorf("err %v, released %v", err, released)
	}
	if _, err := Extract(t.Context(), &b, t.TempDir(), nil); weir.CodeOf(err) != weir.Invalid {
		t.Errorf("extracted: %v", err)
	}
}

func TestWithoutRoomForTheStateNothingIsWritten(t *testing.T) {
	t.Parallel()
	full := data(t)
	full.CopyState = func(context.Context, string) error { return weir.E("", weir.DiskFull, "no room") }
	var b bytes.Buffer

	err := Write(t.Context(), &b, Head{}, full)

	if weir.CodeOf(err) != weir.DiskFull || b.Len() > 0 {
		t.Errorf("%v, after %d bytes", err, b.Len())
	}
}

func TestPartsStandInTheOrderInWhichTheyMustBeCopied(t *testing.T) {
	t.Parallel()
	s := data(t)
	s.Key = true
	var names []string
	for r := tar.NewReader(bytes.NewReader(write(t, s))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.SplitN(h.Name, "/", 2)[0])
	}

	want := []string{"backup.json", "state.db", "journal", "blobs", "secret.key", "sums.json"}
	if diff := cmp.Diff(want, slices.Compact(names)); diff != "" {
		t.Error(diff)
	}
}

// TestTheStateHasItsNameOnlyWhenAllIsThere: what a restore that was killed left
// is no directory that a server would begin on.
func TestTheStateHasItsNameOnlyWhenAllIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	early := 0
	there := func() bool {
		_, err := os.Stat(filepath.Join(dir, stateName))
		return err == nil
	}

	_, err := Extract(t.Context(), bytes.NewReader(write(t, data(t))), dir, func(Standing) {
		if there() {
			early++
		}
	})

	if err != nil || early > 0 || !there() {
		t.Errorf("%v; the state was there %d times before the end, and is: %v", err, early, there())
	}
}
