// Package filter is the step that keeps the events of the batch for which a
// condition holds. It changes the batch and reaches nothing outside.
package filter

import (
	"context"
	"fmt"

	"weir"
	"weir/internal/expr"
	"weir/internal/step"
)

// Step is a compiled filter.
type Step struct {
	where *expr.Program
}

// Compile compiles a filter's condition.
func Compile(def *weir.FilterStep) (*Step, error) {
	where, err := expr.CompileCondition(def.Where, expr.ScopeBatch)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	return &Step{where: where}, nil
}

// Run returns the events that are kept. A condition that fails on one of them
// fails the step: nobody could tell what belongs to the batch.
func (s *Step) Run(_ context.Context, in *step.Input) (step.Outcome, error) {
	var kept []*weir.Record
	for _, rec := range in.Events {
		holds, err := s.where.Bool(in.VarsOf(rec))
		if err != nil {
			return step.Unrendered("filter", err)
		}
		if holds {
			kept = append(kept, rec)
		}
	}
	return step.Outcome{
		Events: kept,
		Detail: fmt.Sprintf("kept %d of %d events", len(kept), len(in.Events)),
	}, nil
}
