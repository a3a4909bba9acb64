package cli

import (
	"context"
	"errors"
	"strings"

	"weir"
)

// errorText is what a person reads: of an answer of the API its words alone,
// without the call that it answers.
func errorText(err error) string {
	e, ok := errors.AsType[*weir.Error](err)
	if !ok || !strings.Contains(e.Op, " /") {
		return err.Error()
	}
	shown := *e
	shown.Op = ""
	return shown.Error()
}

// exitStatus maps codes to exit status, as the root command's help says.
func exitStatus(err error) int {
	if errors.Is(err, context.Canceled) {
		return 130
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
