package declared

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"weir"
	"weir/internal/expr"
	"weir/internal/schema"
)

// State tells what is in force.
type State interface {
	Definitions(ctx context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error)
}

// Types knows the declared types of all projects. It is for several goroutines
// at once.
type Types struct {
	state State
	log   *slog.Logger

	compiling sync.Mutex // held by who compiles, so that no two do

	mu       sync.RWMutex // guards:
	projects map[weir.ProjectID]*declarations
	applied  int // counts the calls of Applied
}

// declarations are what one project declares, compiled.
type declarations struct {
	strict bool // other types are refused
	types  map[string]*declared
	names  []string
}

// declared is one type.
type declared struct {
	schema *schema.Schema // nil: any data
	err    error          // the schema does not compile, though it was applied
}

// New returns the types that state has.
func New(state State, log *slog.Logger) *Types {
	return &Types{state: state, log: log, projects: map[weir.ProjectID]*declarations{}}
}

// Check returns an Invalid error where the event is of a declared type and its
// data does not fit, or, in a strict project, of none. Its data must be at hand.
func (t *Types) Check(ctx context.Context, project weir.ProjectID, e *weir.Event) error {
	t.mu.RLock()
	d := t.projects[project]
	t.mu.RUnlock()
	if d == nil {
		var err error
		if d, err = t.compile(ctx, project); err != nil {
			return fmt.Errorf("read declared types: %w", err)
		}
	}
	if len(d.types) == 0 && !d.strict {
		return nil
	}
	return d.check(e)
}

// Applied forgets what was compiled for a project: its definitions in state are
// others from now on.
func (t *Types) Applied(project weir.ProjectID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.projects, project)
	t.applied++
}

// compile makes a project's declarations from state, and keeps them unless
// definitions were applied meanwhile.
func (t *Types) compile(ctx context.Context, project weir.ProjectID) (*declarations, error) {
	t.compiling.Lock()
	defer t.compiling.Unlock()
	t.mu.RLock()
	d, applied := t.projects[project], t.applied
	t.mu.RUnlock()
	if d != nil {
		return d, nil
	}
	all, _, err := t.state.Definitions(ctx, project)
	if err != nil {
		return nil, err
	}
	d = &declarations{types: map[string]*declared{}}
	for i := range all {
		if err := d.add(&all[i]); err != nil {
			t.log.Error("a declared type of events does not compile, and its events are refused",
				"project", project, "type", all[i].Name, "err", err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.applied == applied {
		t.projects[project] = d
	}
	return d, nil
}

func (d *declarations) add(def *weir.Definition) error {
	switch {
	case def.Kind == weir.KindSetting && def.Name == "strict":
		return json.Unmarshal(def.Body, &d.strict)
	case def.Kind != weir.KindEventType:
		return nil
	}
	var body weir.EventType
	one := &declared{err: json.Unmarshal(def.Body, &body)}
	if one.err == nil && body.Schema != nil {
		one.schema, one.err = schema.Compile(body.Schema)
	}
	d.types[def.Name] = one
	d.names = append(d.names, def.Name)
	return one.err
}

func (d *declarations) check(e *weir.Event) error {
	one := d.types[e.Type]
	switch {
	case one == nil && d.strict:
		return d.unknown(e.Type)
	case one == nil:
		return nil
	case one.err != nil:
		return weir.E("", weir.Unavailable, "the declaration of %q cannot be read: apply it again", e.Type)
	case one.schema == nil:
		return nil
	case e.Blob != nil && e.Blob.File:
		return weir.E("", weir.Invalid, "is a file, and %q is declared with a schema", e.Type).WithField("data")
	case e.Data == nil:
		return weir.E("", weir.Invalid, "is missing, and %q is declared with a schema", e.Type).WithField("data")
	case !e.IsJSON():
		return weir.E("", weir.Invalid, "%q is not JSON, and %q is declared with a schema", e.ContentType, e.Type).
			WithField("datacontenttype")
	}
	return one.schema.Check(e.Data)
}

const maxNear = 100 // bytes of a name that others are compared with

func (d *declarations) unknown(name string) error {
	hint := ""
	if len(name) <= maxNear {
		if near := expr.Nearest(name, d.names); near != "" {
			hint = fmt.Sprintf("; is %q meant?", near)
		}
	}
	return weir.E("", weir.Invalid, "%q is not declared, and the project is strict%s", name, hint).WithField("type")
}
