// Package transform is the step that sets and removes fields of each event's
// data. It changes the batch and reaches nothing outside.
package transform

import (
	"bytes"
	"context"
	"fmt"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/step"
)

// Step is a compiled transform step.
type Step struct {
	fields []string // as they are written, of values
	values []*expr.Program
	edits  edit
}

// Compile compiles the expressions of a step and puts its paths together. A
// path that is both set and removed is removed.
func Compile(def *weir.TransformStep) (*Step, error) {
	s := &Step{edits: edit{value: -1}}
	for i, set := range def.Set {
		path, err := pipeline.FieldPath(set.Name)
		if err != nil {
			return nil, fmt.Errorf("transform: set: %w", err)
		}
		value, err := expr.Compile(set.Text, expr.ScopeBatch)
		if err != nil {
			return nil, fmt.Errorf("transform: set: %s: %w", set.Name, err)
		}
		s.fields, s.values = append(s.fields, set.Name), append(s.values, value)
		s.edits.at(path).value = i
	}
	for _, text := range def.Remove {
		path, err := pipeline.FieldPath(text)
		if err != nil {
			return nil, fmt.Errorf("transform: remove: %w", err)
		}
		s.edits.at(path).remove = true
	}
	return s, nil
}

// Run returns the events with their new data. What fails on one of them fails
// the step.
func (s *Step) Run(ctx context.Context, in *step.Input) (step.Outcome, error) {
	out := step.Outcome{
		Events: make([]*weir.Record, len(in.Events)), Detail: fmt.Sprintf("%d of %d events", len(in.Events), len(in.Events)),
	}
	for i, rec := range in.Events {
		if ctx.Err() != nil {
			return step.Outcome{}, context.Cause(ctx)
		}
		e := rec.Event
		raw := bytes.TrimSpace(e.Data)
		if !e.IsJSON() || !bytes.HasPrefix(raw, []byte{'{'}) {
			return step.Final(fmt.Sprintf("transform: the data of event %s is not a JSON object", e.ID)), nil
		}
		values := make([][]byte, len(s.values))
		vars := in.VarsOf(rec)
		for n, value := range s.values {
			var err error
			if values[n], err = value.AppendJSON(nil, vars); err != nil {
				return step.Unrendered("transform: event "+e.ID+": "+s.fields[n], err)
			}
		}
		data, err := s.edits.object(make([]byte, 0, len(raw)), raw, values)
		if err != nil {
			return step.Final(fmt.Sprintf("transform: event %s: %v", e.ID, err)), nil
		}
		if len(data) > in.Limits.Data {
			return step.Final(fmt.Sprintf("transform: the data of event %s would be %d bytes long, and %d are the most",
				e.ID, len(data), in.Limits.Data)), nil
		}
		out.Events[i] = step.WithData(rec, data)
	}
	return out, nil
}
