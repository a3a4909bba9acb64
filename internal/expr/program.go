package expr

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// CostLimit is the budget of one evaluation, and of the estimate at compile
// time, in CEL's cost units: about one per operation, and one per ten bytes of
// text looked through.
const CostLimit = 1_000_000

// Program is a compiled expression. It may be used by several goroutines at
// once, each with its own Vars.
type Program struct {
	source   string
	program  cel.Program
	accesses map[int64]access // by the id of the node that may fail
	equals   []equality
	single   bool // it is nothing but one of equals
	counted  bool // its cost is counted at run time, so it may end with ErrCost
	secrets  []string
	uses     map[string]bool
}

// Compile checks an expression and plans it. The error is a *CompileError.
func Compile(source string, scope Scope) (*Program, error) {
	env, checked, err := check(source, scope)
	if err != nil {
		return nil, err
	}
	return plan(env, source, checked)
}

// CompileCondition is Compile for an expression that is asked for a bool, and
// refuses one that can never be one.
func CompileCondition(source string, scope Scope) (*Program, error) {
	env, checked, err := check(source, scope)
	if err != nil {
		return nil, err
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, compileError(source, 1, 0, fmt.Sprintf("is of type %s, and a condition is true or false", cel.FormatCELType(t)))
	}
	return plan(env, source, checked)
}

func plan(env *cel.Env, source string, checked *cel.Ast) (*Program, error) {
	root := checked.NativeRep().Expr()
	p := &Program{source: source, accesses: accesses(root), equals: equalities(root), uses: idents(root)}
	p.single = len(p.equals) == 1 && root.AsCall().FunctionName() == operators.Equals
	var err error
	if p.secrets, err = secretNames(source, checked.NativeRep()); err != nil {
		return nil, err
	}
	if p.counted, err = budget(env, source, checked); err != nil {
		return nil, err
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(orderMaps)}
	if p.counted {
		opts = append(opts, cel.CostLimit(CostLimit))
	}
	if p.program, err = env.Program(checked, opts...); err != nil {
		return nil, compileError(source, 1, 0, err.Error())
	}
	return p, nil
}

// Source returns the text that was compiled.
func (p *Program) Source() string { return p.source }

// Uses reports whether the expression names a variable.
func (p *Program) Uses(name string) bool { return p.uses[name] }

// Secrets returns the names of the secrets that the expression uses, sorted.
func (p *Program) Secrets() []string { return p.secrets }

// Bool evaluates a condition. Errors are *MissingField, ErrCost, ErrSeveral or
// *EvalError; Reason tells them apart.
func (p *Program) Bool(v *Vars) (bool, error) {
	out, err := p.eval(v)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, &EvalError{Err: fmt.Errorf("%s is of type %s, and a condition is true or false", p.source, typeName(out))}
	}
	return bool(b), nil
}

// Value evaluates the expression to a Go value: nil, bool, int64, uint64,
// float64, string, []byte, time.Time, time.Duration, []any or map[string]any. Errors
// are those of Bool.
func (p *Program) Value(v *Vars) (any, error) {
	out, err := p.eval(v)
	if err != nil {
		return nil, err
	}
	return native(out)
}

// AppendJSON evaluates the expression and appends the value as JSON. What it
// takes whole from data stays as it is written there. Errors are those of Bool.
func (p *Program) AppendJSON(b []byte, v *Vars) ([]byte, error) {
	out, err := p.eval(v)
	if err != nil {
		return b, err
	}
	switch out := out.(type) {
	case *array:
		return append(b, out.raw...), nil
	case *mapping:
		if o, ok := out.fields.(*object); ok {
			return append(b, o.raw...), nil
		}
	}
	return appendJSON(b, out)
}

// AppendKey evaluates the expression and appends the value as canonical JSON, in
// which 1, 1.0 and "1" differ. Values that are no null, bool, number or text
// are an *EvalError, other errors are those of Bool.
func (p *Program) AppendKey(b []byte, v *Vars) ([]byte, error) {
	out, err := p.eval(v)
	if err != nil {
		return b, err
	}
	switch out.(type) {
	case types.Null, types.Bool, types.Int, types.Uint, types.Double, types.String:
		return appendJSON(b, out)
	}
	return b, &EvalError{Err: fmt.Errorf("%s is of type %s, and a key is text, a number, a bool or null", p.source, typeName(out))}
}

