package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	"weir"
	"weir/client"
)

// Conn is a connection that sends prepared requests one after the other and
// looks at no more of the answers than it must, so that the measured process
// spends little on being its own client.
type Conn struct {
	conn net.Conn
	r    *bufio.Reader
}

// Dial connects to a server's address, given as a URL.
func Dial(ctx context.Context, target string) (*Conn, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	return &Conn{c, bufio.NewReaderSize(c, 32<<10)}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Do sends a request and returns the answer's status and the place in the
// journal that it names.
func (c *Conn) Do(request []byte) (status int, seq weir.Seq, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, 0, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, 0, err
	}
	n, _ := strconv.ParseUint(resp.Header.Get(client.HeaderSeq), 10, 64)
	return resp.StatusCode, weir.Seq(n), nil
}

// Request prepares the publishing of events as one batch, or, where there is
// only one, as it is.
func (s *Server) Request(events ...*weir.Event) []byte {
	contentType, body := client.EventType, client.AppendEvent(nil, events[0])
	if len(events) > 1 {
		contentType, body = client.BatchType, append([]byte{'['}, body...)
		for _, e := range events[1:] {
			body = client.AppendEvent(append(body, ','), e)
		}
		body = append(body, ']')
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /v1/events HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		s.Token, contentType, len(body))
	return append(b.Bytes(), body...)
}

// Send sends the requests over so many connections, as fast as they are
// answered, and returns the greatest place that was named. Any answer but 202
// is an error.
func Send(ctx context.Context, target string, conns int, requests [][]byte) (weir.Seq, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, greatest atomic.Int64
	var senders sync.WaitGroup
	for range conns {
		senders.Go(func() {
			c, err := Dial(ctx, target)
			if err != nil {
				cancel(err)
				return
			}
			defer func() { _ = c.Close() }()
			for i := next.Add(1) - 1; i < int64(len(requests)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				status, seq, err := c.Do(requests[i])
				if err == nil && status != http.StatusAccepted {
					err = fmt.Errorf("publish: status %d", status)
				}
				if err != nil {
					cancel(err)
					return
				}
				raise(&greatest, int64(seq))
			}
		})
	}
	senders.Wait()
	return weir.Seq(greatest.Load()), context.Cause(ctx)
}

func raise(to *atomic.Int64, n int64) {
	for old := to.Load(); n > old && !to.CompareAndSwap(old, n); old = to.Load() {
	}
}
