package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// serve answers the n-th request with the n-th handler, and the rest with the
// last.
func serve(t *testing.T, handlers ...http.HandlerFunc) (*Client, *int) {
	t.Helper()
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := handlers[min(n, len(handlers)-1)]
		n++
		h(w, r)
	}))
	t.Cleanup(server.Close)
	return &Client{URL: server.URL, Token: "weir_x", HTTP: server.Client()}, &n
}

func refuse(status int, p Problem) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ProblemType)
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(p)
	}
}

func reply(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestAProblemComesBackAsTheErrorThatItWas(t *testing.T) {
	t.Parallel()
	two := 2
	c, _ := serve(t, refuse(400, Problem{Status: 400, Code: weir.Invalid, Detail: "is required", Field: "type", Index: &two}))

	_, err := c.Publish(t.Context(), &weir.Event{ID: "1", Source: "s"})

	got, ok := errors.AsType[*weir.Error](err)
	want := &weir.Error{Code: weir.Invalid, Op: "post /v1/events", Message: "is required", Field: "type", Index: 2, HasIndex: true}
	if !ok || cmp.Diff(want, got) != "" {
		t.Errorf("%v: %s", err, cmp.Diff(want, got))
	}
}

func TestAnAnswerOfAProxyIsTakenByItsStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]weir.Code{
		401: weir.Unauthenticated, 404: weir.NotFound, 413: weir.TooLarge, 418: weir.Invalid, 502: weir.Unavailable, 500: weir.Internal,
	} {
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", status) })

		_, err := c.Run(t.Context(), "run_1")

		if got := weir.CodeOf(err); got != want {
			t.Errorf("%d is %q, not %q", status, got, want)
		}
	}
}

func TestAReadWaitsForWhatWasWritten(t *testing.T) {
	t.Parallel()
	var after []string
	c, _ := serve(t,
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(HeaderSeq, "12")
			_, _ = io.WriteString(w, `{"events":[{"id":"1","uid":"evt_1","seq":12,"duplicate":false}]}`)
		},
		func(w http.ResponseWriter, r *http.Request) {
			after = append(after, r.Header.Get(HeaderAfter))
			w.Header().Set(HeaderSeq, "3")
			_, _ = io.WriteString(w, `{"items":[]}`)
		})

	receipts, err := c.Publish(t.Context(), &weir.Event{Source: "s", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Events(t.Context(), EventFilter{}, Paging{}); err != nil {
			t.Fatal(err)
		}
	}

	if diff := cmp.Diff([]Receipt{{ID: "1", UID: "evt_1", Seq: 12}}, receipts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"12", "12"}, after); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyWhatMayBeRepeatedIsRepeated(t *testing.T) {
	t.Parallel()
	busy := refuse(503, Problem{Status: 503, Code: weir.Behind, Detail: "not yet"})
	for name, c := range map[string]struct {
		call func(*Client) error
		want int
	}{
		"a read":                   {func(c *Client) error { _, err := c.Runs(t.Context(), RunFilter{}, Paging{}); return err }, 2},
		"a publish, which has ids": {func(c *Client) error { _, err := c.Publish(t.Context(), &weir.Event{}); return err }, 2},
		"a body with a key":        {func(c *Client) error { _, err := c.PublishRaw(t.Context(), Raw{Key: "k"}); return err }, 2},
		"a body without":           {func(c *Client) error { _, err := c.PublishRaw(t.Context(), Raw{}); return err }, 1},
		"an order":                 {func(c *Client) error { _, err := c.Cancel(t.Context(), "run_1"); return err }, 1},
		"a secret":                 {func(c *Client) error { return c.SetSecret(t.Context(), "a", "b") }, 2},
		"whether it is ready":      {func(c *Client) error { return c.Ready(t.Context()) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to, calls := serve(t, busy, reply(`{}`))

			err := c.call(to)

			if *calls != c.want || (err == nil) != (c.want > 1) {
				t.Errorf("%d calls, error %v", *calls, err)
			}
		})
	}
}

// slow is a transport that always asks to wait.
type slow struct {
	calls int
	after time.Duration
}

func (s *slow) RoundTrip(*http.Request) (*http.Response, error) {
	s.calls++
	return &http.Response{
		StatusCode: http.StatusTooManyRequests, Body: http.NoBody,
		Header: http.Header{"Retry-After": {strconv.Itoa(int(s.after.Seconds()))}},
	}, nil
}

func TestTriesAreBoundedAndWaitAsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ after, took time.Duration }{{2 * time.Second, 6 * time.Second}, {time.Hour, 0}} {
			transport := &slow{after: c.after}
			to := &Client{URL: "http://weir.example", HTTP: &http.Client{Transport: transport}}
			began := time.Now()

			_, err := to.Run(t.Context(), "run_1")

			if weir.CodeOf(err) != weir.Limited || time.Since(began) != c.took {
				t.Errorf("after %s: %v in %s and %d calls", c.after, err, time.Since(began), transport.calls)
			}
		}
	})
}

func TestAServerThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, reply(`{}`))
	c.URL = "http://127.0.0.1:1"

	if err := c.Ready(t.Context()); weir.CodeOf(err) != weir.Unavailable {
		t.Error(err)
	}
}
