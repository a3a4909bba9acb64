package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/client"
)

// large is JSON of 300 KiB, which is not kept in the journal.
func large(x int) []byte {
	data, err := json.Marshal(map[string]any{"x": x, "pad": strings.Repeat("0123456789abcdef", 300<<10/16)})
	if err != nil {
		panic(err)
	}
	return data
}

func blobFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestLargeDataIsMatchedDeliveredAndGivenOutAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got := make(chan []byte, 10)
	status := http.StatusServiceUnavailable
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(status)
		got <- body
	}))
	defer receiver.Close()
	first := run(t, configured(dir), "")
	token := first.AdminToken()
	text := `
triggers: {one: {match: {type: x, where: data.x == 1}, run: p}}
pipelines: {p: {steps: [{http: {url: ` + receiver.URL + `}}], retry: {attempts: 3, backoff: 500ms}}}`
	if _, err := first.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte(text)}); err != nil {
		t.Fatal(err)
	}

	receipts, err := first.Publish(t.Context(),
		&weir.Event{Source: "/s", Type: "x", Data: large(1)}, &weir.Event{Source: "/s", Type: "x", Data: large(2)})
	if err != nil {
		t.Fatal(err)
	}

	delivered(t, <-got, 1)
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	status = http.StatusOK
	second := run(t, configured(dir), token)
	delivered(t, <-got, 1)
	isGivenOut(t, second, receipts[0].UID, large(1))
	runs, err := second.Runs(t.Context(), client.RunFilter{}, client.Paging{})
	if err != nil || len(runs.Items) != 1 {
		t.Errorf("%d runs, %v", len(runs.Items), err)
	}
	if files := blobFiles(t, dir); len(files) != 2 {
		t.Errorf("blobs: %v", files)
	}
}

func delivered(t *testing.T, body []byte, x int) {
	t.Helper()
	var event struct{ Data json.RawMessage }
	if err := json.Unmarshal(body, &event); err != nil || !bytes.Equal(event.Data, large(x)) {
		t.Errorf("delivered: %v, %.100s", err, event.Data)
	}
}

func isGivenOut(t *testing.T, r *running, uid string, want []byte) {
	t.Helper()
	data, err := r.EventData(t.Context(), uid)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	if got, err := io.ReadAll(data); err != nil || !bytes.Equal(got, want) {
		t.Errorf("given out: %d bytes, %v", len(got), err)
	}
	alone, err := r.Event(t.Context(), uid)
	if err != nil || !bytes.Equal(alone.Data, want) {
		t.Errorf("alone: %v, %.50s", err, alone.Data)
	}
	list, err := r.Events(t.Context(), client.EventFilter{}, client.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Items {
		ref := weir.Extension{Name: "dataref", Value: client.DataPath(e.UID)}
		if e.Data != nil || len(e.Extensions) != 1 || e.Extensions[0] != ref {
			t.Errorf("in a list: %d bytes, %+v", len(e.Data), e.Extensions)
		}
	}
}

// A server that is killed between a blob and its record leaves a file, as this
// test does.
func TestABlobWithoutARecordIsRemovedAfterADay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := run(t, configured(dir), "")
	token := first.AdminToken()
	if _, err := first.Publish(t.Context(), &weir.Event{Source: "/s", Type: "x", Data: large(1)}); err != nil {
		t.Fatal(err)
	}
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	named := blobFiles(t, dir)
	old := time.Now().Add(-25 * time.Hour)
	orphan := filepath.Join(dir, "blobs", "01234", "56", "0123456789abcdef0123456789abcdef")
	half := filepath.Join(dir, "blobs", "tmp", "0123456789abcdef0123456789abcdee")
	for _, name := range []string{orphan, half} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(named, orphan) {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}

	second := run(t, configured(dir), token)

	for isThere(orphan) { // until the first sweep, which nobody waits for
		if _, err := second.Version(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if isThere(half) {
		t.Error("a file that was half written is left")
	}
	if len(named) != 1 || !isThere(named[0]) {
		t.Errorf("of the event's blob %v is left", blobFiles(t, dir))
	}
}

func isThere(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func TestDeclaredTypesHoldFromTheAnswerToTheApplyOn(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t.TempDir()), "")
	for _, c := range []struct {
		project string
		kind    string
		want    weir.Code
		field   string
	}{
		{`events: {order.placed: {schema: {required: [n]}}}`, "order.placed", "", ""},
		{`events: {order.placed: {schema: {properties: {n: {type: integer}}}}}`, "order.placed", weir.Invalid, "data/n"},
		{`events: {order.paid: {}}`, "order.seen", "", ""},
		{`strict: true`, "order.seen", weir.Invalid, "type"},
	} {
		if _, err := r.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte(c.project)}); err != nil {
			t.Fatal(err)
		}

		_, err := r.Publish(t.Context(), &weir.Event{Source: "/s", Type: c.kind, Data: []byte(`{"n":"one"}`)})

		field := ""
		if e, ok := errors.AsType[*weir.Error](err); ok {
			field = e.Field
		}
		if weir.CodeOf(err) != c.want || field != c.field {
			t.Errorf("%s: %v", c.project, err)
		}
	}
}
