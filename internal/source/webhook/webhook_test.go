package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/ingest"
)

const key = "It's a Secret to Everybody"

// world is the state, secrets, journal and refusals of one test.
type world struct {
	mu       sync.Mutex
	hook     weir.Webhook
	revision uint64
	compiles int
	secret   string
	events   []*weir.Event
	refusals []weir.Refusal
}

func (w *world) ProjectByName(_ context.Context, name string) (weir.Project, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != "default" && name != "shop" {
		return weir.Project{}, weir.E("", weir.NotFound, "there is no project %q", name)
	}
	return weir.Project{ID: 1, Name: name, Revision: w.revision}, nil
}

func (w *world) Definitions(context.Context, weir.ProjectID) ([]weir.Definition, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.compiles++
	body, err := json.Marshal(weir.Source{Webhook: &w.hook})
	return []weir.Definition{
		{Kind: weir.KindPipeline, Name: "github", Body: []byte(`{}`)},
		{Kind: weir.KindSource, Name: "github", Body: body},
	}, w.revision, err
}

func (w *world) Reveal(_ context.Context, _ weir.ProjectID, name string) (string, error) {
	if name == "github" && w.secret != "" {
		return w.secret, nil
	}
	return "", weir.E("", weir.NotFound, "there is no secret %q", name)
}

func (w *world) Append(_ context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var items []weir.Item
	for _, r := range batches[0].Records {
		w.events = append(w.events, r.Event)
		items = append(items, weir.Item{Seq: weir.Seq(len(w.events)), At: 1000})
	}
	return []weir.Receipt{{Items: items}}, nil
}

func (w *world) AddRefusals(_ context.Context, all []weir.Refusal) error {
	w.refusals = append(w.refusals, all...)
	return nil
}

func newHooks(t testing.TB) (*Hooks, *world, *ingest.Door) {
	t.Helper()
	w := &world{secret: key, revision: 1, hook: weir.Webhook{
		Verify: "github", Secrets: []string{"${secret.github}"},
		Type: "github.${header['x-github-event']}", ID: "${header['x-github-delivery']}",
	}}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	door := ingest.New(ingest.Options{Journal: w, Refusals: w, Log: log})
	return New(Options{Door: door, State: w, Secrets: w, Log: log}), w, door
}

func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// deliver makes a request as GitHub does.
func deliver(t testing.TB, body []byte) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/github?n=7", bytes.NewReader(body))
	r.SetPathValue("source", "github")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	r.Header.Set("X-Hub-Signature-256", sign(body))
	return r
}

