package pack

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// tree writes files below a new directory and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(t *testing.T, paths ...string) (all [][]string) {
	t.Helper()
	roots, err := Collect(paths...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range roots {
		all = append(all, roots[i].Names())
	}
	return all
}

func TestADirectoryIsItsProjectFilesWithWhatTheyName(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"a.yaml":             "events: {x: {schema: schemas/x.json}, y: {schema: {type: object}}, z: {schema: none.json}, v: }",
		"sub/b.yml":          "events: {w: {schema: ../schemas/w.json}}",
		"schemas/x.json":     "{}",
		"schemas/w.json":     "{}",
		"schemas/other.json": "{}",
		"notes.txt":          "",
		".hidden.yaml":       "",
		".git/c.yaml":        "",
		"broken.yaml":        "a: [",
	})

	got := names(t, dir, filepath.Join(dir, "a.yaml"))

	want := [][]string{
		{"a.yaml", "broken.yaml", "schemas/w.json", "schemas/x.json", "sub/b.yml"},
		{"a.yaml", "schemas/x.json"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNoFileGoesAlongThatIsNotASchema(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"events: {x: }", "events: {x: {schema: }}", "events: {x: true}", "strict: true", "triggers: null", "events: null"} {
		dir := tree(t, map[string]string{"weir.yaml": text, "null": "", "true": ""})

		if got := names(t, dir); len(got[0]) != 1 {
			t.Errorf("%s: took %q", text, got)
		}
	}
}

func TestWhatIsNamedDoesNotLeaveTheDirectory(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"secret.json":      "{}",
		"p/inside.json":    "{}",
		"p/up/weir.yaml":   "events: {x: {schema: ../../secret.json}, y: {schema: /etc/hostname}}",
		"p/link/weir.yaml": "events: {x: {schema: out.json}}",
		"p/ok/weir.yaml":   "events: {x: {schema: in.json}}",
	})
	for link, to := range map[string]string{"p/link/out.json": "../../secret.json", "p/ok/in.json": "../inside.json"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}

	if got := names(t, filepath.Join(dir, "p/up")); len(got[0]) != 1 {
		t.Errorf("taken: %q", got)
	}
	_, err := Collect(filepath.Join(dir, "p"))
	if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), "out.json: path escapes") {
		t.Errorf("a link that leaves the directory: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "p/link/out.json")); err != nil {
		t.Fatal(err)
	}
	want := []string{"inside.json", "link/weir.yaml", "ok/in.json", "ok/weir.yaml", "up/weir.yaml"}
	if got := names(t, filepath.Join(dir, "p")); !cmp.Equal(got[0], want[1:]) {
		t.Errorf("a link within the directory: %q", got)
	}
}

func TestWhatCannotBeCollectedIsSaid(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"empty/notes.txt": "", "big/weir.yaml": strings.Repeat("#", MaxFileSize+1),
		"conf": "events: {x: {schema: x.json}}", "x.json": "{}", "dir/x.yaml/y": "", "ok.yaml": "",
	})
	for path, want := range map[string]string{
		"empty": "has no .yaml file", "none": "no such file", "big": "1048577 bytes", "big/weir.yaml": "more than the 1048576 bytes",
		"conf": "has to end in .yaml", "dir": "has no .yaml file",
	} {
		_, err := Collect(filepath.Join(dir, path))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := Collect(dir+"/ok.yaml", dir+"/./ok.yaml"); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("twice: %v", err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, roots := range [][]Root{
		{{Files: map[string][]byte{"a.yaml": []byte("a"), "s/x.json": {}}}},
		{{Files: map[string][]byte{"a.yaml": []byte("a")}}, {Files: map[string][]byte{"a.yaml": []byte("b"), "c/d": []byte("d")}}},
	} {
		b, err := Write(roots)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]Root, len(roots))
		if err := Read(b, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(roots, got); diff != "" {
			t.Errorf("-written +read:\n%s", diff)
		}
	}
}

