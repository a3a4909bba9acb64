package httpcall

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/step"
)

// DefaultTimeout bounds a request where neither its step, nor its destination,
// nor the options name a time-out.
const DefaultTimeout = 30 * time.Second

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

// Compile compiles an http step. An error names the key at fault.
func (c *Caller) Compile(def *weir.HTTPStep) (*Step, error) {
	if err := pipeline.CheckHTTP(def); err != nil {
		return nil, err
	}
	s := &Step{
		caller: c, method: cmp.Or(def.Method, http.MethodPost), origin: pipeline.LiteralOrigin(def.URL), binary: def.Mode == pipeline.Binary,
		timeout: def.Timeout.Std(), success: def.Success, response: cmp.Or(def.Response, pipeline.Ignore),
	}
	for _, t := range []struct {
		field, text string
		into        **expr.Template
	}{{"url", def.URL, &s.url}, {"sign", def.Sign, &s.sign}, {"response", def.EmitType, &s.emits}} {
		var err error
		if *t.into, err = expr.CompileTemplate(t.text, expr.ScopeStep); err != nil {
			return nil, fmt.Errorf("http: %s: %w", t.field, err)
		}
	}
	if len(s.emits.Secrets()) > 0 {
		return nil, weir.E("http", weir.Invalid, "a secret may not be put into an event, which is kept in the clear").WithField("response")
	}
	if def.Sign == "" {
		s.sign = nil
	}
	if err := s.compileBody(def); err != nil {
		return nil, fmt.Errorf("http: body: %w", err)
	}
	for _, h := range def.Headers {
		text, err := expr.CompileTemplate(h.Text, expr.ScopeStep)
		if err != nil {
			return nil, fmt.Errorf("http: headers: %s: %w", h.Name, err)
		}
		s.headers = append(s.headers, header{http.CanonicalHeaderKey(h.Name), text})
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
