package jq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/itchyny/gojq"

	"weir"
)

// MaxSource is the longest program, in bytes.
const MaxSource = 64 << 10

// maxKept is how much an instance may keep, in units: one that has seen more
// regular expressions serves no more.
const maxKept = 4 << 20

// Program is a compiled program. It may be run by several goroutines at once.
type Program struct {
	source string
	spare  sync.Pool // of *instance, each for one run at a time
}

// instance is the code of a program with the meter that is built into it.
type instance struct {
	code  *gojq.Code
	meter *meter
}

// variables are what programs see besides the data.
var variables = []string{"$event", "$group", "$run"}

// Compile compiles a program. The error is Invalid, and says where. Modules are
// refused, and so is every function whose answer is not of the event alone.
func Compile(source string) (*Program, error) {
	if len(source) > MaxSource {
		return nil, weir.E("", weir.Invalid, "the program is %d bytes long, and %d are the most", len(source), MaxSource)
	}
	first, err := newInstance(source)
	if err != nil {
		return nil, err
	}
	p := &Program{source: source}
	p.spare.Put(first)
	return p, nil
}

func newInstance(source string) (*instance, error) {
	query, err := gojq.Parse(source)
	if err != nil {
		return nil, syntaxError(source, err)
	}
	if query.Meta != nil || len(query.Imports) > 0 {
		return nil, weir.E("", weir.Invalid, "modules are not taken: write the functions into the program")
	}
	environ := false
	code, err := gojq.Compile(query,
		gojq.WithVariables(variables),
		gojq.WithEnvironLoader(func() []string { environ = true; return nil }))
	if err != nil {
		return nil, weir.E("", weir.Invalid, "%w", err)
	}
	if environ {
		return nil, refused("env")
	}
	in := &instance{code: code, meter: newMeter()}
	return in, in.meter.install(code)
}

func syntaxError(source string, err error) error {
	parse, ok := errors.AsType[*gojq.ParseError](err)
	if !ok {
		return weir.E("", weir.Invalid, "%w", err)
	}
	before := source[:min(max(parse.Offset-len(parse.Token), 0), len(source))]
	line := 1 + strings.Count(before, "\n")
	column := 1 + len(before) - (strings.LastIndexByte(before, '\n') + 1)
	return weir.E("", weir.Invalid, "%w at line %d, column %d", err, line, column)
}

// Input is what one run sees.
type Input struct {
	Data  []byte // JSON; nil is null
	Event map[string]any
	Group map[string]any // of values as encoding/json decodes them, with json.Number; likewise Event and Run
	Run   map[string]any
	Limit int // bytes of the answer
}

// The ways in which a run fails by what its program is, apart from the
// program's own errors, which are *Error.
var (
	ErrSeveral = errors.New("the program has several answers for one event: wrap it in [ ] to have an array of them")
	ErrBudget  = errors.New("the program takes too many steps or too much memory")
	ErrDeep    = fmt.Errorf("the program makes a value that is nested more than %d levels", maxDepth)
	ErrTooLong = errors.New("the program's answer is too long")
)

// Error is an error that the program itself ended with, such as one of types
// that do not fit.
type Error struct{ Text string }

// Error returns what jq says.
func (e *Error) Error() string { return e.Text }

// Run runs the program and returns its one answer as JSON, or nil where it has
// none. Where ctx ends first, the error is its cause.
func (p *Program) Run(ctx context.Context, in Input) ([]byte, error) {
	inst, _ := p.spare.Get().(*instance)
	if inst == nil {
		var err error
		if inst, err = newInstance(p.source); err != nil {
			return nil, err
		}
	}
	out, err := inst.run(ctx, in, budget(len(in.Data)))
	if inst.meter.kept < maxKept {
		p.spare.Put(inst)
	}
	return out, err
}

func (in *instance) run(ctx context.Context, input Input, units int64) ([]byte, error) {
	data, err := Decode(input.Data)
	if err != nil {
		return nil, &Error{"the data is not JSON: " + err.Error()}
	}
	m := in.meter
	m.start(ctx, units)
	defer m.end()
	answers := in.code.RunWithContext(m, data, input.Event, input.Group, input.Run)
	m.watch(answers)
	answer, ok, err := m.next(answers)
	if err != nil || !ok {
		return nil, err
	}
	if _, more, err := m.next(answers); err != nil || more {
		if err == nil {
			err = ErrSeveral
		}
		return nil, err
	}
	if !m.charge(m.weigh(answer, 0)) {
		return nil, m.err
	}
	out, err := gojq.Marshal(answer)
	if err != nil {
		return nil, &Error{err.Error()}
	}
	if len(out) > input.Limit {
		return nil, fmt.Errorf("%w: %d bytes, and %d are the most", ErrTooLong, len(out), input.Limit)
	}
	return out, nil
}

// next returns the next answer, and false at the end.
func (m *meter) next(answers gojq.Iter) (answer any, ok bool, err error) {
	answer, ok = answers.Next()
	if m.err != nil {
		return nil, false, m.err
	}
	if failed, isError := answer.(error); isError {
		return nil, false, &Error{failed.Error()}
	}
	return answer, ok, nil
}

// Decode reads JSON into what programs work on; nil is null. Numbers keep their
// text.
func Decode(raw []byte) (v any, err error) {
	if raw == nil {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("there is more after the first value")
	}
	return v, nil
}
