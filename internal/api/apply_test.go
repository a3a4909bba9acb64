package api

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/client"
	"weir/internal/project/pack"
)

// folder makes a tar of one directory.
func folder(t *testing.T, files map[string]string) []byte {
	t.Helper()
	root := pack.Root{Files: map[string][]byte{}}
	for name, text := range files {
		root.Files[name] = []byte(text)
	}
	b, err := pack.Write([]pack.Root{root})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func applier(t *testing.T) *client.Client {
	t.Helper()
	a, _ := newAPI(t)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return &client.Client{URL: server.URL, Token: "weir_editor", HTTP: server.Client()}
}

func TestADirectoryIsAppliedWithTheFilesThatItNames(t *testing.T) {
	t.Parallel()
	c, ctx := applier(t), t.Context()
	files := map[string]string{
		"events.yaml":    "events: {a: {schema: schemas/a.json}}",
		"sub/runs.yml":   "triggers: {t: {match: {type: a}, run: p}}",
		"p.yaml":         "pipelines: {p: {steps: [{log: {message: x}}]}}",
		"schemas/a.json": `{"type": "object"}`,
	}

	got, err := c.Apply(ctx, client.File{Text: folder(t, files), Roots: []string{"shop"}})
	if err != nil || len(got.Changes) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	d, err := c.Definition(ctx, weir.KindEventType, "a")
	if err != nil || string(d.Body) != `{"schema":{"type":"object"}}` || d.From != "shop" {
		t.Errorf("%s from %q, %v", d.Body, d.From, err)
	}

	files["schemas/a.json"] = `{"type": "array"}`
	delete(files, "sub/runs.yml")
	got, err = c.Apply(ctx, client.File{Text: folder(t, files), Roots: []string{"shop"}, Prune: true})
	want := client.Applied{
		Revision: 2, Unchanged: 1, Missing: []client.NamedDefinition{}, Warnings: []string{},
		Changes: []client.Change{
			{Action: "update", Kind: weir.KindEventType, Name: "a", Keys: []string{"schema"}},
			{Action: "delete", Kind: weir.KindTrigger, Name: "t"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestProblemsOfSeveralDirectoriesNameTheirFiles(t *testing.T) {
	t.Parallel()
	roots := []pack.Root{
		{Files: map[string][]byte{"a.yaml": []byte("pipelines: {p: {steps: []}}")}},
		{Files: map[string][]byte{"b/c.yaml": []byte("\npipelines: {p: {steps: [{log: {message: x}}]}}\nevents: {x: {schema: ../../a.json}}")}},
	}
	b, err := pack.Write(roots)
	if err != nil {
		t.Fatal(err)
	}

	_, err = applier(t).Apply(t.Context(), client.File{Text: b, Roots: []string{"one", "../two"}, From: []string{"1", "2"}})

	for _, want := range []string{
		"one/a.yaml:1:24: there are no steps",
		`../two/b/c.yaml:2:13: the pipeline "p" is given twice: first in one/a.yaml:1`,
		`../two/b/c.yaml:3:22: "../../a.json" leaves the directory of the project`,
	} {
		if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestATarThatIsNoDirectoryOfProjectFilesIsRefused(t *testing.T) {
	t.Parallel()
	entry := func(h tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		_ = w.Flush()
		return b.Bytes()
	}
	good := folder(t, map[string]string{"a.yaml": ""})
	for _, c := range []struct {
		file  client.File
		code  weir.Code
		field string
	}{
		{client.File{Text: entry(tar.Header{Name: "../a.yaml"})}, weir.Invalid, "../a.yaml"},
		{client.File{Text: entry(tar.Header{Name: "a.yaml", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})}, weir.Invalid, "a.yaml"},
		{client.File{Text: entry(tar.Header{Name: "a.yaml", Size: 1 << 40})}, weir.TooLarge, ""},
		{client.File{Text: folder(t, map[string]string{"a.json": "{}"})}, weir.Invalid, ""},
		{client.File{Text: []byte(fmt.Sprintf("%1000s", "a: b"))}, weir.Invalid, ""},
		{client.File{Text: good, Roots: []string{"a", "b"}}, weir.Invalid, "a.yaml"},
		{client.File{Text: good, From: []string{"a", "b"}}, weir.Invalid, "from"},
		{client.File{Text: make([]byte, pack.MaxSize+1)}, weir.TooLarge, ""},
	} {
		if c.file.Roots == nil {
			c.file.Roots = []string{"."}
		}
		_, err := applier(t).Apply(t.Context(), c.file)
		e, ok := err.(*weir.Error) //nolint:errorlint // the client returns it unwrapped
		if !ok || e.Code != c.code || e.Field != c.field {
			t.Errorf("roots %q: %v, want %s %s", c.file.Roots, err, c.code, c.field)
		}
	}
}
