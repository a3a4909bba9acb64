package jq

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"unsafe"

	"github.com/itchyny/gojq"

	"weir"
)

// A run may take base, and perByte for each byte of its data, but most in all,
// in units of about a byte made or looked through. A step of gojq's machine takes
// stepCost, as it may make about so much.
const (
	base     = 64 << 20
	perByte  = 384
	most     = 1 << 30
	stepCost = 32
)

// maxMachine is how many entries gojq's stacks may have: about 64 bytes each.
const maxMachine = 1 << 20

// maxDepth is how deep values may be nested: as deep as the data of events.
const maxDepth = 128

// askEvery is how many units pass between two looks at the context.
const askEvery = 1 << 13

// meter counts what a run takes. It is the context of gojq's machine, which
// asks it before every step, and it stands before every function that the
// program calls: a single call can make a gibibyte.
type meter struct {
	context.Context
	left   int64
	ask    int64 // look at the context when left is less
	err    error // why the run must end
	closed chan struct{}

	// Of all runs, as gojq keeps every regular expression that it has seen, and
	// those may come from data:
	expressions map[[2]string]expression // by pattern and flags
	kept        int64                    // units that they took

	// Of the machine:
	stacks []reflect.Value // all that grows
	stack  reflect.Value   // of values
	forks  reflect.Value   // where it may go back to
	forked int             // how many forks there were a step ago
	back   bool            // it went back a step ago
}

func newMeter() *meter {
	m := &meter{closed: make(chan struct{}), expressions: map[[2]string]expression{}}
	close(m.closed)
	return m
}

// budget is what a run may take on data of so many bytes.
func budget(size int) int64 { return min(base+perByte*int64(size), most) }

func (m *meter) start(ctx context.Context, units int64) {
	m.end()
	m.Context, m.left, m.ask = ctx, units, units
}

// watch takes note of the stacks of a machine, as only it knows how deep a
// program has called itself.
func (m *meter) watch(machine gojq.Iter) {
	v := reflect.ValueOf(machine)
	if v.Kind() != reflect.Pointer {
		return // an error
	}
	for _, name := range []string{"stack", "paths", "scopes"} {
		m.stacks = append(m.stacks, v.Elem().FieldByName(name).Elem().FieldByName("data"))
	}
	m.stack, m.forks = m.stacks[0], v.Elem().FieldByName("forks")
	m.stacks = append(m.stacks, m.forks, v.Elem().FieldByName("values"))
}

// end forgets the run.
func (m *meter) end() { *m = meter{closed: m.closed, expressions: m.expressions, kept: m.kept} }

// Done takes a step. It answers a closed channel where the run must end, and
// else none that ever is.
func (m *meter) Done() <-chan struct{} {
	units, n := int64(stepCost), m.forks.Len()
	if n > m.forked && !m.back {
		units += m.listed(m.forks.Index(n - 1))
	}
	m.back, m.forked = n < m.forked, n
	if m.charge(units) {
		return nil
	}
	return m.closed
}

// listed is the cost of a fork at which the machine begins to go through an array
// or object: it makes a list of all parts first, sorted. For each further part
// it goes back to the fork and sets it anew, with what is left of that list.
func (m *meter) listed(fork reflect.Value) int64 {
	at := int(fork.FieldByName("stackindex").Int())
	if at < 0 {
		return 0
	}
	list := m.stack.Index(at).FieldByName("value").Elem()
	if list.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.Struct {
		return 0 // a value
	}
	return entry * int64(list.Len())
}

// Err returns why the run must end.
func (m *meter) Err() error { return m.err }

// charge takes units, and reports false where the run must end.
func (m *meter) charge(units int64) bool {
	if m.err != nil {
		return false
	}
	if m.left -= units; m.left < 0 {
		m.err = ErrBudget
		return false
	}
	if m.left < m.ask {
		m.ask = m.left - askEvery
		if m.Context.Err() != nil {
			m.err = context.Cause(m.Context)
			return false
		}
		entries := 0
		for _, s := range m.stacks {
			entries += s.Len()
		}
		if entries > maxMachine {
			m.err = ErrBudget
			return false
		}
	}
	return true
}

