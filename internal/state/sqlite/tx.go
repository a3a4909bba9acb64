package sqlite

import (
	"context"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"weir"
	"weir/internal/state"
)

// durability is SQLite's synchronous setting of a transaction.
type durability string

const (
	normal durability = "PRAGMA synchronous=NORMAL" // whole or not there after a power cut
	full   durability = "PRAGMA synchronous=FULL"   // there after a power cut
)

var errClosed = weir.E("", weir.Unavailable, "state is closed")

// write calls f in one transaction, which is committed where f returns nil and
// undone otherwise. op is for the error.
func (s *State) write(ctx context.Context, level durability, op string, f func(*conn) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	c := s.writer
	if c == nil {
		return s.failed(op, errClosed)
	}
	if s.level != level {
		if err := c.script(string(level)); err != nil {
			return s.failed(op, err)
		}
		s.level = level
	}
	if _, err := c.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return s.failed(op, err)
	}
	c.wrote = 0 // after BEGIN, for which the driver tells the number of the statement before
	err := f(c)
	if err == nil {
		err = c.script("COMMIT")
	}
	if err != nil {
		// A statement that failed may have undone the transaction already, then
		// this one fails.
		_ = c.script("ROLLBACK")
		return s.failed(op, err)
	}
	s.wrote.Add(c.wrote)
	return nil
}

// read calls f with a connection that sees one snapshot. op is for the error.
func (s *State) read(ctx context.Context, op string, f func(*conn) error) error {
	var c *conn
	select {
	case <-ctx.Done():
		return s.failed(op, ctx.Err())
	case got, ok := <-s.readers:
		if !ok {
			return s.failed(op, errClosed)
		}
		c = got
	}
	c, err := s.snapshot(ctx, c, f)
	s.readers <- c
	return s.failed(op, err)
}

// snapshot reads over c, or a new connection where it is nil. It returns the
// connection for the next reader, nil where it is not fit for one.
func (s *State) snapshot(ctx context.Context, c *conn, f func(*conn) error) (*conn, error) {
	if c == nil {
		var err error
		if c, err = connect(ctx, s.reading); err != nil {
			return nil, err
		}
	}
	_, err := c.exec(ctx, "BEGIN")
	if err == nil {
		err = errors.Join(f(c), c.script("COMMIT"))
	}
	if _, broken := errors.AsType[*sqlite.Error](err); broken || ctx.Err() != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, err
}

// failed says what an error of the driver means. Errors that have a code, the
// sentinel, and those of a context are only told what was being done.
func (s *State) failed(op string, err error) error {
	if err == nil || errors.Is(err, state.ErrCursorMoved) {
		return err
	}
	if e, ok := errors.AsType[*weir.Error](err); ok {
		named := *e
		if named.Op == "" {
			named.Op = op
		}
		return &named
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return weir.E(op, weir.Unavailable, "%w", err)
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return weir.E(op, weir.Internal, "%w", err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return weir.E(op, weir.DiskFull, "no space left for %s: %w", s.path, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return weir.E(op, weir.Unavailable, "%s: %w", s.path, err)
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return weir.E(op, weir.Internal, "%s is damaged, put it back from a backup: %w", s.path, err)
	}
	return weir.E(op, weir.Internal, "%w", err)
}
