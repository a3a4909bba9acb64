// Package pg is one PostgreSQL database that many nodes share: its connections,
// its schema, hints between nodes, and what its errors mean. The engines of
// state, of the journal and of blobs keep their tables in it and know them; this
// package knows none but meta and migrations.
//
// The client never holds a lock while it is not heard of: what writes live data is
// one statement, and the server ends a connection whose client is silent within a
// transaction, or gone, well before half of a shard's lease is over.
package pg

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sys/unix"

	"weir"
)

// Options says which database to use. URL is required.
type Options struct {
	URL    string       // postgres://USER:PASSWORD@HOST:PORT/NAME
	Name   string       // of the node, for who looks at the database's connections
	Logger *slog.Logger // nil: nothing is logged
}

// DB is an open database. Its methods may be called by many goroutines at once.
type DB struct {
	*pgxpool.Pool
	id    [16]byte
	log   *slog.Logger
	hints *hints
	clock clock
}

const (
	oldest      = 150000          // the first server_version_num that is supported
	defaultPool = 16              // connections
	connectTime = 5 * time.Second // for one connection
	silence     = 5 * time.Second // after which who does not answer is gone
	longest     = time.Minute     // a statement
	lockWait    = 2 * time.Second // then those who are silent with a lock lose it
)

// Open connects to the database, refuses one that cannot be used, and applies the
// migrations that it lacks.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	config, err := poolConfig(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Name != "" {
		config.ConnConfig.RuntimeParams["application_name"] = "weir " + o.Name
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, Failure("open database", err)
	}
	db := &DB{Pool: pool, log: o.Logger}
	if err := db.prepare(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	db.hints = startHints(pool, config.ConnConfig, o.Logger)
	return db, nil
}

// Close sends the hints that wait and ends all connections, after the statements
// under way.
func (db *DB) Close() {
	db.hints.close()
	db.Pool.Close()
}

// DataID returns the id that the database was given with its first migration.
func (db *DB) DataID() [16]byte { return db.id }

const (
	selectServer = `SELECT current_setting('server_version_num')::integer, current_setting('server_version'), current_setting('server_encoding')`
	selectDataID = `SELECT value FROM meta WHERE name = 'data_id'`
)

// prepare checks the server, migrates, and reads the data id.
func (db *DB) prepare(ctx context.Context) error {
	var number int
	var version, encoding string
	if err := db.QueryRow(ctx, selectServer).Scan(&number, &version, &encoding); err != nil {
		return Failure("open database", err)
	}
	switch {
	case number < oldest:
		return weir.E("open database", weir.Conflict, "it is PostgreSQL %s, and weir needs 15 or newer", version)
	case encoding != "UTF8":
		return weir.E("open database", weir.Conflict,
			"its encoding is %s, and weir needs UTF8: create it with ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	if err := db.migrate(ctx); err != nil {
		return err
	}
	var id []byte
	if err := db.QueryRow(ctx, selectDataID).Scan(&id); err != nil {
		return Failure("read the data id", err)
	}
	if len(id) != len(db.id) {
		return weir.E("read the data id", weir.Internal, "it has %d bytes", len(id))
	}
	db.id = [16]byte(id)
	return nil
}

// poolConfig reads a database's address. What it says of the pool and of the
// session stays as it says.
func poolConfig(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx masks the password in the text of its errors.
		return nil, weir.E("open database", weir.Invalid, "%w", err).WithField("database")
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = defaultPool
	}
	connection(config.ConnConfig)
	return config, nil
}

// connection sets what every connection needs.
func connection(c *pgx.ConnConfig) {
	ms := fmt.Sprint(silence.Milliseconds())
	for name, value := range map[string]string{
		"application_name":                    "weir",
		"statement_timeout":                   fmt.Sprint(longest.Milliseconds()),
		"lock_timeout":                        fmt.Sprint(lockWait.Milliseconds()),
		"idle_in_transaction_session_timeout": ms,
		"tcp_user_timeout":                    ms,
		"tcp_keepalives_idle":                 "2",
		"tcp_keepalives_interval":             "1",
		"tcp_keepalives_count":                "3",
		"jit":                                 "off", // its cost is in no proportion to short statements over many partitions
	} {
		if _, set := c.RuntimeParams[name]; !set {
			c.RuntimeParams[name] = value
		}
	}
	// The engines' statements are right under this level, and take no other.
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTime
	}
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3},
		Control:         limitSilence,
	}
	c.DialFunc = dialer.DialContext
}

// limitSilence ends a connection whose other side does not take what was sent.
func limitSilence(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
