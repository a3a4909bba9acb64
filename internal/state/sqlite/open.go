// Package sqlite is the embedded engine of state: one file, state.db, read and
// written with modernc.org/sqlite in WAL mode, by one writing connection and a
// few reading ones. app opens it; everybody else knows it by the interfaces
// that they declare.
//
// Flushes are written with synchronous=NORMAL: after a power cut the last ones
// may be missing, never half there, and the journal, which was synced before,
// is folded again from the cursor that is left. Control data (projects,
// secrets, tokens, meta) is in no journal, so its transactions are written with
// synchronous=FULL, which syncs the log before they are answered. Both go over
// the one writing connection, which switches between them: SQLite has one
// writer at a time anyhow, and two connections would wait for each other by
// polling.
package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"weir"
)

// Options says which state to open. Path and DataID are required.
type Options struct {
	Path   string   // of the file; made where there is none
	DataID [16]byte // of the journal that the state belongs to
	Began  bool     // the journal has records: a state that is missing is not made anew
	Logger *slog.Logger
}

// State is an open state.db. It is safe for concurrent use.
type State struct {
	path string
	log  *slog.Logger

	reading driver.Connector
	readers chan *conn // nil ones are opened when used

	wrote atomic.Int64 // rows

	writing sync.Mutex // guards what stands below
	writer  *conn
	level   durability // of writer
}

const (
	readConnections = 4
	busyTime        = 10 * time.Second
	busyPause       = 10 * time.Millisecond

	// A log of more than the usual 1,000 pages lets several flushes share the two
	// syncs of a checkpoint.
	common       = "_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_dqs=0"
	writeOptions = common + "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=wal_autocheckpoint(2000)&_pragma=journal_size_limit(67108864)&_pragma=cache_size(-32768)"
	readOptions = common + "&_pragma=query_only(1)&_pragma=cache_size(-4096)"
)

// Open opens the state at o.Path, makes it where there is none, and brings its
// schema up to date. With Conflict it refuses a schema that a newer weir made, a
// state that belongs to other data, and one that is missing beside a journal
// that began: secrets and tokens stand in it alone, so it cannot be made again.
func Open(ctx context.Context, o Options) (*State, error) {
	if o.Path == "" || o.DataID == ([16]byte{}) {
		return nil, weir.E("open state", weir.Invalid, "a path and a data id are required")
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, weir.E("open state", weir.Invalid, "%w", err)
	}
	if _, err := os.Stat(path); o.Began && errors.Is(err, fs.ErrNotExist) {
		return nil, missing(path)
	}
	if err := private(path); err != nil {
		return nil, err
	}
	s := &State{path: path, log: o.Logger, readers: make(chan *conn, readConnections), level: full}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.connect(ctx); err != nil {
		return nil, s.failed("open state", err)
	}
	if err := s.prepare(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// private makes the file, readable by its owner only: it holds sealed secrets
// and hashes of tokens. SQLite gives its log the same rights.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return weir.E("open state", weir.Unavailable, "%w", err)
	}
	return f.Close()
}

func (s *State) connect(ctx context.Context) error {
	writing, err := sqlite.NewConnector(dsn(s.path, writeOptions))
	if err != nil {
		return err
	}
	if s.reading, err = sqlite.NewConnector(dsn(s.path, readOptions)); err != nil {
		return err
	}
	for range readConnections {
		s.readers <- nil
	}
	s.writer, err = connectPatiently(ctx, writing)
	return err
}

// connectPatiently waits for a process that is just making the file, or closing
// it: for these SQLite does not wait by itself.
func connectPatiently(ctx context.Context, to driver.Connector) (*conn, error) {
	for until := time.Now().Add(busyTime); ; {
		c, err := connect(ctx, to)
		e, ok := errors.AsType[*sqlite.Error](err)
		if !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(until) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(busyPause):
		}
	}
}

func dsn(path, options string) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: options}
	return u.String()
}

// prepare brings the schema up to date and checks whose state it is.
func (s *State) prepare(ctx context.Context, o Options) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	return s.write(ctx, full, "open state", func(c *conn) error { return claim(ctx, c, s.path, o) })
}

const (
	selectData = `SELECT id FROM data`
	insertData = `INSERT INTO data (one, id) VALUES (1, $1)`
)

// claim writes the data id into a new state and compares it in an old one.
func claim(ctx context.Context, c *conn, path string, o Options) error {
	var stored []byte
	found, err := c.first(ctx, selectData, nil, func(r row) error {
		stored = r.blob(0)
		return nil
	})
	if err != nil {
		return err
	}
	if !found && o.Began {
		return missing(path)
	}
	if !found {
		_, err := c.exec(ctx, insertData, o.DataID[:])
		return err
	}
	if !bytes.Equal(stored, o.DataID[:]) {
		return weir.E("open state", weir.Conflict,
			"%s belongs to the data %s, the journal beside it to %s: put back the state.db that belongs to this journal, "+
				"from the same backup, or start with another data directory",
			path, hex.EncodeToString(stored), hex.EncodeToString(o.DataID[:]))
	}
	return nil
}

func missing(path string) error {
	return weir.E("open state", weir.Conflict,
		"%s is missing or empty, though the journal beside it has records: put back the state.db that belongs to this journal, "+
			"from the same backup, or start with another data directory", path)
}

// RowsWritten returns how many rows of state were inserted, changed or deleted
// since it was opened.
func (s *State) RowsWritten() int64 { return s.wrote.Load() }

// Close waits for reads and writes that began and closes the file. What comes
// later is answered as Unavailable.
func (s *State) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.writer == nil {
		return nil
	}
	var errs []error
	for range readConnections {
		if c := <-s.readers; c != nil {
			errs = append(errs, c.close())
		}
	}
	close(s.readers)
	errs = append(errs, s.writer.close())
	s.writer = nil
	return s.failed("close state", errors.Join(errs...))
}

// Copy writes the state as of one moment into a new file at path, while flushes
// go on.
func (s *State) Copy(ctx context.Context, path string) error {
	copying, err := sqlite.NewConnector(dsn(s.path, common)) // those for reading write no other file either
	if err != nil {
		return s.failed("copy state", err)
	}
	c, err := connect(ctx, copying)
	if err != nil {
		return s.failed("copy state", err)
	}
	_, err = c.exec(ctx, "VACUUM INTO $1", path)
	return s.failed("copy state", errors.Join(err, c.close()))
}
