package httpcall

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/step"
)

// DefaultTimeout bounds a request where neither its step, nor its destination,
// nor the options name a time-out.
const DefaultTimeout = 30 * time.Second

// What becomes of an answer, as a step's response says.
const (
	Ignore  = "ignore"  // it is kept as the step's output where it is JSON
	Emit    = "emit"    // it is the data of a new event
	Replace = "replace" // it is the batch for the steps that follow
)

const binary = "binary"

// Step is a compiled http step.
type Step struct {
	caller   *Caller
	method   string
	url      *expr.Template
	origin   string // "" where it is known only after rendering
	headers  []header
	text     *expr.Template     // a body that is text
	tree     *expr.JSONTemplate // a body that is JSON; nil with text: the events
	binary   bool
	timeout  time.Duration // 0: the destination's
	sign     *expr.Template
	success  []string
	response string
	emits    *expr.Template // type
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

// Compile compiles an http step. An error names the key at fault.
func (c *Caller) Compile(def *weir.HTTPStep) (*Step, error) {
	s := &Step{
		caller: c, method: cmp.Or(def.Method, http.MethodPost), origin: pipeline.LiteralOrigin(def.URL),
		timeout: def.Timeout.Std(), success: def.Success, response: cmp.Or(def.Response, Ignore),
	}
	for _, part := range []struct {
		field   string
		compile func(*weir.HTTPStep) error
	}{
		{"method", s.compileMethod},
		{"url", s.compileURL},
		{"sign", s.compileSign},
		{"mode", s.compileMode},
		{"body", s.compileBody},
		{"headers", s.compileHeaders},
		{"success", s.compileSuccess},
		{"response", s.compileResponse},
	} {
		if err := part.compile(def); err != nil {
			if e, ok := errors.AsType[*weir.Error](err); ok {
				return nil, e.WithField(part.field)
			}
			return nil, fmt.Errorf("http: %s: %w", part.field, err)
		}
	}
	return s, nil
}

func invalid(format string, args ...any) error { return weir.E("http", weir.Invalid, format, args...) }

func (s *Step) compileMethod(*weir.HTTPStep) error {
	if !slices.Contains(methods, s.method) {
		return invalid("%q is none of %s", s.method, strings.Join(methods, ", "))
	}
	return nil
}

func (s *Step) compileURL(def *weir.HTTPStep) (err error) {
	s.url, err = expr.CompileTemplate(def.URL, expr.ScopeStep)
	return err
}

func (s *Step) compileSign(def *weir.HTTPStep) (err error) {
	if def.Sign != "" {
		s.sign, err = expr.CompileTemplate(def.Sign, expr.ScopeStep)
	}
	return err
}

func (s *Step) compileMode(def *weir.HTTPStep) error {
	s.binary = def.Mode == binary
	switch {
	case !s.binary && def.Mode != "" && def.Mode != "structured":
		return invalid("%q is none of structured, binary", def.Mode)
	case def.Mode != "" && def.Body != nil:
		return invalid("says how events are sent, and body sends something else")
	case s.binary && !s.hasBody():
		return invalid("%s has no body, where the event's data would be", s.method)
	}
	return nil
}

func (s *Step) hasBody() bool { return s.method != http.MethodGet && s.method != http.MethodHead }

func (s *Step) compileHeaders(def *weir.HTTPStep) error {
	for _, h := range def.Headers {
		name := http.CanonicalHeaderKey(h.Name)
		switch {
		case !validToken(name) || slices.Contains(own, name):
			return invalid("%q is no header that a step can set", h.Name)
		case s.sign != nil && strings.HasPrefix(name, "Webhook-"):
			return invalid("%q is set by sign", h.Name)
		case s.binary && strings.HasPrefix(name, "Ce-"):
			return invalid("%q is set by mode: binary", h.Name)
		}
		text, err := expr.CompileTemplate(h.Text, expr.ScopeStep)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		s.headers = append(s.headers, header{name, text})
	}
	return nil
}

func (s *Step) compileSuccess(def *weir.HTTPStep) error {
	if def.Success != nil && len(def.Success) == 0 {
		return invalid("an empty list: no answer would be a success")
	}
	for _, text := range def.Success {
		if !isStatus(text) {
			return invalid("%q is no status such as 2xx or 404", text)
		}
	}
	return nil
}

// isStatus reports whether text is a status from 200 on, or a class of them.
func isStatus(text string) bool {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	return len(text) == 3 && text[0] >= '2' && text[0] <= '5' && (text[1:] == "xx" || isDigit(text[1]) && isDigit(text[2]))
}

func (s *Step) compileResponse(def *weir.HTTPStep) (err error) {
	switch {
	case !slices.Contains([]string{Ignore, Emit, Replace}, s.response):
		return invalid("%q is none of ignore, emit TYPE, replace", s.response)
	case s.response == Emit && def.EmitType == "":
		return invalid("emit needs the type of the event: emit TYPE")
	case s.response != Emit:
		return nil
	}
	s.emits, err = expr.CompileTemplate(def.EmitType, expr.ScopeStep)
	if err == nil && len(s.emits.Secrets()) > 0 {
		return invalid("a secret may not be put into an event, which is kept in the clear")
	}
	return err
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

// Run makes one request with the whole batch of in.
func (s *Step) Run(ctx context.Context, in *step.Input) (step.Outcome, error) {
	c := &call{Step: s, in: in, vars: in.Vars()}
	if field, err := c.prepare(ctx); err != nil {
		return step.Unrendered(field, err)
	}
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	c.req = c.req.WithContext(within)
	resp, err := s.caller.client.Do(c.req)
	if err != nil {
		return c.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	return c.answered(ctx, resp)
}
