package webhook

import (
	"context"
	"sync"

	"weir"
	"weir/internal/expr"
	"weir/internal/project"
)

// source is a webhook source, compiled.
type source struct {
	name   string
	secret *expr.Template
	kind   *expr.Template // the event's type
	id     *expr.Template // nil: made
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
	return nil, weir.E("", weir.NotFound, "there is no webhook source %q", name)
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
	src := &source{name: name}
	var err error
	if src.secret, err = expr.CompileTemplate(hook.Secrets[0], expr.ScopeSource); err != nil {
		return nil, err
	}
	if src.kind, err = expr.CompileTemplate(hook.Type, expr.ScopeSource); err != nil {
		return nil, err
	}
	if hook.ID != "" {
		if src.id, err = expr.CompileTemplate(hook.ID, expr.ScopeSource); err != nil {
			return nil, err
		}
	}
	if len(src.kind.Secrets()) > 0 || src.id != nil && len(src.id.Secrets()) > 0 {
		return nil, weir.E("", weir.Invalid, "the type or id of source %s would keep a secret with each event", name)
	}
	return src, nil
}