// function is how gojq calls its functions: with the input and the arguments.
type function = func(any, []any) any

// install puts the meter before every function that the code calls, those that
// jq's own definitions call among them. gojq has no place for that, so it is
// done in its code, which is a list of instructions {v any; op int}; a call of
// a function has v = [3]any{function, number of arguments, name}. A function
// that has no known cost is refused, so a gojq of another make or with more
// functions fails here, at the first program, and not in a run.
func (m *meter) install(code *gojq.Code) error {
	codes := reflect.ValueOf(code).Elem().FieldByName("codes")
	for i := range codes.Len() {
		field := codes.Index(i).Elem().FieldByName("v")
		v, ok := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Interface().(*any)
		if !ok {
			return fmt.Errorf("instructions of jq are of an unknown make: %v", field.Type())
		}
		call, ok := (*v).([3]any)
		if !ok {
			continue
		}
		name, _ := call[2].(string)
		f, known := call[0].(function)
		price := costs[name]
		if !known || price == nil {
			return refused(name)
		}
		call[0] = m.metered(f, price)
		if name == "setpath" || name == "_setpath" {
			call[0] = m.meteredSet(f)
		}
		*v = call
	}
	return nil
}

// reasons say why functions are refused.
var reasons = map[string]string{
	"now": "it answers otherwise at every try: use $event.time", "localtime": "it depends on the server: use gmtime",
	"strflocaltime": "it depends on the server: use strftime", "input": "there is one event at a time", "env": "programs see no environment",
	"debug": "a program has no log", "halt": "use empty, which drops the event", "halt_error": "use error",
}

func refused(name string) error {
	if why := reasons[name]; why != "" {
		return weir.E("", weir.Invalid, "%s is not taken: %s", name, why)
	}
	return weir.E("", weir.Invalid, "%s is not taken", name)
}

// stop is what a function answers where the run must end: no try of the program
// catches it.
func stop() any { return new(gojq.HaltError) }

func (m *meter) metered(f function, price cost) function {
	return func(x any, args []any) any {
		if !m.charge(price(m, x, args)) {
			return stop()
		}
		return f(x, args)
	}
}

// meteredSet is metered for the functions that set a path in a value. What they
// copy is charged when it is known: gojq copies a container once where it sets
// many paths.
func (m *meter) meteredSet(f function) function {
	return func(x any, args []any) any {
		path, ok := args[0].([]any)
		if ok && !m.charge(m.growth(x, path)) {
			return stop()
		}
		out := f(x, args)
		if ok && !m.charge(m.copied(x, out, path)) {
			return stop()
		}
		return out
	}
}

// growth is what arrays grow by where path is set in v.
func (m *meter) growth(v any, path []any) int64 {
	if len(path) > maxDepth {
		m.err = ErrDeep
	}
	units := int64(0)
	for _, key := range path {
		switch at := v.(type) {
		case map[string]any:
			name, _ := key.(string)
			v = at[name]
			continue
		case []any:
			i, _ := gojq.ToInt(key)
			if i < 0 {
				i += len(at)
			}
			if i >= 0 && i < len(at) {
				v = at[i]
				continue
			}
		}
		if i, ok := gojq.ToInt(key); ok && i > 0 {
			units += pointer * int64(min(i, math.MaxInt32))
		}
		v = nil
	}
	return units
}

// copied is the size of the containers along path that are others in after than
// in before.
func (m *meter) copied(before, after any, path []any) (units int64) {
	for i := 0; ; i++ {
		if same(before, after) {
			return units
		}
		units += m.own(after)
		if i == len(path) {
			return units
		}
		before, after = member(before, path[i]), member(after, path[i])
	}
}

func same(a, b any) bool {
	switch a.(type) {
	case map[string]any, []any:
		x, y := reflect.ValueOf(a), reflect.ValueOf(b)
		return b != nil && x.Type() == y.Type() && x.Pointer() == y.Pointer()
	}
	return false
}

func member(v, key any) any {
	switch v := v.(type) {
	case map[string]any:
		name, _ := key.(string)
		return v[name]
	case []any:
		if i, ok := gojq.ToInt(key); ok && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}
