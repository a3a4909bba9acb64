// Package pgtest gives tests a PostgreSQL: a database of its own for each, in one
// instance for the process, or in the one that WEIR_TEST_POSTGRES names.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// New returns the address of an empty database, which is dropped when the test
// ends, with whatever is connected to it.
func New(tb testing.TB) string {
	tb.Helper()
	return create(tb, "ENCODING 'UTF8' TEMPLATE template0")
}

func create(tb testing.TB, as string) string {
	tb.Helper()
	server, err := instance()
	if err != nil {
		tb.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	Exec(tb, server.URL, "CREATE DATABASE "+name+" "+as)
	tb.Cleanup(func() { Exec(tb, server.URL, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	u, err := url.Parse(server.URL)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Exec runs statements, as the server's superuser, in a database of New or, with
// its address, in the server.
func Exec(tb testing.TB, address, text string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, address)
	if err == nil {
		_, err = c.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
		err = errors.Join(err, c.Close(ctx))
	}
	if err != nil {
		tb.Fatal(text, ": ", err)
	}
}

// instance returns the tests' server. It is started at most once, and lasts: it
// would end with the collection of what holds it.
var instance = sync.OnceValues(func() (*Server, error) {
	if address := os.Getenv("WEIR_TEST_POSTGRES"); address != "" {
		return &Server{URL: address}, nil
	}
	return Start()
})

// Server is a PostgreSQL of a test's own, for what would disturb others. Its data
// is not safe from a loss of power.
type Server struct {
	URL string // of its superuser
	Dir string // of its socket

	stop func() error
}

// Stop ends the server, as quickly as it can, and removes its data.
func (s *Server) Stop() error { return s.stop() }

// supervise runs the server until its input ends, which it does with the process
// that holds it, however that dies; then it removes what the server had.
const supervise = `"$0/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c full_page_writes=off \
  -c max_connections=400 -c shared_buffers=128MB -c max_wal_size=4GB -c autovacuum_naptime=5s >"$1/log" 2>&1 </dev/null &
cat >/dev/null; kill -INT $!; wait $!; rm -rf "$1"`

const startTime = time.Minute

// Start starts a server from the machine's binaries.
func Start() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	as, err := account()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "weir-postgres-") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if said, err := initdb.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w\n%s", err, said), os.RemoveAll(dir))
	}
	server := exec.Command("/bin/sh", "-c", supervise, bin, dir)
	server.Dir, server.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as, Setpgid: true}
	hold, err := server.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{
		URL: "postgres://postgres@/postgres?host=" + url.QueryEscape(dir), Dir: dir,
		stop: func() error {
			_ = hold.Close()
			_ = server.Wait() // it ends with the status of the server it stopped
			return os.RemoveAll(dir)
		},
	}
	if err := s.answers(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// answers waits until the server does.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		c, err := pgx.Connect(ctx, s.URL)
		if err == nil {
			return c.Close(ctx)
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-ctx.Done():
			said, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, said)
		case <-timer.C:
		}
	}
}

// binaries returns the directory of the newest PostgreSQL on the machine.
func binaries() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(dirs) > 0 {
		number := func(path string) int {
			n, _ := strconv.Atoi(strings.Split(path, "/")[4])
			return n
		}
		return filepath.Dir(slices.MaxFunc(dirs, func(a, b string) int { return number(a) - number(b) })), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path)
		return filepath.Dir(path), err
	}
	return "", errors.New("no PostgreSQL to test with: install the package postgresql (15 or newer), " +
		"or let WEIR_TEST_POSTGRES be the address of a superuser, such as postgres://postgres@localhost/postgres")
}

// account returns whom the server runs as: PostgreSQL refuses root.
func account() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
	}
	return nil, errors.New("no account postgres or nobody to run PostgreSQL as: it refuses root")
}
