// Package jqstep is the step that makes of each event's data what a jq program
// answers. It changes the batch and reaches nothing outside.
package jqstep

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"weir"
	"weir/internal/jq"
	"weir/internal/pipeline"
	"weir/internal/step"
)

// perEvent is how long a program may take for one event.
const perEvent = time.Second

var errTooLong = fmt.Errorf("the program takes longer than %v", perEvent)

// Compiler compiles jq steps. All that one Compiler made run on as many events
// at once as there are processors, which bounds their memory together.
type Compiler struct {
	places chan struct{}
}

// NewCompiler returns a Compiler.
func NewCompiler() *Compiler { return &Compiler{places: make(chan struct{}, runtime.GOMAXPROCS(0))} }

// Step is a compiled jq step.
type Step struct {
	program  *jq.Program
	places   chan struct{}
	perEvent time.Duration
}

// Compile compiles a step's program.
func (c *Compiler) Compile(def *weir.JQStep) (*Step, error) {
	program, err := jq.Compile(def.Program)
	if err != nil {
		return nil, fmt.Errorf("jq: %w", err)
	}
	return &Step{program: program, places: c.places, perEvent: perEvent}, nil
}

// Run returns the events with their new data. A program that fails on one of
// them fails the step: nobody could tell what belongs to the batch. One that
// takes too long is tried again, as the machine may have been busy.
func (s *Step) Run(ctx context.Context, in *step.Input) (step.Outcome, error) {
	group, run := plain(in.Scope.Group), plain(in.Scope.Run)
	var made []*weir.Record
	for _, rec := range in.Events {
		e := rec.Event
		if e.Data != nil && !e.IsJSON() {
			return step.Final(fmt.Sprintf("jq: the data of event %s is %s, and not JSON", e.ID, e.ContentType)), nil
		}
		out, err := s.run(ctx, jq.Input{Data: e.Data, Event: attributes(rec), Group: group, Run: run, Limit: in.Limits.Data})
		if ctx.Err() != nil {
			return step.Outcome{}, context.Cause(ctx)
		}
		if err != nil {
			failed := step.Final(fmt.Sprintf("jq: event %s: %v", e.ID, err))
			if errors.Is(err, errTooLong) {
				failed.Failure.Failure = pipeline.Failure{Kind: pipeline.Timeout}
			}
			return failed, nil
		}
		if out != nil {
			made = append(made, step.WithData(rec, out))
		}
	}
	return step.Outcome{Events: made, Detail: fmt.Sprintf("%d of %d events", len(made), len(in.Events))}, nil
}

// run runs the program on one event when there is a place.
func (s *Step) run(ctx context.Context, in jq.Input) ([]byte, error) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.perEvent, errTooLong)
	defer cancel()
	return s.program.Run(ctx, in)
}
