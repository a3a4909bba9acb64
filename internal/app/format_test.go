package app_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/config"
	"weir/internal/journal"
)

var update = flag.Bool("update", false, "make testdata/format-N.tar.gz of the format of records that is written now")

const formatProject = `
triggers:
  each: {match: {type: order.placed}, run: tell}
  fails: {match: {type: order.broken}, run: call}
  pairs: {group_by: {s: event.subject}, fire: [{type: order.part, count: 3}], expire: opened + 100000h, run: tell}
pipelines:
  call: {steps: [{http: {method: POST, url: "http://127.0.0.1:1/x"}}], retry: none}
  tell: {steps: [{emit: {type: told, data: "${data}"}}]}
`

func formatToken(n int) string { return fmt.Sprintf("weir_format%d_admin_token_0001", n) }

// TestADirectoryOfEachFormatOpens has a data directory of each format of records
// that was ever released, as it was when its server was killed.
func TestADirectoryOfEachFormatOpens(t *testing.T) {
	t.Parallel()
	if *update {
		makeFormat(t, journal.Version)
	}
	for n := 2; n <= journal.Version; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			dir := unpacked(t, n)
			r := run(t, configured(dir), formatToken(n))

			holdsEvents(t, r)
			holdsGroups(t, r)
			redrives(t, r)
			knowsSecret(t, r)
			goesOn(t, r)

			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			holdsEvents(t, run(t, configured(dir), formatToken(n))) // now that it has records of both
		})
	}
}

// holdsEvents looks for events by each of what they are found by.
func holdsEvents(t *testing.T, r *running) {
	t.Helper()
	for _, c := range []struct {
		f    client.EventFilter
		want []string
	}{
		{client.EventFilter{Type: "order.placed"}, []string{"p3", "p2", "p1"}},
		{client.EventFilter{Type: "order.broken"}, []string{"b3", "b2", "b1"}},
		{client.EventFilter{Type: "order.large"}, []string{"big"}},
		{client.EventFilter{Subject: "s1", Type: "order.part"}, []string{"g3", "g1"}},
		{client.EventFilter{ID: "p2"}, []string{"p2"}},
	} {
		page, err := r.Events(t.Context(), c.f, client.Paging{})
		var got []string
		for _, e := range page.Items {
			if e.Source == "/f2" {
				got = append(got, e.ID)
			}
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, %v", c.f, got, err)
		}
		for _, e := range page.Items {
			if alone, err := r.Event(t.Context(), e.UID); err != nil || alone.ID != e.ID || len(alone.Data) == 0 {
				t.Errorf("%s: %v, %+v", e.UID, err, alone)
			}
		}
	}
	page, err := r.Events(t.Context(), client.EventFilter{Type: "order.large"}, client.Paging{})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("%v, %v", page.Items, err)
	}
	data, err := r.EventData(t.Context(), page.Items[0].UID)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	if b, err := io.ReadAll(data); err != nil || len(b) < 256<<10 {
		t.Errorf("the blob has %d bytes, %v", len(b), err)
	}
}

