// Package client speaks to a Weir server over its HTTP API. It also holds the
// wire types of that API, which the server's own api room uses, so that both
// sides agree by construction.
//
// It imports only the root package. A failure that the server answered comes
// back as a *weir.Error with the code that the server gave.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"weir"
)

// Client speaks to one server as one principal. Several goroutines may use it
// at once; it must not be copied after first use.
//
// It remembers the greatest place in the journal that the server told it, and
// its reads wait for that place: it sees what it wrote.
type Client struct {
	URL     string       // "http://127.0.0.1:9347"
	Token   string       // begins with "weir_"
	Project string       // "": that of the token, or the default one
	HTTP    *http.Client // nil: one of its own, with a time-out of 30 s

	seen atomic.Uint64
}

// The headers of Weir.
const (
	HeaderProject = "Weir-Project" // request: the project, for tokens of several
	HeaderSeq     = "Weir-Seq"     // answer: the greatest place that the request made
	HeaderAfter   = "Weir-After"   // request: show at least what stands up to this place
)

const (
	jsonType    = "application/json"
	maxTries    = 4
	maxWait     = 10 * time.Second // for one Retry-After
	maxResponse = 64 << 20
)

// Seen returns the greatest place in the journal that the server told.
func (c *Client) Seen() weir.Seq { return weir.Seq(c.seen.Load()) }

// See makes reads wait for a place that was learned otherwise.
func (c *Client) See(seq weir.Seq) {
	for {
		old := c.seen.Load()
		if uint64(seq) <= old || c.seen.CompareAndSwap(old, uint64(seq)) {
			return
		}
	}
}

// request is a call before it is made.
type request struct {
	method      string
	path        string
	query       url.Values
	body        []byte
	contentType string
	key         string // Idempotency-Key
	match       string // If-Match
	repeatable  bool   // though it is a POST
	once        bool   // though it may be repeated
	long        bool   // answered bit by bit, for as long as it takes

	stream func() io.ReadCloser // in place of body: what to send, anew for each try
}

func (r *request) op() string { return strings.ToLower(r.method) + " " + r.path }

func (r *request) mayRepeat() bool { return !r.once && (r.repeatable || r.method != http.MethodPost) }

// none is the answer of calls that have none.
type none struct{}

// placed is an answer that says which place it is as of.
type placed interface{ setPlace(seq weir.Seq) }

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	return call[T](ctx, c, request{method: http.MethodGet, path: path, query: q})
}

// call makes the request, again where that is safe and the server asks for it,
// and reads the answer into a T.
func call[T any](ctx context.Context, c *Client, r request) (T, error) {
	var answer T
	for try := 1; ; try++ {
		body, seq, wait, err := c.try(ctx, &r)
		if err == nil {
			if p, ok := any(&answer).(placed); ok {
				p.setPlace(seq)
			}
			return answer, decode(r.op(), body, &answer)
		}
		if wait == 0 && r.key != "" && weir.CodeOf(err) == weir.Unavailable {
			wait = pauseAfter(try)
		}
		if wait <= 0 || try == maxTries || !r.mayRepeat() {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(wait):
		}
	}
}

func decode[T any](op string, body []byte, answer *T) error {
	if _, nothing := any(answer).(*none); nothing {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return weir.E(op, weir.Internal, "read the answer: %w", err)
	}
	return nil
}

// try makes the request once. Seq is the place that the answer tells. On an
// error, wait says how long the server asks to wait before the next try; 0 means
// that it does not ask, less that it asks for more than is waited.
func (c *Client) try(ctx context.Context, r *request) (body []byte, seq weir.Seq, wait time.Duration, err error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, 0, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return nil, 0, 0, weir.E(r.op(), weir.Unavailable, "read the answer: %w", err)
	}
	if n, err := strconv.ParseUint(resp.Header.Get(HeaderSeq), 10, 64); err == nil {
		seq = weir.Seq(n)
		c.See(seq)
	}
	if resp.StatusCode < 300 {
		return body, seq, 0, nil
	}
	return nil, seq, pause(resp), failure(r.op(), resp.StatusCode, body)
}

// do makes the request once and returns the answer as it begins.
func (c *Client) do(ctx context.Context, r *request) (*http.Response, error) {
	base, err := c.base()
	if err != nil {
		return nil, weir.E(r.op(), weir.Invalid, "%w", err)
	}
	req, err := c.prepare(ctx, r)
	if err != nil {
		return nil, weir.E(r.op(), weir.Invalid, "%w", err)
	}
	by := c.http()
	if r.long {
		unhurried := *by
		unhurried.Timeout = 0
		by = &unhurried
	}
	resp, err := by.Do(req)
	if mine, ok := errors.AsType[*weir.Error](err); ok {
		return nil, mine // what was to be sent could not be read
	}
	if err != nil {
		return nil, unanswered(ctx, r.op(), base, err)
	}
	return resp, nil
}

// pause returns how long to wait before the next try, at least a little, or 0
// where the answer does not ask for one.
func pause(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	wait, asked := retryAfter(resp.Header)
	switch {
	case !asked:
		return 0
	case wait > maxWait:
		return -1
	}
	return max(wait, 50*time.Millisecond)
}

func (c *Client) prepare(ctx context.Context, r *request) (*http.Request, error) {
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token has a space, a line's end or another character that no token has")
	}
	target := strings.TrimSuffix(c.URL, "/") + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader = bytes.NewReader(r.body)
	if r.stream != nil {
		body = r.stream()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": r.contentType, "Idempotency-Key": r.key, "If-Match": r.match, HeaderProject: c.Project,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if seen := c.seen.Load(); seen > 0 && r.method == http.MethodGet {
		req.Header.Set(HeaderAfter, strconv.FormatUint(seen, 10))
	}
	return req, nil
}

func (c *Client) http() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{Timeout: 30 * time.Second}
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func add(q url.Values, name string, values []string) {
	for _, v := range values {
		q.Add(name, v)
	}
}

func setInt(q url.Values, name string, value int) {
	if value != 0 {
		q.Set(name, strconv.Itoa(value))
	}
}

func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return b, nil
}

// newID makes an id for an event that has none.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

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
