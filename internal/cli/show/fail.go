package show

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"weir"
)

// Error tells a person what went wrong.
func Error(w io.Writer, err error) {
	for i, line := range strings.Split("weir: "+Words(err), "\n") {
		if i == 0 || line != "" {
			fmt.Fprintln(w, Printable(line))
		}
	}
}

// Words returns what a person reads: of an answer of the API its words alone,
// without the call that it answers.
func Words(err error) string {
	e, ok := errors.AsType[*weir.Error](err)
	if !ok || !strings.Contains(e.Op, " /") {
		return err.Error()
	}
	shown := *e
	shown.Op = ""
	return shown.Error()
}

// interrupted says that somebody interrupted the command.
type interrupted struct{ error }

func (interrupted) Error() string { return "interrupted" }

func (i interrupted) Unwrap() error { return i.error }

// Interrupted returns the error of a command whose context ended with err.
func Interrupted(err error) error { return interrupted{err} }

// runEnded says that a run ended otherwise than well.
type runEnded struct {
	text   string
	status int
}

func (e *runEnded) Error() string { return e.text }

// RunEnded returns the error of a command that waited for a run: none where it
// succeeded.
func RunEnded(id, state, why string) error {
	e := &runEnded{text: id + " is " + state}
	if why != "" {
		e.text += ": " + why
	}
	switch state {
	case "dead":
		e.status = 10
	case "cancelled":
		e.status = 11
	default:
		return nil
	}
	return e
}

// ExitStatus returns the exit status of a command that ended with err, as the
// root command's help lists them.
func ExitStatus(err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		return 130
	}
	if e, ok := errors.AsType[*runEnded](err); ok {
		return e.status
	}
	if _, ok := errors.AsType[*weir.Error](err); !ok {
		return 1
	}
	switch weir.CodeOf(err) {
	case weir.Invalid, weir.TooLarge:
		return 2
	case weir.Unauthenticated, weir.Forbidden:
		return 3
	case weir.NotFound:
		return 4
	case weir.Conflict:
		return 5
	case weir.Limited, weir.Behind, weir.DiskFull, weir.Unavailable:
		return 6
	case weir.Internal:
	}
	return 1
}
