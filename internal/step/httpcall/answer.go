package httpcall

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/pipeline"
	"weir/internal/step"
)

const (
	excerpt = 1 << 10  // bytes of a refusing answer that go to the log
	drained = 64 << 10 // bytes read beyond what is kept, so that the connection can be used again
)

// answered says what an answer means. A success whose body breaks off is one
// all the same: the effect was had.
func answered(req *http.Request, resp *http.Response, in *step.Input) step.Outcome {
	out := step.Outcome{Detail: fmt.Sprintf("%s %d", describe(req), resp.StatusCode)}
	limit := in.Limits.Output
	if resp.StatusCode/100 != 2 {
		limit = 4 * excerpt
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	_, _ = io.CopyN(io.Discard, resp.Body, drained) // only to use the connection again
	if resp.StatusCode/100 != 2 {
		if len(content) > 0 {
			in.Log.Excerpt(time.Now(), "warn", "answer: "+strings.ToValidUTF8(string(content), "�"), excerpt)
		}
		out.Failure = refused(req, resp)
		return out
	}
	content = bytes.TrimSpace(content)
	switch {
	case err != nil:
		out.Detail += ", its answer broke off"
	case len(content) > limit:
		out.Detail += fmt.Sprintf(", its answer of more than %d bytes not kept", limit)
	case json.Valid(content):
		out.Output = content
	}
	return out
}

func refused(req *http.Request, resp *http.Response) *step.Failure {
	return &step.Failure{
		Message: fmt.Sprintf("%s: %d %s", describe(req), resp.StatusCode, http.StatusText(resp.StatusCode)),
		Failure: pipeline.Failure{
			Kind:       pipeline.Status,
			Status:     resp.StatusCode,
			RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
			Final:      resp.StatusCode/100 == 3,
		},
	}
}

// retryAfter reads seconds or an HTTP date; 0 is nothing that can be read, or
// a time that has passed.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}

// unanswered says why there was no answer. Where the caller's ctx ended, nobody
// can tell whether the request had its effect.
func (s *Step) unanswered(ctx context.Context, req *http.Request, err error) (step.Outcome, error) {
	if ctx.Err() != nil {
		return step.Outcome{Detail: describe(req)}, context.Cause(ctx)
	}
	if broken, ok := errors.AsType[*url.Error](err); ok {
		err = broken.Err // without the URL, whose query may hold a secret
	}
	f := pipeline.Failure{Kind: pipeline.Connect}
	text := err.Error()
	dialing, _ := errors.AsType[*net.OpError](err)
	timed, _ := errors.AsType[net.Error](err)
	switch refusal, ok := errors.AsType[*weir.Error](err); {
	case ok:
		f.Final, text = true, refusal.Message
	case errors.Is(err, context.DeadlineExceeded):
		f.Kind, text = pipeline.Timeout, fmt.Sprintf("no answer in %v", s.timeout)
	case dialing != nil && dialing.Op == "dial":
	case timed != nil && timed.Timeout():
		f.Kind = pipeline.Timeout
	}
	return step.Outcome{
		Detail:  describe(req),
		Failure: &step.Failure{Failure: f, Message: describe(req) + ": " + text},
	}, nil
}

// describe names a request for people: its URL without user and query, which
// may hold secrets.
func describe(req *http.Request) string {
	shown := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path}
	return req.Method + " " + shown.String()
}

// reader is nil where there is no content, so that no body is sent at all.
func reader(content []byte) io.Reader {
	if content == nil {
		return nil
	}
	return bytes.NewReader(content)
}
