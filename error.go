package weir

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an Error is. Codes are few and stable: the
// API, the client and the CLI's exit status branch on them.
type Code string

// The codes. People see the message of all but Internal.
const (
	Invalid         Code = "invalid"
	Unauthenticated Code = "unauthenticated"
	Forbidden       Code = "forbidden"
	NotFound        Code = "not_found"
	Conflict        Code = "conflict"
	TooLarge        Code = "too_large"
	Limited         Code = "limited"
	Behind          Code = "behind"
	DiskFull        Code = "disk_full"
	Unavailable     Code = "unavailable"
	Internal        Code = "internal"
)

// Error is a failure with a code. Op is what was being done, Message what a
// person should read, Field the part of the input at fault, Index its place in
// a batch (valid when HasIndex).
type Error struct {
	Code     Code
	Op       string
	Message  string
	Field    string
	Index    int
	HasIndex bool
	Err      error
}

// E makes an Error from a code and a formatted message. A %w operand becomes
// its Err.
func E(op string, code Code, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	return &Error{Code: code, Op: op, Message: wrapped.Error(), Err: errors.Unwrap(wrapped)}
}

// WithField returns a copy of e that names the field at fault.
func (e *Error) WithField(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// WithIndex returns a copy of e that names the place in a batch, from 0.
func (e *Error) WithIndex(i int) *Error {
	c := *e
	c.Index, c.HasIndex = i, true
	return &c
}

// Error returns "op: field: message".
func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.HasIndex {
		s = fmt.Sprintf("item %d: %s", e.Index, s)
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	return s
}

// Unwrap returns the cause, if any.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain, Internal where
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
