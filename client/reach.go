package client

import (
	"context"
	"errors"
	"net/url"

	"weir"
)

// base returns the server's URL, checked.
func (c *Client) base() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// It is not repeated: there may be a password in it.
		return nil, errors.New("the server's URL must be one such as http://127.0.0.1:9347")
	}
	return u, nil
}

// unanswered says why a request to the server at base got no answer.
func unanswered(ctx context.Context, op string, base *url.URL, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // its method and URL are told already
	}
	if ctx.Err() != nil {
		return weir.E(op, weir.Unavailable, "given up before %s answered: %w", base.Redacted(), err)
	}
	return weir.E(op, weir.Unavailable, "no answer from %s: %w; is the server running, and is that its address?", base.Redacted(), err)
}
