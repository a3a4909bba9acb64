package expr

import (
	"errors"
	"fmt"
)

// CompileError says where and why an expression or template does not compile.
type CompileError struct {
	Offset  int    // bytes before the place, in the text that was compiled
	Line    int    // from 1
	Column  int    // from 1, in characters
	Text    string // the offending text, "" at the end of the source
	Message string // what is wrong, with the nearest known name where there is one
}

// Error returns "LINE:COLUMN: message".
func (e *CompileError) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

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
