package interop

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	sdkclient "github.com/cloudevents/sdk-go/v2/client"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/client"
)

// sdkEvents are events as users of the SDK make them.
func sdkEvents(t *testing.T) []event.Event {
	t.Helper()
	of := func(id, contentType string, data any) event.Event {
		e := event.New()
		e.SetID(id)
		e.SetSource("https://shop.example/eu?x=1")
		e.SetType("order.placed")
		e.SetSubject("Bücher & \"mehr\"")
		e.SetTime(time.Date(2026, 1, 31, 9, 30, 0, 500_000_000, time.UTC))
		e.SetDataSchema("https://shop.example/schema")
		e.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		e.SetExtension("attempt", 3)
		e.SetExtension("urgent", true)
		if err := e.SetData(contentType, data); err != nil {
			t.Fatal(err)
		}
		return e
	}
	return []event.Event{
		of("json", event.ApplicationJSON, map[string]any{"total": 12.5}),
		of("text", event.TextPlain, "zwei\nZeilen"),
		of("bytes", "image/png", []byte{0, 255, 10, 13}),
	}
}

// wantAsSent compares what Weir holds with what the SDK sent.
func wantAsSent(t *testing.T, sent event.Event, got client.Event) {
	t.Helper()
	extensions := map[string]string{}
	for _, x := range got.Extensions {
		extensions[x.Name] = x.Value
	}
	want := []any{
		sent.ID(), sent.Source(), sent.Type(), sent.Subject(), sent.Time(), sent.DataSchema(), sent.DataContentType(), string(sent.Data()),
		map[string]string{"traceparent": sent.Extensions()["traceparent"].(string), "attempt": "3", "urgent": "true"},
	}
	have := []any{
		got.ID, got.Source, got.Type, got.Subject, got.Time.Std(), got.Schema, got.ContentType, string(got.Data), extensions,
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
}

// held returns the n events that a server holds, oldest first.
func held(t *testing.T, s *server, n int) []client.Event {
	t.Helper()
	s.See(weir.Seq(n)) // they are the first in its journal
	page, err := s.Events(t.Context(), client.EventFilter{}, client.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	out := []client.Event{}
	for i := range page.Items {
		out = append(out, page.Items[len(page.Items)-1-i])
	}
	return out
}

func TestTheGoSDKSendsInBinaryAndStructuredMode(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]func(context.Context) context.Context{
		"binary": binding.WithForceBinary, "structured": binding.WithForceStructured,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			p, err := cehttp.New(cehttp.WithTarget(s.URL+"/v1/events"), cehttp.WithHeader("Authorization", "Bearer "+token))
			if err != nil {
				t.Fatal(err)
			}
			sender, err := sdkclient.New(p)
			if err != nil {
				t.Fatal(err)
			}
			sent := sdkEvents(t)

			for _, e := range sent {
				if result := sender.Send(mode(t.Context()), e); !protocol.IsACK(result) {
					t.Fatal(result)
				}
			}

			got := held(t, s, len(sent))
			if len(got) != len(sent) {
				t.Fatalf("%d events", len(got))
			}
			for i := range sent {
				wantAsSent(t, sent[i], got[i])
			}
			sent[0].SetType("weir.run.dead")
			if result := sender.Send(mode(t.Context()), sent[0]); protocol.IsACK(result) {
				t.Error("an event that is turned away was acknowledged")
			}
		})
	}
}

func TestTheGoSDKSendsBatches(t *testing.T) {
	t.Parallel()
	s := start(t)
	sent := sdkEvents(t)
	r, err := cehttp.NewHTTPRequestFromEvents(t.Context(), s.URL+"/v1/events", sent)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)

	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	got := held(t, s, len(sent))
	if resp.StatusCode != http.StatusAccepted || len(got) != len(sent) {
		t.Fatalf("%d, %d events", resp.StatusCode, len(got))
	}
	for i := range sent {
		wantAsSent(t, sent[i], got[i])
	}
}
