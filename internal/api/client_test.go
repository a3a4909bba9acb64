package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weir"
	"weir/client"
	"weir/internal/ingest"
)

// TestTheClientSpeaksTheAPI makes a call of each kind from end to end.
func TestTheClientSpeaksTheAPI(t *testing.T) {
	t.Parallel()
	a, w := newAPI(t)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	c := &client.Client{URL: server.URL, Token: "weir_admin", HTTP: server.Client()}
	ctx := t.Context()

	sent := &weir.Event{ID: "1", Source: "/s", Type: "t", Data: []byte(`{"a":1}`), Execution: "e"}
	receipts, err := c.Publish(ctx, sent)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Event(ctx, receipts[0].UID)
	want := client.Event{Event: *sent, UID: receipts[0].UID, Seq: 1, At: w.records[0].At}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || c.Seen() != 1 {
		t.Error(err, c.Seen(), diff)
	}
	applied, err := c.Apply(ctx, client.File{Name: "a.yaml", Text: []byte("pipelines: {p: {steps: [{log: {message: hi}}]}}")})
	if err != nil || applied.Revision != 1 || len(applied.Changes) != 1 {
		t.Errorf("%+v, %v", applied, err)
	}
	_, err = c.DryRun(ctx, client.File{Text: []byte("pipelines: 1"), Expect: 1})
	if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), "weir.yaml:1:12") {
		t.Error(err)
	}
	if _, err = c.Apply(ctx, client.File{Text: []byte("{}"), Expect: 5}); weir.CodeOf(err) != weir.Conflict {
		t.Error(err)
	}
	if d, err := c.Definition(ctx, weir.KindPipeline, "p"); err != nil || d.Name != "p" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.Cancel(ctx, runID.String()); err != nil {
		t.Error(err)
	}
	if run, err := c.Run(ctx, runID.String()); err != nil || run.Attempts[0].Took != weir.Duration(1e9) {
		t.Errorf("%+v, %v", run, err)
	}
	if err := c.SetSecret(ctx, "bank", "s"); err != nil || w.secrets["bank"] != "s" {
		t.Error(err)
	}
	if err := c.DeleteSecret(ctx, "none"); weir.CodeOf(err) != weir.NotFound {
		t.Error(err)
	}
	if err := c.DrainNode(ctx, "b"); err != nil || !w.drained {
		t.Error(err)
	}
	nodes, err := c.Nodes(ctx)
	b, failed := c.Node(ctx, "b")
	if err != nil || failed != nil || len(nodes.Items) != 3 || b.State != "draining" {
		t.Errorf("%+v, %v, %+v, %v", nodes, err, b, failed)
	}
	if err := c.UndrainNode(ctx, "b"); err != nil || w.drained {
		t.Error(err)
	}
	if err := c.Ready(ctx); err != nil {
		t.Error(err)
	}
	if v, err := c.Version(ctx); err != nil || v.Version != "test" {
		t.Errorf("%+v, %v", v, err)
	}
}

// events draws events that the door takes.
func events() *rapid.Generator[*weir.Event] {
	text := rapid.StringMatching(`[a-zA-Z0-9/_.é😀"\\-]{1,12}`)
	return rapid.Custom(func(t *rapid.T) *weir.Event {
		e := &weir.Event{
			ID: text.Draw(t, "id"), Source: rapid.StringMatching(`[a-z/]{1,9}`).Draw(t, "source"), Type: text.Draw(t, "type"),
			Time: weir.Time(rapid.Int64Range(1, 4e15).Draw(t, "time")), Hops: rapid.IntRange(0, 20).Draw(t, "hops"),
		}
		if rapid.Bool().Draw(t, "more") {
			e.Subject, e.Execution = text.Draw(t, "subject"), text.Draw(t, "execution")
			e.Extensions = []weir.Extension{
				{Name: "a1", Value: text.Draw(t, "a1")},
				{Name: "b2", Kind: weir.ExtensionInt, Value: fmt.Sprint(rapid.Int32().Draw(t, "b2"))},
				{Name: "c3", Kind: weir.ExtensionBool, Value: fmt.Sprint(rapid.Bool().Draw(t, "c3"))},
			}
		}
		switch rapid.IntRange(0, 3).Draw(t, "data") {
		case 1:
			e.Data, _ = json.Marshal(rapid.MapOf(text, rapid.Float64Range(-1e9, 1e9)).Draw(t, "json"))
		case 2:
			e.ContentType, e.Data = "text/plain", []byte(rapid.String().Draw(t, "text"))
		case 3:
			e.ContentType, e.Data = "image/png", slices.Concat([]byte{0xff}, rapid.SliceOf(rapid.Byte()).Draw(t, "binary"))
		}
		return e
	})
}

func TestWhatTheClientWritesIsWhatTheDoorAndTheClientRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := events().Draw(t, "event")

		decoded, err := ingest.DefaultLimits().Decode(ingest.Body{Header: http.Header{"Content-Type": {client.EventType}}, Bytes: client.AppendEvent(nil, e)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, decoded.Events[0], cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		want := client.Event{Event: *e, UID: "evt_1", Seq: 1, At: 2}
		want.Cause = weir.RunID{9}
		body, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got client.Event
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Data, got.Data, cmpopts.EquateEmpty()); e.ContentType != "" && diff != "" {
			t.Fatal(diff)
		}
		want.Data, got.Data = nil, nil // json.Marshal compacts and escapes JSON data
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