func (p *Program) eval(v *Vars) (ref.Val, error) {
	out, _, err := p.program.Eval(v)
	if err != nil {
		return nil, p.explain(err, v)
	}
	if none, ok := out.(absent); ok {
		return nil, none.err()
	}
	return out, nil
}

// explain turns CEL's error into one of this package's.
func (p *Program) explain(err error, v *Vars) error {
	if missing, ok := errors.AsType[*MissingField](err); ok {
		return missing
	}
	if errors.Is(err, error(ErrSeveral)) {
		return ErrSeveral
	}
	if stop, ok := errors.AsType[interpreter.EvalCancelledError](err); ok && stop.Cause == interpreter.CostLimitExceeded {
		return ErrCost
	}
	failed, ok := errors.AsType[*types.Err](err)
	if !ok {
		return &EvalError{Err: err}
	}
	at, known := p.accesses[failed.NodeID()]
	// CEL's own error of a lookup cannot be named from here. It is the only one
	// under a lookup's node that says itself what it is.
	if _, lookup := failed.Unwrap().(interface{ Is(error) bool }); known && lookup {
		return &MissingField{Name: at.missing(v)}
	}
	return &EvalError{Err: failed.Unwrap()}
}

func typeName(v ref.Val) string { return v.Type().TypeName() }

// MissingField is the outcome of an expression that needs a field which the
// event, key or result does not have. Name is as the expression writes it.
type MissingField struct {
	Name string // "data.user", "event.subject", "header.x-id"
}

// Error returns "missing NAME".
func (e *MissingField) Error() string { return "missing " + e.Name }

// The other outcomes that callers tell apart.
var (
	// ErrCost is the outcome of an expression that used up its budget.
	ErrCost = errors.New("the expression costs too much")
	// ErrSeveral is the outcome of one that names event or data while the batch has several events.
	ErrSeveral = errors.New("event and data mean the batch's only event, and the batch has several: use each: true or events")
)

// EvalError is any other failure at run time: types that do not fit, division
// by zero, an index out of bounds of a function.
type EvalError struct {
	Err error
}

// Error returns the cause's text.
func (e *EvalError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *EvalError) Unwrap() error { return e.Err }

// Reason returns the words under which a failed evaluation is counted: "missing
// NAME", "cost", "several" or "error". There are as many of them as a project's
// expressions have fields, whatever the events hold.
func Reason(err error) string {
	if missing, ok := errors.AsType[*MissingField](err); ok {
		return missing.Error()
	}
	switch {
	case errors.Is(err, ErrCost):
		return "cost"
	case errors.Is(err, ErrSeveral):
		return "several"
	}
	return "error"
}

// budget estimates what an evaluation may cost. It refuses what is too much for
// data of common size, and reports whether cost must be counted at run time: an
// expression that stays within the budget for any value of a mebibyte needs no
// counting, and takes a third of the time without.
func budget(env *cel.Env, source string, checked *cel.Ast) (counted bool, err error) {
	common, err := env.EstimateCost(checked, sizes(100))
	if err != nil {
		return false, compileError(source, 1, 0, err.Error())
	}
	if common.Max > CostLimit {
		return false, compileError(source, 1, 0, "costs too much: "+
			"with lists of 100 elements it may take more than a million operations")
	}
	worst, err := env.EstimateCost(checked, sizes(1<<20))
	if err != nil {
		return false, compileError(source, 1, 0, err.Error())
	}
	return worst.Max > CostLimit, nil
}

// sizes is the greatest size that an estimate assumes of what comes from
// outside: characters of a text, elements of a list.
type sizes uint64

// EstimateSize gives the size of what comes from outside.
func (s sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.ComputedSize() != nil || len(n.Path()) == 0 {
		return nil
	}
	size := cost.RangedSizeEstimate(0, uint64(s))
	return &size
}

// EstimateCallCost leaves calls to CEL's own estimates.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
