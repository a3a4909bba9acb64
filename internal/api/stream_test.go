package api

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir"
	"weir/client"
	"weir/internal/auth"
)

// beating tells where it stands every 15 s.
type beating struct{}

func (beating) Follow(
	ctx context.Context, _ weir.ProjectID, _ client.StreamFilter, _ string,
) iter.Seq2[client.Page[client.StreamItem], error] {
	return func(yield func(client.Page[client.StreamItem], error) bool) {
		for yield(client.Page[client.StreamItem]{Next: "5"}, nil) {
			select {
			case <-time.After(15 * time.Second):
			case <-ctx.Done():
				return
			}
		}
	}
}

// revoked is a token that is taken back after a time.
type revoked struct{ at time.Time }

func (revoked) Forget() {}

func (r revoked) Authenticate(context.Context, string) (auth.Principal, error) {
	if time.Now().After(r.at) {
		return auth.Principal{}, weir.E("", weir.Unauthenticated, "the token is not known")
	}
	return auth.Principal{Name: "n", Role: auth.Viewer}, nil
}

func TestAStreamEndsWhenItsTokenIsTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAPI(t)
		a.Streams, a.Tokens = beating{}, revoked{time.Now().Add(50 * time.Second)}
		began, recorder := time.Now(), httptest.NewRecorder()

		a.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/stream", nil))

		want := strings.Repeat(": here\nid: 5\n\n", 4) + "event: dropped\ndata: {\"code\":\"unauthenticated\",\"reason\":\"the token is not known\"}\n\n"
		if got := recorder.Body.String(); got != want || time.Since(began) > 65*time.Second {
			t.Errorf("after %s:\n%s", time.Since(began), got)
		}
	})
}

// stuck is a reader that takes nothing: writes end at their deadline.
type stuck struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (s *stuck) SetWriteDeadline(at time.Time) error { s.deadline = at; return nil }

func (s *stuck) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		panic("a stream is never read to its end")
	}
	return nil
}

func (s *stuck) Write(b []byte) (int, error) {
	time.Sleep(time.Until(s.deadline))
	return 0, context.DeadlineExceeded
}

func TestAReaderThatTakesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAPI(t)
		a.Streams = beating{}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/stream", nil)
		r.Header.Set("Authorization", "Bearer weir_viewer")
		began := time.Now()

		a.ServeHTTP(&stuck{ResponseRecorder: httptest.NewRecorder()}, r)

		if took := time.Since(began); took != streamWrite {
			t.Errorf("after %s", took)
		}
	})
}

func TestAClientThatReadsNoAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := connect(t)
		if _, err := io.WriteString(e, "GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer weir_viewer\r\n\r\n"); err != nil {
			t.Fatal(err)
		}

		time.Sleep(answerTime + time.Second)

		if got, err := io.ReadAll(e); len(got) > 0 || err != nil {
			t.Errorf("it is answered still: %q, %v", got, err)
		}
	})
}

// largest is a response of which the largest write is kept.
type largest struct {
	*httptest.ResponseRecorder
	n int
}

func (l *largest) Write(b []byte) (int, error) {
	l.n = max(l.n, len(b))
	return l.ResponseRecorder.Write(b)
}

func TestAPageOfTheStreamIsWrittenInParts(t *testing.T) {
	t.Parallel()
	page := client.Page[client.StreamItem]{}
	for range 50 {
		e := &client.Event{Event: weir.Event{ID: "1", Source: "/s", Type: "t", Data: []byte(`"` + strings.Repeat("d", 20_000) + `"`)}}
		page.Items = append(page.Items, client.StreamItem{Place: "7", Event: e})
	}
	to := &largest{ResponseRecorder: httptest.NewRecorder()}
	out := streamWriter{to: to, control: http.NewResponseController(to)}

	err := out.page(page)

	if err != nil || to.n > streamBuffer+21_000 || strings.Count(to.Body.String(), "id: 7\n") != 50 {
		t.Errorf("%d bytes at once, %d in all, %v", to.n, to.Body.Len(), err)
	}
}