func TestADeliveryBecomesAnEventWithItsBodyAsData(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../../examples/github/payloads/*/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no payloads", err)
	}
	hooks, w, _ := newHooks(t)
	for i, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}

		accepted, err := hooks.Receive(httptest.NewRecorder(), deliver(t, body))
		if err != nil {
			t.Fatal(path, err)
		}
		e := w.events[i]
		if e.Type != "github.push" || e.Source != "/hooks/github" || !bytes.Equal(e.Data, body) || accepted[0].ID != e.ID {
			t.Errorf("%s: %+v", path, e)
		}
	}
	if w.compiles != 1 {
		t.Errorf("compiled %d times", w.compiles)
	}
}

func TestAFormIsTakenByItsPayload(t *testing.T) {
	t.Parallel()
	hooks, w, _ := newHooks(t)
	r := deliver(t, []byte(url.Values{"payload": {`{"zen":"é & é"}`}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")

	if _, err := hooks.Receive(httptest.NewRecorder(), r); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(`{"zen":"é & é"}`, string(w.events[0].Data)); diff != "" {
		t.Error(diff)
	}
}

func TestTemplatesSeeHeaderQueryAndBody(t *testing.T) {
	t.Parallel()
	hooks, w, _ := newHooks(t)
	w.hook.Type, w.hook.ID = "${body.action}.${query.n}.${header['x-github-event']}", ""

	if _, err := hooks.Receive(httptest.NewRecorder(), deliver(t, []byte(`{"action":"opened"}`))); err != nil {
		t.Fatal(err)
	}

	if e := w.events[0]; e.Type != "opened.7.push" || e.ID != "72d3162e-cc78-11e3-81ab-4c9367dc0958" {
		t.Errorf("%+v", e)
	}
}

func TestAnApplyHoldsFromTheNextDelivery(t *testing.T) {
	t.Parallel()
	hooks, w, _ := newHooks(t)
	receive := func() {
		t.Helper()
		if _, err := hooks.Receive(httptest.NewRecorder(), deliver(t, []byte(`{}`))); err != nil {
			t.Fatal(err)
		}
	}

	receive()
	w.hook.Type, w.revision = "changed", 2
	receive()
	receive()

	if w.events[0].Type != "github.push" || w.events[1].Type != "changed" || w.compiles != 2 {
		t.Errorf("%s, %s after %d compiles", w.events[0].Type, w.events[1].Type, w.compiles)
	}
}

func TestWhatIsTurnedAwayIsListedAndNotKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world, *http.Request)
		want   weir.Refusal
	}{
		"wrong signature": {
			func(_ *world, r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign([]byte("x"))) },
			weir.Refusal{Code: weir.Unauthenticated, Door: "hook/github", Field: "X-Hub-Signature-256", Reason: "the signature is not that of the body"},
		},
		"no secret": {
			func(w *world, _ *http.Request) { w.secret = "" },
			weir.Refusal{Code: weir.Unavailable, Door: "hook/github", Reason: "the secret github of source github is not set: weir secret set github"},
		},
		"missing header": {
			func(_ *world, r *http.Request) { r.Header.Del("X-GitHub-Delivery") },
			weir.Refusal{
				Code: weir.Invalid, Door: "hook/github", Field: "id", Reason: `missing header["x-github-delivery"]`,
				Source: "/hooks/github", Type: "github.push",
			},
		},
		"control character": {
			func(_ *world, r *http.Request) { r.Header.Set("X-GitHub-Delivery", "a\tb") },
			weir.Refusal{
				Code: weir.Invalid, Door: "hook/github", Field: "id", Reason: "contains the control character U+0009",
				Source: "/hooks/github", ID: "a\tb", Type: "github.push",
			},
		},
		"unknown source": {
			func(_ *world, r *http.Request) { r.SetPathValue("source", "gitlab") },
			weir.Refusal{Code: weir.NotFound, Door: "hook", Reason: `there is no webhook source "gitlab"`},
		},
		"too large": {
			func(_ *world, r *http.Request) { r.ContentLength = 1 << 40 },
			weir.Refusal{Code: weir.TooLarge, Door: "hook/github", Field: "body", Reason: "longer than 8388608 bytes, which are the most"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hooks, w, door := newHooks(t)
			r := deliver(t, []byte(`{}`))
			c.change(w, r)

			_, err := hooks.Receive(httptest.NewRecorder(), r)

			if weir.CodeOf(err) != c.want.Code || len(w.events) != 0 {
				t.Errorf("error %v, %d events", err, len(w.events))
			}
			if err := door.Flush(t.Context()); err != nil || len(w.refusals) != 1 {
				t.Fatal(err, w.refusals)
			}
			got := w.refusals[0]
			got.At = 0
			c.want.Project = 1
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzPayload checks that whatever is signed is taken as JSON or refused.
func FuzzPayload(f *testing.F) {
	f.Add([]byte(`{"a":1}`), "application/json")
	f.Add([]byte(`payload=%7B%7D`), "application/x-www-form-urlencoded")
	f.Add([]byte(`payload=%zz`), "application/x-www-form-urlencoded; charset=utf-8")
	f.Add([]byte(`a=1&a=2&b=%ff`), "application/x-www-form-urlencoded")
	f.Add([]byte(`a`), "")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		r := deliver(t, body)
		r.Header.Set("Content-Type", contentType)
		for _, kind := range []string{"github", "hmac"} {
			data, media, err := payload(kind, &delivery{Request: r, body: body})
			if err == nil && data != nil && weir.IsJSONType(media) && !json.Valid(data) {
				t.Errorf("%q is not JSON", data)
			}
			if _, known := errors.AsType[*weir.Error](err); err != nil && !known {
				t.Error(err)
			}
		}
	})
}
