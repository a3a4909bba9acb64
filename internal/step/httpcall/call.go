package httpcall

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/step"
)

// DefaultTimeout bounds a request where neither its step nor the options name a
// time-out.
const DefaultTimeout = 30 * time.Second

// Step is a compiled http step.
type Step struct {
	caller  *Caller
	method  string
	url     *expr.Template
	origin  string // "" where it is known only after rendering
	headers []header
	timeout time.Duration
}

type header struct {
	name string
	text *expr.Template
}

// methods are those that a step may use.
var methods = []string{
	http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodGet, http.MethodHead,
}

// own are the headers that net/http writes itself.
var own = []string{"Connection", "Content-Length", "Host", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// Compile compiles an http step.
func (c *Caller) Compile(def *weir.HTTPStep) (*Step, error) {
	s := &Step{caller: c, method: def.Method, origin: pipeline.LiteralOrigin(def.URL), timeout: def.Timeout.Std()}
	if s.method == "" {
		s.method = http.MethodPost
	}
	if !slices.Contains(methods, s.method) {
		return nil, weir.E("http", weir.Invalid, "%q is none of %s", s.method, strings.Join(methods, ", ")).WithField("method")
	}
	s.timeout = cmp.Or(s.timeout, c.timeout)
	var err error
	if s.url, err = expr.CompileTemplate(def.URL, expr.ScopeStep); err != nil {
		return nil, fmt.Errorf("http: url: %w", err)
	}
	for _, h := range def.Headers {
		name := http.CanonicalHeaderKey(h.Name)
		if !validToken(name) || slices.Contains(own, name) {
			return nil, weir.E("http", weir.Invalid, "%q is no header that a step can set", h.Name).WithField("headers")
		}
		text, err := expr.CompileTemplate(h.Text, expr.ScopeStep)
		if err != nil {
			return nil, fmt.Errorf("http: header %s: %w", h.Name, err)
		}
		s.headers = append(s.headers, header{name, text})
	}
	return s, nil
}

// Origin returns where the step is going, as pipeline.OriginOf writes it. It is
// "" where the URL cannot be rendered; Run says why.
func (s *Step) Origin(in *step.Input) string {
	if s.origin != "" {
		return s.origin
	}
	u, err := s.renderURL(in.Vars())
	if err != nil {
		return ""
	}
	return pipeline.OriginOf(u)
}

// Run makes the request.
func (s *Step) Run(ctx context.Context, in *step.Input) (step.Outcome, error) {
	vars := in.Vars()
	target, err := s.renderURL(vars)
	if err != nil {
		return step.Unrendered("url", err)
	}
	headers, name, err := s.renderHeaders(vars)
	if err != nil {
		return step.Unrendered(name, err)
	}
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := s.request(within, target, in)
	if err != nil {
		return step.Final(err.Error()), nil
	}
	for _, h := range headers {
		req.Header.Set(h.Name, h.Text)
	}
	resp, err := s.caller.client.Do(req)
	if err != nil {
		return s.unanswered(ctx, req, err)
	}
	defer resp.Body.Close()
	return answered(req, resp, in), nil
}

func (s *Step) request(ctx context.Context, target *url.URL, in *step.Input) (*http.Request, error) {
	var content []byte
	var contentType string
	if s.method != http.MethodGet && s.method != http.MethodHead {
		content, contentType = body(in.Events)
	}
	req, err := http.NewRequestWithContext(ctx, s.method, target.String(), reader(content))
	if err != nil {
		return nil, err
	}
	key := in.Key()
	req.Header.Set("User-Agent", s.caller.userAgent)
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Webhook-Id", key)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req, nil
}

// renderURL renders the URL and refuses what a value must not make of it.
func (s *Step) renderURL(vars *expr.Vars) (*url.URL, error) {
	text, err := s.url.Render(vars)
	if err != nil {
		return nil, err
	}
	if hasControl(text) {
		return nil, weir.E("", weir.Invalid, "a value puts a control character into it")
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, weir.E("", weir.Invalid, "%q is no URL", text)
	}
	switch origin := pipeline.OriginOf(u); {
	case origin == "":
		return nil, weir.E("", weir.Invalid, "%q is no http or https URL with a host", text)
	case s.origin != "" && origin != s.origin:
		return nil, weir.E("", weir.Invalid, "a value turns it away from %s", s.origin)
	}
	if slices.Contains(strings.Split(u.Path, "/"), "..") {
		return nil, weir.E("", weir.Invalid, "%q climbs up its path", text)
	}
	return u, nil
}

// renderHeaders returns the headers of the step, or the name of the one at
// fault.
func (s *Step) renderHeaders(vars *expr.Vars) (out []weir.NamedText, name string, err error) {
	for _, h := range s.headers {
		text, err := h.text.Render(vars)
		if err == nil && hasControl(strings.ReplaceAll(text, "\t", "")) {
			err = weir.E("", weir.Invalid, "a value puts a control character into it")
		}
		if err != nil {
			return nil, "header " + h.name, err
		}
		out = append(out, weir.NamedText{Name: h.name, Text: text})
	}
	return out, "", nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

func validToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
