package timex

import (
	"fmt"

	"weir"
)

// Inputs are the times of a group that an expression may name.
type Inputs struct {
	First  weir.Time // least event time
	Last   weir.Time // greatest event time
	Opened weir.Time // acceptance of the oldest event
	Joined weir.Time // acceptance of the newest event
}

// Expr is a parsed expression. It may be used by several goroutines at once.
type Expr struct {
	source string
	root   node
}

// node is a part of an expression that stands for an instant.
type node interface {
	at(in Inputs) (at weir.Time, never bool)
}

// At returns the instant, or that it never comes.
func (e *Expr) At(in Inputs) (at weir.Time, never bool) { return e.root.at(in) }

// String returns the text that was parsed.
func (e *Expr) String() string { return e.source }

// never is the expression `never`.
type never struct{}

func (never) at(Inputs) (weir.Time, bool) { return 0, true }

// variable is one of the times of the group.
type variable string

func (v variable) at(in Inputs) (weir.Time, bool) {
	switch v {
	case "first":
		return in.First, false
	case "last":
		return in.Last, false
	case "opened":
		return in.Opened, false
	}
	return in.Joined, false
}

// shift is an instant moved by a distance.
type shift struct {
	of node
	by weir.Time // microseconds, negative for earlier
}

func (s shift) at(in Inputs) (weir.Time, bool) {
	at, never := s.of.at(in)
	return at + s.by, never
}

// SyntaxError says where and why an expression does not parse.
type SyntaxError struct {
	Offset  int    // bytes before the place
	Text    string // the offending text, "" at the end
	Message string
}

// Error returns "at OFFSET: message".
func (e *SyntaxError) Error() string { return fmt.Sprintf("at %d: %s", e.Offset, e.Message) }