// archive makes a tar of headers; those of a size get as many bytes.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil && h.Size > 0 {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHostileTarsAreRefused(t *testing.T) {
	t.Parallel()
	many := make([]tar.Header, MaxEntries+1)
	for i := range many {
		many[i] = tar.Header{Name: "d/", Typeflag: tar.TypeDir}
	}
	large := make([]tar.Header, 17)
	for i := range large {
		large[i] = tar.Header{Name: string(rune('a' + i)), Size: MaxFileSize}
	}
	for _, c := range []struct {
		name string
		tar  []byte
		code weir.Code
		want string
	}{
		{"up", archive(t, tar.Header{Name: "../a.yaml"}), weir.Invalid, "../a.yaml: is no path within the directory"},
		{"up inside", archive(t, tar.Header{Name: "a/../../b.yaml"}), weir.Invalid, "is no path within"},
		{"absolute", archive(t, tar.Header{Name: "/etc/a.yaml"}), weir.Invalid, "/etc/a.yaml: is no path within"},
		{"link", archive(t, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), weir.Invalid, "a: is no regular file"},
		{"hard link", archive(t, tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}), weir.Invalid, "a: is no regular file"},
		{"device", archive(t, tar.Header{Name: "a", Typeflag: tar.TypeChar}), weir.Invalid, "a: is no regular file"},
		{"pipe", archive(t, tar.Header{Name: "a", Typeflag: tar.TypeFifo}), weir.Invalid, "a: is no regular file"},
		{"twice", archive(t, tar.Header{Name: "a"}, tar.Header{Name: "./a"}), weir.Invalid, "./a: is there twice"},
		{"large file", archive(t, tar.Header{Name: "a", Size: MaxFileSize + 1}), weir.TooLarge, "a: has 1048577 bytes"},
		{"large in all", archive(t, large...), weir.TooLarge, "more than 16777216 bytes"},
		{"many", archive(t, many...), weir.TooLarge, "more than 1000 entries"},
		{"cut", archive(t, tar.Header{Name: "a", Size: 5000})[:1000], weir.Invalid, "not a tar"},
		{"no tar", []byte("triggers: {}" + strings.Repeat(" ", 600)), weir.Invalid, "not a tar"},
		{"compressed", append([]byte{0x1f, 0x8b}, make([]byte, 600)...), weir.Invalid, "the tar is compressed"},
		{"sparse", sparse(t), weir.TooLarge, "more than 16777216 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			err := Read(c.tar, make([]Root, 1))

			if weir.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s: %s", err, c.code, c.want)
			}
		})
	}
}

// sparse returns a tar of a few bytes that tells of a file of a terabyte, as PAX
// format 1.0 of GNU tar writes them. The writer does not write such names itself.
func sparse(t testing.TB) []byte {
	t.Helper()
	data := make([]byte, 513) // of which the first 512 say where the rest belongs
	copy(data, "1\n1099511627775\n1\n")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	h := tar.Header{Name: "a", Format: tar.FormatPAX, Size: int64(len(data)), PAXRecords: map[string]string{
		"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.realsize": "1099511627776", "XXX.sparse.name": "a",
	}}
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("XXX.sparse"), []byte("GNU.sparse"))
}

func TestHiddenFilesAndDirectoriesArePassedOver(t *testing.T) {
	t.Parallel()
	b := archive(
		t, tar.Header{Name: "./", Typeflag: tar.TypeDir}, tar.Header{Name: "./a.yaml"}, tar.Header{Name: ".git/b.yaml"},
		tar.Header{Name: "s/", Typeflag: tar.TypeDir}, tar.Header{Name: "s/.c.yaml"},
	)
	roots := make([]Root, 1)

	if err := Read(b, roots); err != nil {
		t.Fatal(err)
	}

	if got := roots[0].Names(); !cmp.Equal(got, []string{"a.yaml"}) {
		t.Errorf("%q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "a.yaml", Size: 3}, tar.Header{Name: "s/x", Size: 1}))
	f.Add(archive(f, tar.Header{Name: "1/a.yaml"}, tar.Header{Name: "0/b", Typeflag: tar.TypeSymlink, Linkname: "x"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for n := 1; n <= 2; n++ {
			roots := make([]Root, n)
			if err := Read(b, roots); err != nil && weir.CodeOf(err) == weir.Internal {
				t.Error(err)
			}
			for i := range roots {
				for name := range roots[i].Files {
					if !filepath.IsLocal(name) {
						t.Errorf("%q", name)
					}
				}
			}
		}
	})
}
