package webhook

import (
	"cmp"
	"context"
	"sync"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/project"
)

// source is a webhook source, compiled.
type source struct {
	name        string
	hook        *weir.Webhook
	secrets     []*expr.Template
	verifyToken *expr.Template // nil: GET is not answered
	kind        *expr.Template // the event's type
	id          *expr.Template // nil: the delivery's own, or made
	subject     *expr.Template // nil: none
	signed      []string       // of hmac: text and placeholders
	tolerance   time.Duration
}

// compiled are the webhook sources of one revision of a project.
type compiled struct {
	revision uint64
	byName   map[string]*source
}

// sources finds the sources in force. What was compiled serves until the
// project has another revision.
type sources struct {
	state State

	mu       sync.Mutex // guards:
	compiled map[weir.ProjectID]*compiled
}

const defaultProject = "default"

func (s *sources) project(ctx context.Context, name string) (weir.Project, error) {
	if name == "" {
		name = defaultProject
	}
	return s.state.ProjectByName(ctx, name)
}

func (s *sources) find(ctx context.Context, p weir.Project, name string) (*source, error) {
	s.mu.Lock()
	c := s.compiled[p.ID]
	s.mu.Unlock()
	if c == nil || c.revision < p.Revision {
		var err error
		if c, err = s.compile(ctx, p.ID); err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.compiled[p.ID] = c
		s.mu.Unlock()
	}
	if src := c.byName[name]; src != nil {
		return src, nil
	}
	return nil, weir.E("", weir.NotFound, "there is no webhook source %.100q", name)
}

func (s *sources) compile(ctx context.Context, id weir.ProjectID) (*compiled, error) {
	all, revision, err := s.state.Definitions(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &compiled{revision: revision, byName: map[string]*source{}}
	for _, d := range all {
		if d.Kind != weir.KindSource {
			continue
		}
		parts, err := project.Decode(d)
		if err != nil {
			return nil, err
		}
		if hook := parts.Sources[0].Webhook; hook != nil {
			if c.byName[d.Name], err = compileHook(d.Name, hook); err != nil {
				return nil, weir.E("compile source", weir.Internal, "%s: %w", d.Name, err)
			}
		}
	}
	return c, nil
}

func compileHook(name string, hook *weir.Webhook) (*source, error) {
	if err := hook.Validate(); err != nil {
		return nil, err
	}
	src := &source{
		name: name, hook: hook, secrets: make([]*expr.Template, len(hook.Secrets)),
		tolerance: cmp.Or(hook.Tolerance, weir.DefaultTolerance).Std(),
	}
	if hook.Signature != nil {
		src.signed = signedParts(cmp.Or(hook.Signature.Signed, "{body}"))
	}
	for i, secret := range hook.Secrets {
		var err error
		if src.secrets[i], err = expr.CompileTemplate(secret, expr.ScopeSource); err != nil {
			return nil, err
		}
	}
	for _, t := range []struct {
		text string
		into **expr.Template
		kept bool // with each event
	}{{hook.VerifyToken, &src.verifyToken, false}, {hook.Type, &src.kind, true}, {hook.ID, &src.id, true}, {hook.Subject, &src.subject, true}} {
		if t.text == "" {
			continue
		}
		compiled, err := expr.CompileTemplate(t.text, expr.ScopeSource)
		if err != nil {
			return nil, err
		}
		if t.kept && len(compiled.Secrets()) > 0 {
			return nil, weir.E("", weir.Invalid, "%s of source %s would keep a secret with each event", t.text, name)
		}
		*t.into = compiled
	}
	return src, nil
}
