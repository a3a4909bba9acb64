package pg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"weir"
)

// Failure gives an error of the database a code: Unavailable for what may pass
// (no connection, read-only, shutting down, too many connections, locks),
// DiskFull, else Internal. An error that has a code, and one of a context, keeps
// what it is. Its message does not repeat what the database or its driver said,
// which is in the text of the error, for logs.
func Failure(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*weir.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", meant(op, CodeOf(err)), cause(err))
}

// cause leaves out what the driver tried before and besides: of a connection that
// was not made it keeps what the server said, else all that was wrong on one line.
func cause(err error) error {
	c, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return err
	}
	if e, ok := errors.AsType[*pgconn.PgError](c); ok {
		return e
	}
	var said []string
	for line := range strings.Lines(c.Unwrap().Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	return &unconnected{strings.Join(said, "; "), c}
}

// unconnected is a driver's error in words of one line.
type unconnected struct {
	text string
	err  error
}

func (u *unconnected) Error() string { return u.text }
func (u *unconnected) Unwrap() error { return u.err }

// meant is what people are told, who may be anybody: not where the database is.
func meant(op, code string) *weir.Error {
	switch {
	case code == "": // of no server: the connection
		return weir.E(op, weir.Unavailable, "the database cannot be reached")
	case code == "25006":
		return weir.E(op, weir.Unavailable, "the database is read-only")
	case code == "53100":
		return weir.E(op, weir.DiskFull, "no room on the database's disk")
	case code == "28000", code == "28P01": // as like as not while it is set up
		return weir.E(op, weir.Unavailable, "the database refuses the user or its password")
	case code == "3D000": // likewise
		return weir.E(op, weir.Unavailable, "the database has to be created first, for its user to own")
	case code == "42501":
		return weir.E(op, weir.Internal, "the database's user may not do that: weir needs a database that its user owns")
	case passes(code):
		return weir.E(op, weir.Unavailable, "the database cannot do that now")
	}
	return weir.E(op, weir.Internal, "the database failed")
}

// CodeOf returns the SQLSTATE of an error that a server reported, "" for others.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// passes reports whether a server that reported code may do the same later.
func passes(code string) bool {
	switch code {
	case "25P03", // the session was ended as silent within a transaction
		"55P03", // a lock was not to be had in time
		"57014": // cancelled, or it took too long
		return true
	}
	switch code[:2] {
	case "08", // the connection
		"40", // rolled back: serialization, deadlock
		"53", // out of memory, too many connections
		"57", // shut down, starting up
		"58": // the file system
		return true
	}
	return false
}
