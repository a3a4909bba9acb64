// Package logline is the step that writes a line into the run's log.
package logline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/step"
)

// Step is a compiled log step.
type Step struct {
	text  *expr.Template
	level string
}

var levels = []string{"debug", "info", "warn", "error"}

// Compile compiles a log step.
func Compile(def *weir.LogStep) (*Step, error) {
	s := &Step{level: def.Level}
	if s.level == "" {
		s.level = "info"
	}
	if !slices.Contains(levels, s.level) {
		return nil, weir.E("log", weir.Invalid, "%q is none of debug, info, warn, error", s.level).WithField("level")
	}
	var err error
	if s.text, err = expr.CompileTemplate(def.Message, expr.ScopeStep); err != nil {
		return nil, fmt.Errorf("log: message: %w", err)
	}
	return s, nil
}

// Run writes the line.
func (s *Step) Run(_ context.Context, in *step.Input) (step.Outcome, error) {
	text, err := s.text.Render(in.Vars())
	if err != nil {
		return step.Unrendered("message", err)
	}
	in.Log.Write(time.Now(), s.level, text)
	return step.Outcome{}, nil
}