func holdsGroups(t *testing.T, r *running) {
	t.Helper()
	page, err := r.Groups(t.Context(), client.GroupFilter{Trigger: "pairs"}, client.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range page.Items {
		alone, err := r.Group(t.Context(), g.ID)
		if err != nil || len(alone.Events) != g.Count {
			t.Errorf("%s: %v, %v", g.ID, alone.Events, err)
		}
		got = append(got, fmt.Sprintf("%s %d", g.Key, g.Count))
	}
	if want := []string{`{"s":"s0"} 1`, `{"s":"s1"} 2`}; !slices.Equal(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

// redrives lets one of the three dead runs be tried again, which ends as before.
func redrives(t *testing.T, r *running) {
	t.Helper()
	dead, err := r.Runs(t.Context(), client.RunFilter{State: "dead", Pipeline: "call"}, client.Paging{})
	if err != nil || len(dead.Items) != 3 {
		t.Fatalf("%v, %v", dead.Items, err)
	}
	id := dead.Items[2].ID

	if _, err := r.Redrive(t.Context(), id); err != nil {
		t.Fatal(err)
	}

	var run client.Run
	await(t, func() bool {
		run, err = r.Client.Run(t.Context(), id)
		return err == nil && run.State == "dead" && len(run.Attempts) == 3
	})
	if outcomes := outcomesOf(run); outcomes != "died redriven died" || len(run.Events) != 1 {
		t.Errorf("%s of %v", outcomes, run.Events)
	}
}

func outcomesOf(run client.Run) string {
	words := make([]string, len(run.Attempts))
	for i, a := range run.Attempts {
		words[i] = a.Outcome
	}
	return strings.Join(words, " ")
}

// knowsSecret has a step say the secret, which only the key in the directory opens.
func knowsSecret(t *testing.T, r *running) {
	t.Helper()
	said := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { said <- q.Header.Get("Door") }))
	t.Cleanup(receiver.Close)
	text := "triggers: {ask: {match: {type: ask}, run: [{http: {url: " + receiver.URL + `, headers: {door: "${secret.door}"}}}]}}`
	if _, err := r.Apply(t.Context(), client.File{Name: "ask.yaml", Text: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Publish(t.Context(), &weir.Event{Source: "/s", Type: "ask"}); err != nil {
		t.Fatal(err)
	}
	if got := <-said; got != "sesame" {
		t.Errorf("the secret is %q", got)
	}
}

// goesOn knows an old event as one that is there, and completes an old group.
func goesOn(t *testing.T, r *running) {
	t.Helper()
	third := formatEvent("g", 5)
	third.Source = "/new"
	receipts, err := r.Publish(t.Context(), formatEvent("p", 1), third, third)
	if err != nil || !receipts[0].Duplicate || receipts[1].Duplicate || !receipts[2].Duplicate {
		t.Fatalf("%+v, %v", receipts, err)
	}
	page, err := r.Groups(t.Context(), client.GroupFilter{Trigger: "pairs", State: "fired"}, client.Paging{})
	if err != nil || len(page.Items) != 1 || page.Items[0].Count != 3 {
		t.Errorf("%+v, %v", page.Items, err)
	}
}

// await waits until something is so.
func await(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); {
		if time.Now().After(deadline) {
			t.Fatal("not in time")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func formatEvent(kind string, n int) *weir.Event {
	e := &weir.Event{ID: fmt.Sprint(kind, n), Source: "/f2", Data: fmt.Appendf(nil, `{"n":%d}`, n)}
	switch kind {
	case "p":
		e.Type = "order.placed"
	case "b":
		e.Type = "order.broken"
	case "g":
		e.Type, e.Subject = "order.part", fmt.Sprint("s", n%2)
	}
	return e
}

func makeFormat(t *testing.T, n int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	cfg := configured(dir)
	cfg.Admin.Token = config.NewSecret(formatToken(n))
	r := run(t, cfg, formatToken(n))
	if err := r.SetSecret(t.Context(), "door", "sesame"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte(formatProject)}); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		if _, err := r.Publish(t.Context(), formatEvent("p", i), formatEvent("b", i), formatEvent("g", i)); err != nil {
			t.Fatal(err)
		}
	}
	big := &weir.Event{ID: "big", Source: "/f2", Type: "order.large", Data: large(1)}
	if _, err := r.Publish(t.Context(), big); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		dead, err := r.Runs(t.Context(), client.RunFilter{State: "dead"}, client.Paging{})
		told, failed := r.Runs(t.Context(), client.RunFilter{State: "succeeded"}, client.Paging{})
		return errors.Join(err, failed) == nil && len(dead.Items) == 3 && len(told.Items) == 3
	})
	// The server is idle, so what its files hold now is what a kill would leave.
	pack(t, dir, formatFile(n))
}

func formatFile(n int) string { return filepath.Join("testdata", fmt.Sprintf("format-%d.tar.gz", n)) }

func pack(t *testing.T, dir, name string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(filepath.Dir(dir), path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: filepath.ToSlash(inside), Mode: 0o600, Size: int64(len(text))}); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
	if err := errors.Join(err, w.Close(), z.Close(), os.WriteFile(name, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func unpacked(t *testing.T, n int) string {
	t.Helper()
	f, err := os.Open(formatFile(n))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(dir, "data")
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		text, err := io.ReadAll(r)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}
