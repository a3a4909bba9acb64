package postgres

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// proxy stands between the engine and PostgreSQL and lets through what it is told.
type proxy struct {
	url      string
	network  string
	server   string
	listener net.Listener

	cut     atomic.Bool // the next answer is lost, with its connection
	stall   atomic.Bool // of the next request the last bytes are kept back, until the connection ends
	stalled chan struct{}
	cuts    atomic.Int32

	mu    sync.Mutex // guards what stands below
	conns []net.Conn
	ended bool
	all   sync.WaitGroup
}

// newProxy returns one with the address under which it stands for the database at
// a URL.
func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	config, err := pgconn.ParseConfig(to)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, stalled: make(chan struct{}, 1)}
	p.network, p.server = pgconn.NetworkAddress(config.Host, config.Port)
	user := url.User(config.User)
	if config.Password != "" {
		user = url.UserPassword(config.User, config.Password)
	}
	// One connection, so that the next statement goes over the one that prepared it.
	p.url = fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&pool_max_conns=1", user, listener.Addr(), config.Database)
	p.all.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.ended = true
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(p.network, p.server)
		if err != nil {
			client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		p.all.Go(func() { p.forward(client, server) })
		p.all.Go(func() { p.answer(client, server) })
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	if p.ended {
		for _, c := range conns {
			c.Close()
		}
	}
	return !p.ended
}

// forward passes requests on.
func (p *proxy) forward(client, server net.Conn) {
	defer server.Close()
	b := make([]byte, 1<<20)
	for {
		n, err := client.Read(b)
		if n > 0 && p.stall.CompareAndSwap(true, false) {
			_, _ = server.Write(b[:n-5]) // all but the message that ends the transaction
			p.stalled <- struct{}{}
			_, _ = io.Copy(io.Discard, client)
			return
		}
		if _, werr := server.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// answer passes answers on.
func (p *proxy) answer(client, server net.Conn) {
	defer client.Close()
	b := make([]byte, 1<<20)
	for {
		n, err := server.Read(b)
		if n > 0 && p.cut.CompareAndSwap(true, false) {
			p.cuts.Add(1)
			return
		}
		if _, werr := client.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}
