package httpcall

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/pipeline"
)

// raw is a receiver that reads a request's head and answers with whatever
// bytes it likes.
func raw(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					answer(conn)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestGarbageInPlaceOfAnAnswerIsAConnectFailure(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing":           "",
		"no HTTP":           "220 mail.example ESMTP\r\n",
		"half a line":       "HTTP/1.1 2",
		"no status":         "HTTP/1.1 xyz OK\r\n\r\n",
		"broken header":     "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"bad length":        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		"two lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"header of 1 MiB":   "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"many headers":      "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 100_000) + "\r\n",
		"only half-answers": strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("y", 1000)+"\r\n\r\n", 1000),
	} {
		out := run(t, weir.HTTPStep{URL: raw(t, func(c net.Conn) { _, _ = io.WriteString(c, answer) })}, one(t))

		if f := out.Failure; f == nil || f.Kind != pipeline.Connect || f.Final || len(f.Message) > 500 {
			t.Errorf("%s: got %.600v", name, f)
		}
	}
}

func TestAnswerThatDripsForEverEndsAtTheTimeout(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{"ignore": "200 OK", "replace": "200 OK", "refused": "500 No"} {
		url := raw(t, func(c net.Conn) {
			_, err := fmt.Fprintf(c, "HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n\r\n", head)
			for tick := time.NewTicker(time.Millisecond); err == nil; <-tick.C {
				_, err = io.WriteString(c, "1\r\nx\r\n")
			}
		})
		def := weir.HTTPStep{URL: url, Timeout: weir.Duration(50 * time.Millisecond)}
		if name == "replace" {
			def.Response = name
		}
		began := time.Now()

		out := run(t, def, one(t))

		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		switch f := out.Failure; name {
		case "ignore":
			if f != nil {
				t.Errorf("ignore: got %+v", f)
			}
		case "replace":
			if f == nil || f.Kind != pipeline.Timeout {
				t.Errorf("replace: got %+v", f)
			}
		default:
			if f == nil || f.Status != 500 {
				t.Errorf("refused: got %+v", f)
			}
		}
	}
}

// TestHugeAndCompressedAnswersAreReadNoFurtherThanIsKept counts what the
// receiver can send before it is hung up on.
func TestHugeAndCompressedAnswersAreReadNoFurtherThanIsKept(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"", "gzip"} {
		for _, status := range []int{200, 500} {
			var sent atomic.Int64
			ended := make(chan struct{})
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				defer close(ended)
				var to io.Writer = w
				if encoding != "" {
					w.Header().Set("Content-Encoding", encoding)
					to = gzip.NewWriter(w)
				}
				w.WriteHeader(status)
				zeros := make([]byte, 64<<10)
				for sent.Load() < 1<<32 {
					n, err := to.Write(zeros)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			})

			out := run(t, weir.HTTPStep{URL: srv.URL}, one(t))

			<-ended
			if (out.Failure == nil) != (status == 200) || out.Output != nil {
				t.Errorf("%s %d: got %+v", encoding, status, out)
			}
			if status == 200 && !strings.HasSuffix(out.Detail, "its answer of more than 262144 bytes not kept") {
				t.Errorf("%s: detail %q", encoding, out.Detail)
			}
			if n := sent.Load(); n >= 1<<32 {
				t.Errorf("%s %d: %d bytes were taken", encoding, status, n)
			}
		}
	}
}

func TestCompressionThatIsBrokenIsABrokenAnswer(t *testing.T) {
	t.Parallel()
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, "not gzip")
	})

	if out := run(t, weir.HTTPStep{URL: srv.URL}, one(t)); out.Failure != nil || !strings.Contains(out.Detail, "broke off") {
		t.Errorf("ignore: got %+v", out)
	}
	out := run(t, weir.HTTPStep{URL: srv.URL, Response: "replace"}, one(t))
	if f := out.Failure; f == nil || f.Kind != pipeline.Connect {
		t.Errorf("replace: got %+v", f)
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was sent: %v", r.Header) })
	for _, evil := range []string{"a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rb", "a\x00b", "a\x7fb"} {
		in := one(t)
		in.Scope.Secret = func(string) (string, error) { return evil, nil }

		out := run(t, weir.HTTPStep{URL: srv.URL, Headers: []weir.NamedText{{Name: "X-A", Text: "b${secret.evil}"}}}, in)

		if f := out.Failure; f == nil || !f.Final || f.Message != "header X-A: a value puts a control character into it" {
			t.Errorf("%q: got %+v", evil, f)
		}
	}
}

func TestLineBreaksInAttributesStayInTheirHeader(t *testing.T) {
	t.Parallel()
	r := record(t, nil)
	in := one(t)
	in.Events[0].Event.Subject = "a\r\nX-Evil: 1"

	out := run(t, weir.HTTPStep{URL: r.url, Mode: "binary"}, in)

	if out.Failure != nil || r.header("Ce-Subject") != "a%0D%0AX-Evil:%201" || r.header("X-Evil") != "" {
		t.Errorf("got %v, %+v", r.last.Header, out.Failure)
	}
}

func TestRedirectsAreFollowedFiveTimesAndOnlyOfGET(t *testing.T) {
	t.Parallel()
	var hops atomic.Int64
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if hops.Add(-1) >= 0 {
			http.Redirect(w, r, "/next", http.StatusFound)
		}
	})
	for n, want := range map[int64]bool{0: true, 5: true, 6: false} {
		hops.Store(n)

		out := run(t, weir.HTTPStep{URL: srv.URL, Method: "GET"}, one(t))

		if (out.Failure == nil) != want {
			t.Errorf("%d redirects: got %+v", n, out.Failure)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "HEAD"} {
		hops.Store(1)
		if f := run(t, weir.HTTPStep{URL: srv.URL, Method: method}, one(t)).Failure; f == nil || f.Status != 302 || !f.Final {
			t.Errorf("%s: got %+v", method, f)
		}
	}
}
