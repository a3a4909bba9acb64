package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir"
)

// closed returns the URL of a server that is gone.
func closed(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	return server.URL
}

func TestNoAnswerNamesTheServerWithoutItsPassword(t *testing.T) {
	t.Parallel()
	c := &Client{URL: strings.Replace(closed(t), "http://", "http://ana:hidden@", 1), Token: "weir_x"}

	_, err := c.Version(t.Context())

	text := err.Error()
	if weir.CodeOf(err) != weir.Unavailable || !strings.Contains(text, "no answer from http://ana:") || !strings.Contains(text, "is the server running") {
		t.Errorf("got %s", text)
	}
	if strings.Contains(text, "hidden") {
		t.Errorf("the password is shown: %s", text)
	}
}

func TestAURLThatIsNoneIsInvalidAndNotRepeated(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"", "localhost:9347", "127.0.0.1:9347", "ftp://localhost", "http://", "http://ana:hidden@a b"} {
		_, err := (&Client{URL: wrong, Token: "weir_x"}).Version(t.Context())

		if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), "http://127.0.0.1:9347") || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestARequestThatWasGivenUpDoesNotBlameTheServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})

	_, err := c.Version(ctx)

	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "given up") || strings.Contains(err.Error(), "running") {
		t.Errorf("got %v", err)
	}
}

func TestATokenThatNoneCanBeIsSaidAndNotSent(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"weir_x\n", "weir_x\r", "weir x", "weir_ö"} {
		c, asked := serve(t, reply(`{}`))
		c.Token = wrong

		_, err := c.Version(t.Context())

		if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), "the token has") || *asked != 0 {
			t.Errorf("%q: asked %d times, %v", wrong, *asked, err)
		}
	}
}
