package interop

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"weir/client"
	"weir/internal/app"
	"weir/internal/config"
)

const token = "weir_a-token-of-the-tests"

// server is a whole server in this process.
type server struct {
	*client.Client
	t *testing.T
}

func start(t *testing.T) *server {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Admin.Token = t.TempDir(), "127.0.0.1:0", config.NewSecret(token)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	a, err := app.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- a.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return &server{Client: &client.Client{URL: a.URL(), Token: token}, t: t}
}

// post publishes a body with headers, given in pairs, and returns the answer.
func (s *server) post(body string, header ...string) (status int, answer string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+"/v1/events", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1]) // in the case that is given
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// taken publishes what must be taken, and returns the events, oldest first.
func (s *server) taken(body string, header ...string) []client.Event {
	s.t.Helper()
	status, answer := s.post(body, header...)
	if status != http.StatusAccepted {
		s.t.Fatalf("%d %s", status, answer)
	}
	var receipts client.Receipts
	if err := json.Unmarshal([]byte(answer), &receipts); err != nil {
		s.t.Fatal(err)
	}
	events := []client.Event{}
	for _, r := range receipts.Events {
		e, err := s.Event(s.t.Context(), r.UID)
		if err != nil {
			s.t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// refused publishes what must be turned away with a status and a field.
func (s *server) refused(status int, field, body string, header ...string) {
	s.t.Helper()
	got, answer := s.post(body, header...)
	var p client.Problem
	if err := json.Unmarshal([]byte(answer), &p); err != nil || got != status || p.Field != field {
		s.t.Errorf("%d %s, want %d with the field %q", got, answer, status, field)
	}
}

// binary are the headers of an event in binary mode, and more.
func binary(more ...string) []string {
	return append([]string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"}, more...)
}

const (
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
	kind       = "Content-Type"
)

// inJSON is the JSON of an event with more members, such as `"data":1`.
func inJSON(more ...string) string {
	return `{"specversion":"1.0","id":"1","source":"/s","type":"t"` + strings.Join(append([]string{""}, more...), ",") + "}"
}
