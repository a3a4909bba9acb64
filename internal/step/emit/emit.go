// Package emit is the step that publishes events: one, or one for each event of
// the batch. They become events when work appends them with the outcome of the
// try; the step itself reaches nothing outside.
package emit

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/step"
)

// Step is a compiled emit step.
type Step struct {
	kind    *expr.Template // type
	source  *expr.Template // empty: /runs/{run}
	subject *expr.Template
	data    *expr.JSONTemplate // nil: the data of the batch's event
	each    bool
}

// Compile compiles an emit step. Secrets are refused: an event is kept in the
// clear.
func Compile(def *weir.EmitStep) (*Step, error) {
	s := &Step{each: def.Each}
	for _, t := range []struct {
		name, text string
		into       **expr.Template
	}{{"type", def.Type, &s.kind}, {"source", def.Source, &s.source}, {"subject", def.Subject, &s.subject}} {
		compiled, err := expr.CompileTemplate(t.text, expr.ScopeStep)
		if err != nil {
			return nil, fmt.Errorf("emit: %s: %w", t.name, err)
		}
		if len(compiled.Secrets()) > 0 {
			return nil, withSecret(t.name)
		}
		*t.into = compiled
	}
	if def.Data == nil {
		return s, nil
	}
	data, err := expr.CompileJSON(def.Data, expr.ScopeStep)
	if err != nil {
		return nil, fmt.Errorf("emit: data: %w", err)
	}
	if len(data.Secrets()) > 0 {
		return nil, withSecret("data")
	}
	s.data = data
	return s, nil
}

func withSecret(field string) error {
	return weir.E("emit", weir.Invalid, "a secret may not be put into an event, which is kept in the clear").WithField(field)
}

// Run makes the events. One that is not valid fails the step, and none is
// emitted.
func (s *Step) Run(_ context.Context, in *step.Input) (step.Outcome, error) {
	sources := []*weir.Record{nil} // the batch as a whole
	if s.each {
		sources = in.Events
	}
	out := step.Outcome{Emitted: make([]*weir.Event, 0, len(sources))}
	size := 0
	for i, from := range sources {
		e, err := s.event(in, from, i)
		if err != nil {
			return step.Unrendered(fieldOf(err))
		}
		if size += len(e.Data); size > in.Limits.Emitted {
			return step.Final(fmt.Sprintf("data: the events of this step are over %d bytes long in all", in.Limits.Emitted)), nil
		}
		out.Emitted = append(out.Emitted, e)
	}
	if len(out.Emitted) != 1 {
		out.Detail = fmt.Sprintf("%d events", len(out.Emitted))
	} else {
		out.Detail = out.Emitted[0].Type
	}
	return out, nil
}

// event makes the event number i, of one event of the batch or of all of it.
func (s *Step) event(in *step.Input, from *weir.Record, i int) (*weir.Event, error) {
	e := &weir.Event{
		ID:        strconv.Itoa(in.Index) + "." + strconv.Itoa(i),
		Execution: pipeline.Execution(in.Run),
		Cause:     in.Run.ID,
		Hops:      in.Run.Firing.Hops + 1,
	}
	vars := in.Vars()
	if from != nil {
		vars = in.VarsOf(from)
		e.Execution = from.Event.Execution
	}
	for _, t := range []struct {
		name string
		from *expr.Template
		into *string
	}{{"type", s.kind, &e.Type}, {"source", s.source, &e.Source}, {"subject", s.subject, &e.Subject}} {
		text, err := t.from.Render(vars)
		if err != nil {
			return nil, inField(t.name, err)
		}
		*t.into = text
	}
	if literal, ok := s.source.Literal(); ok && literal == "" {
		e.Source = "/runs/" + in.Run.ID.String()
	} else {
		e.ID = in.Run.ID.String() + "." + e.ID // several runs have that source
	}
	if err := s.fill(e, vars, from); err != nil {
		return nil, inField("data", err)
	}
	if len(e.Data) > in.Limits.Data {
		return nil, inField("data", fmt.Errorf("%d bytes long, and %d are the most", len(e.Data), in.Limits.Data))
	}
	return e, e.Validate()
}

// fill sets the data: what the step says, or that of the event it is made of.
func (s *Step) fill(e *weir.Event, vars *expr.Vars, from *weir.Record) (err error) {
	if s.data != nil {
		e.Data, err = s.data.Render(vars)
		return err
	}
	if from == nil && len(vars.Events) > 1 {
		return expr.ErrSeveral
	}
	if from == nil && len(vars.Events) == 1 {
		from = vars.Events[0]
	}
	if from != nil && from.Event.Blob != nil && from.Event.Data == nil {
		return weir.E("", weir.Invalid, "the event's data stands in a file, which belongs to that event: say what the new one holds")
	}
	if from != nil {
		e.Data, e.ContentType, e.Schema = from.Event.Data, from.Event.ContentType, from.Event.Schema
	}
	return nil
}

// fault is an error with the field of the step that it is about.
type fault struct {
	field string
	err   error
}

func (f *fault) Error() string { return f.field + ": " + f.err.Error() }

func (f *fault) Unwrap() error { return f.err }

func inField(field string, err error) error { return &fault{field, err} }

// fieldOf takes an error of event apart.
func fieldOf(err error) (string, error) {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.field, f.err
	}
	return "event", err
}
