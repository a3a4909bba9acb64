package work

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"weir"
	"weir/internal/pipeline"
	"weir/internal/step"
	"weir/internal/step/emit"
	"weir/internal/step/filter"
	"weir/internal/step/httpcall"
	"weir/internal/step/jqstep"
	"weir/internal/step/logline"
	"weir/internal/step/transform"
)

// Step is a compiled step of any kind. It may be run by many goroutines at
// once.
type Step interface {
	Run(ctx context.Context, in *step.Input) (step.Outcome, error)
}

// originer is a step that goes to an origin, which has a gate of its own.
type originer interface {
	Origin(in *step.Input) string // "" where it cannot be told: Run says why
}

// program is a compiled version of a pipeline.
type program struct {
	steps []compiled
	err   error // it does not compile, although it was applied
}

type compiled struct {
	kind     string
	acts     bool
	each     bool // done once per event
	replaces bool // its answer becomes the batch
	Step
}

// version names what a program is compiled from.
type version struct {
	project  weir.ProjectID
	pipeline string
	revision uint64
}

// maxPrograms bounds each of the two generations that are kept.
const maxPrograms = 512

// programs keeps compiled pipelines: those used lately, in two generations, so
// that what is in use is not compiled again.
type programs struct {
	caller *httpcall.Caller
	jq     *jqstep.Compiler

	mu         sync.Mutex // guards all below
	young, old map[version]*program
}

func newPrograms(caller *httpcall.Caller) *programs {
	return &programs{caller: caller, jq: jqstep.NewCompiler(), young: make(map[version]*program)}
}

// of returns the program of the lease's pipeline.
func (p *programs) of(lease *weir.Lease) *program {
	v := version{lease.Run.Project, lease.Run.Pipeline, lease.Run.Firing.PipeRev}
	p.mu.Lock()
	defer p.mu.Unlock()
	if prog := p.young[v]; prog != nil {
		return prog
	}
	prog := p.old[v]
	if prog == nil {
		prog = p.compile(lease.Pipe)
	}
	if len(p.young) >= maxPrograms {
		p.young, p.old = make(map[version]*program), p.young
	}
	p.young[v] = prog
	return prog
}

func (p *programs) compile(def *weir.Pipeline) *program {
	prog := &program{}
	for i := range def.Steps {
		s := &def.Steps[i]
		c := compiled{kind: s.Kind(), acts: s.Acts()}
		var err error
		switch {
		case s.Filter != nil:
			c.Step, err = filter.Compile(s.Filter)
		case s.Transform != nil:
			c.Step, err = transform.Compile(s.Transform)
		case s.JQ != nil:
			c.Step, err = p.jq.Compile(s.JQ)
		case s.HTTP != nil:
			c.each, c.replaces = s.HTTP.Each, s.HTTP.Response == pipeline.Replace
			c.Step, err = p.caller.Compile(s.HTTP)
		case s.Emit != nil:
			c.Step, err = emit.Compile(s.Emit)
		case s.Log != nil:
			c.each = s.Log.Each
			c.Step, err = logline.Compile(s.Log)
		default:
			err = weir.E("", weir.Invalid, "is of a kind that this version does not know")
		}
		if err != nil {
			return &program{err: fmt.Errorf("step %d: %w", i, err)}
		}
		prog.steps = append(prog.steps, c)
	}
	return prog
}

// isQuick reports whether a run can be tried without waiting: its steps are, and
// its batch is at hand where one of them needs it.
func isQuick(lease *weir.Lease) bool {
	if lease.Pipe == nil {
		return true
	}
	left := false
	for i := range lease.Pipe.Steps {
		left = left || !pipeline.IsDone(lease.Run.Done, i)
	}
	return pipeline.IsQuick(lease.Pipe, lease.Run.Done) && (!left || len(lease.Run.Firing.Members) == 0 ||
		lease.Events != nil && !slices.ContainsFunc(lease.Events, lacksData))
}
