package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// exchange is a server with one connection, in a bubble's time.
type exchange struct {
	net.Conn
	t     *testing.T
	world *world
}

// oneConn is a listener with one connection.
type oneConn struct {
	conns chan net.Conn
	addr  net.Addr
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	close(l.conns)
	return nil
}

func (l *oneConn) Addr() net.Addr { return l.addr }

// connect serves a connection as the app does, until the test ends.
func connect(t *testing.T) *exchange {
	t.Helper()
	a, w := newAPI(t)
	here, there := net.Pipe()
	listener := &oneConn{conns: make(chan net.Conn, 1), addr: there.LocalAddr()}
	listener.conns <- there
	server := &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = here.Close()
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return &exchange{Conn: here, t: t, world: w}
}

// begin sends the head of an upload of lines.
func (e *exchange) begin() {
	e.t.Helper()
	head := "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer weir_publisher\r\n" +
		"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
	if _, err := io.WriteString(e, head); err != nil {
		e.t.Fatal(err)
	}
}

// send sends a part of the body.
func (e *exchange) send(text string) error {
	_, err := fmt.Fprintf(e, "%x\r\n%s\r\n", len(text), text)
	return err
}

// answers returns the lines of the answer as they come, until it ends.
func (e *exchange) answers() <-chan string {
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		resp, err := http.ReadResponse(bufio.NewReader(e), nil)
		if err != nil {
			lines <- err.Error()
			return
		}
		defer resp.Body.Close()
		for body := bufio.NewScanner(resp.Body); body.Scan(); {
			lines <- body.Text()
		}
	}()
	return lines
}

func eventLine(id int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/s","type":"t"}`+"\n", id)
}

func TestAnUploadOfLinesLivesAsLongAsItGoesOnAndIsAnsweredMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := connect(t)
		e.begin()
		answers := e.answers()
		for chunk := range 5 {
			for i := range 2 {
				time.Sleep(50 * time.Second)
				if err := e.send(eventLine(2*chunk + i)); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := <-answers, fmt.Sprintf(`{"chunk":%d,"lines":2,"taken":2,`, chunk+1); !strings.HasPrefix(got, want) {
				t.Errorf("answered %s, want %s", got, want)
			}
		}
		_, _ = io.WriteString(e, "0\r\n\r\n")

		if got := <-answers; got != `{"done":true,"lines":10,"taken":10,"duplicates":0,"refused":0}` {
			t.Error(got)
		}
	})
}

func TestAClientThatSendsNothingForAMinuteIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := connect(t)
		began := time.Now()
		e.begin()
		answers := e.answers()
		for i := range 3 {
			if err := e.send(eventLine(i)); err != nil {
				t.Fatal(err)
			}
		}

		first, last := <-answers, <-answers

		if !strings.HasPrefix(first, `{"chunk":1,"lines":2,"taken":2,`) || time.Since(began) != time.Minute {
			t.Errorf("after %s: %s", time.Since(began), first)
		}
		if !strings.HasPrefix(last, `{"done":false,"lines":2,"taken":2,`) || !strings.Contains(last, "nothing more of it came in time") {
			t.Error(last)
		}
		if n := len(e.world.records); n != 2 {
			t.Errorf("%d events of the half chunk's three", n)
		}
	})
}

func TestAClientThatReadsNoAnswersForAMinuteIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := connect(t)
		began := time.Now()
		e.begin()

		sent := 0
		for e.send(eventLine(sent)) == nil {
			sent++
		}

		if took := time.Since(began); took != time.Minute || sent < 2*maxUnsent || sent > 3*maxUnsent+1000 {
			t.Errorf("cut after %s and %d lines", took, sent)
		}
	})
}
