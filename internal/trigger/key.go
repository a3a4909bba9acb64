package trigger

import (
	"fmt"

	"weir"
	"weir/internal/expr"
)

// keyOf returns the key of the event at hand as canonical JSON, in which values
// of different kinds differ: 1, 1.0 and "1" are three keys.
func (r *Result) keyOf(c *Compiled) (string, error) {
	if len(c.key) == 0 {
		return "{}", nil
	}
	b := append(r.key[:0], '{')
	for i, part := range c.key {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, part.name...)
		b = append(b, '"', ':')
		var err error
		if b, err = part.of.AppendKey(b, &r.vars); err != nil {
			return "", err
		}
	}
	r.key = append(b, '}')
	return string(r.key), nil
}

// Hash returns the identity of an open group: project, trigger, shape and key.
func (c *Compiled) Hash(project weir.ProjectID, key string) weir.Identity {
	return weir.Fingerprint('k', project, 0, c.Def.Name+"\x00"+string(c.shape[:]), key)
}

// Per is a compiled concurrency key.
type Per struct {
	program *expr.Program
}

// CompilePer reads the `per` of a concurrency limit. The error is an
// *expr.CompileError.
func CompilePer(source string) (*Per, error) {
	program, err := expr.Compile(source, expr.ScopeKey)
	if err != nil {
		return nil, fmt.Errorf("compile per: %w", err)
	}
	return &Per{program: program}, nil
}

// Key returns the canonical JSON of a run's concurrency key. event is the
// batch's only event, nil where a group made the run; groupKey is the JSON of
// the group's key, "" where there is none. It returns "" where the expression
// fails: such runs share one key.
func (p *Per) Key(event *weir.Record, groupKey string) string {
	v := expr.Vars{Event: event}
	if groupKey != "" {
		v.Group = expr.Fields{"key": expr.JSON(groupKey)}
	}
	key, err := p.program.AppendKey(nil, &v)
	if err != nil {
		return ""
	}
	return string(key)
}
