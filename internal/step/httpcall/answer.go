package httpcall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
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
// all the same where nothing is made of it: the effect was had.
func (c *call) answered(ctx context.Context, resp *http.Response) (step.Outcome, error) {
	out := step.Outcome{Detail: fmt.Sprintf("%s %d", describe(c.req), resp.StatusCode)}
	success := c.succeeds(resp.StatusCode)
	limit := c.in.Limits.Output
	switch {
	case !success:
		limit = 4 * excerpt
	case c.response == pipeline.Emit:
		limit = c.in.Limits.Data
	}
	content, broken := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if broken == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, drained) // only to use the connection again
	}
	if !success {
		if len(content) > 0 {
			c.in.Log.Excerpt(time.Now(), "warn", "answer: "+strings.ToValidUTF8(string(content), "�"), excerpt)
		}
		out.Failure = c.refused(resp)
		return out, nil
	}
	if c.response != pipeline.Ignore {
		return c.used(ctx, resp, out, answer{content, broken, len(content) > limit})
	}
	content = bytes.TrimSpace(content)
	switch {
	case broken != nil:
		out.Detail += ", its answer broke off"
	case len(content) > limit:
		out.Detail += fmt.Sprintf(", its answer of more than %d bytes not kept", limit)
	case step.IsJSON(content):
		out.Output = content
	}
	return out, nil
}

// answer is the body of an answer as far as it was read.
type answer struct {
	content []byte
	broken  error // it broke off
	long    bool  // it is longer than what is kept
}

// used makes of an answer the event or the batch that the step's response says.
// An answer of which nothing can be made is a failure, although the request may
// have had its effect.
func (c *call) used(ctx context.Context, resp *http.Response, out step.Outcome, a answer) (step.Outcome, error) {
	content := bytes.TrimSpace(a.content)
	var why string
	switch {
	case a.broken != nil:
		failed, err := c.unanswered(ctx, a.broken)
		failed.Detail = out.Detail + ", its answer broke off"
		return failed, err
	case a.long:
		why = "its answer is longer than may be kept"
	case c.response == pipeline.Emit:
		var err error
		if out.Emitted, err = c.emitted(resp, a.content); err != nil {
			why = "its answer is no event: " + err.Error()
		}
		if step.IsJSON(content) && len(content) <= c.in.Limits.Output {
			out.Output = content
		}
	case !step.IsJSON(content):
		why = "its answer is not JSON, and cannot replace what was sent"
	default:
		out.Output = content
	}
	if why != "" {
		out = step.Outcome{Detail: out.Detail, Failure: c.failure(resp, why)}
		out.Failure.Final = true
	}
	return out, nil
}

// emitted returns the event whose data the answer is.
func (c *call) emitted(resp *http.Response, content []byte) ([]*weir.Event, error) {
	kind, err := c.emits.Render(c.vars)
	if err != nil {
		return nil, err
	}
	e := &weir.Event{
		ID:        c.in.EventID(),
		Source:    "/runs/" + c.in.Run.ID.String(),
		Type:      kind,
		Execution: pipeline.Execution(c.in.Run),
		Cause:     c.in.Run.ID,
		Hops:      c.in.Run.Firing.Hops + 1,
	}
	if c.in.Place > 0 {
		e.Execution = c.in.Events[0].Event.Execution
	}
	if len(content) > 0 {
		e.Data, e.ContentType = content, contentType(resp.Header.Get("Content-Type"), content)
		if e.IsJSON() && !step.IsJSON(content) {
			return nil, weir.E("", weir.Invalid, "it says %q and is not JSON", resp.Header.Get("Content-Type"))
		}
	}
	return []*weir.Event{e}, e.Validate()
}

// contentType is what an answer says that it is or, where it says nothing that
// can be read, what it looks like.
func contentType(says string, content []byte) string {
	kind, _, err := mime.ParseMediaType(says)
	switch {
	case err == nil && weir.IsJSONType(kind), err != nil && step.IsJSON(content):
		return ""
	case err != nil:
		return "application/octet-stream"
	}
	return says
}

// succeeds reports whether a status is one of the step's success, by default
// 2xx.
func (s *Step) succeeds(status int) bool {
	if s.success == nil {
		return status/100 == 2
	}
	text := strconv.Itoa(status)
	return slices.Contains(s.success, text) || slices.Contains(s.success, text[:1]+"xx")
}

func (c *call) failure(resp *http.Response, why string) *step.Failure {
	return &step.Failure{
		Message: describe(c.req) + ": " + why,
		Failure: pipeline.Failure{Kind: pipeline.Status, Status: resp.StatusCode},
	}
}

func (c *call) refused(resp *http.Response) *step.Failure {
	f := c.failure(resp, fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	f.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	f.Final = resp.StatusCode/100 == 3
	return f
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
func (c *call) unanswered(ctx context.Context, err error) (step.Outcome, error) {
	req := c.req
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
		f.Kind, text = pipeline.Timeout, fmt.Sprintf("no answer in %v", c.timeout)
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
