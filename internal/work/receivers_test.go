package work

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"weir"
)

// newHanging returns the URL of a destination that does not answer before end
// is closed.
func newHanging(t testing.TB, end <-chan struct{}) string {
	return newSignalling(t, make(chan struct{}, 100), end)
}

// newSignalling is newHanging, and says when a request has come.
func newSignalling(t testing.TB, begun chan<- struct{}, end <-chan struct{}) string {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is the end of the connection seen
		begun <- struct{}{}
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// newEcho returns the URL of a destination that answers with the header X-Tok.
func newEcho(t testing.TB, status int) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := json.Marshal(map[string]string{"tok": r.Header.Get("X-Tok")})
		w.WriteHeader(status)
		w.Write(body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// unreadable is a journal whose records cannot be read.
type unreadable struct{ *memory }

func (unreadable) Records(context.Context, []weir.Seq) ([]*weir.Record, error) {
	return nil, errDamaged
}
