package whole

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/client"
)

// hostile is a request whose sender ends it where it should not.
type hostile struct {
	head string // headers, with their line ends
	body string
	keep int    // events that are kept
	text string // a part of the refusal's reason
}

// The connection is cut in the middle of each form: nothing of what was not
// whole is kept, and the refusal is listed.
func TestAConnectionThatIsCutInTheMiddleLeavesARefusal(t *testing.T) {
	t.Parallel()
	event := func(id int) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/s","type":"t"}`, id)
	}
	var chunk strings.Builder
	for i := range 1500 {
		fmt.Fprintln(&chunk, event(i))
	}
	long := func(kind string) string { return "Content-Type: " + kind + "\r\nContent-Length: 100000000\r\n" }
	short := func(kind string) string { return "Content-Type: " + kind + "\r\nContent-Length: 1000000\r\n" }
	const cut = "the body ends before its end"
	for name, c := range map[string]hostile{
		"binary":     {short("text/plain") + "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n", "hello", 0, cut},
		"structured": {short(client.EventType), event(1), 0, cut},
		"batch":      {short(client.BatchType), "[" + event(1), 0, cut},
		"plain JSON": {short("application/json"), "{}", 0, cut},
		"lines":      {long(client.LinesType), chunk.String(), 1000, "line 1001: " + cut},
		"chunked lines": {
			"Content-Type: " + client.LinesType + "\r\nTransfer-Encoding: chunked\r\n",
			fmt.Sprintf("%x\r\n%s\r\nff", chunk.Len(), chunk.String()), 1000, "line 1001: " + cut,
		},
		"a form": {
			long("multipart/form-data; boundary=b"),
			"--b\r\nContent-Disposition: form-data; name=type\r\n\r\nt\r\n--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nhello",
			0, cut,
		},
		"gzip": {short("application/json") + "Content-Encoding: gzip\r\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 0, cut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			conn := s.dial(c.head)

			_, _ = io.WriteString(conn, c.body)
			_ = conn.(*net.TCPConn).CloseWrite()
			answer, _ := io.ReadAll(conn)

			s.until("the refusal is listed", func() bool {
				page, err := s.Refusals(t.Context(), client.RefusalFilter{}, client.Paging{})
				return err == nil && len(page.Items) == 1 && page.Items[0].Code == weir.Invalid && strings.HasPrefix(page.Items[0].Reason, c.text)
			})
			if !strings.Contains(string(answer), `"invalid"`) {
				t.Errorf("answered %s", answer)
			}
			s.See(weir.Seq(c.keep))
			if n := s.count(); n != c.keep {
				t.Errorf("%d events are kept, want %d", n, c.keep)
			}
			s.wantBlobs(0)
		})
	}
}

// dial sends the head of a request.
func (s *server) dial(head string) net.Conn {
	s.t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST /v1/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n", u.Host, token, head); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// count returns how many events are kept, up to 2,000.
func (s *server) count() (n int) {
	s.t.Helper()
	for after := ""; ; {
		page, err := s.Events(s.t.Context(), client.EventFilter{}, client.Paging{Limit: 1000, After: after})
		if err != nil {
			s.t.Fatal(err)
		}
		if n += len(page.Items); page.Next == "" || n >= 2000 {
			return n
		}
		after = page.Next
	}
}

// wantBlobs counts the files of blobs.
func (s *server) wantBlobs(want int) {
	s.t.Helper()
	n := 0
	err := filepath.WalkDir(filepath.Join(s.dir, "blobs"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil || n != want {
		s.t.Errorf("%d blobs, want %d: %v", n, want, err)
	}
}

// A Content-Length that is less than what comes leaves the rest as another
// request, which is none.
func TestAContentLengthThatIsTooShortIsBrokenJSON(t *testing.T) {
	t.Parallel()
	s := start(t)
	conn := s.dial("Content-Type: " + client.EventType + "\r\nContent-Length: 20\r\n")

	_, _ = io.WriteString(conn, `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`+"\r\n\r\n")
	answer, _ := io.ReadAll(conn)

	if got := string(answer); !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "not JSON") || strings.Count(got, "HTTP/1.1 ") != 2 {
		t.Errorf("answered %s", got)
	}
	if n := s.count(); n != 0 {
		t.Errorf("%d events are kept", n)
	}
}

// upload sends a body of its own length and returns the problem.
func (s *server) upload(in io.Reader, contentType string) client.Problem {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+"/v1/events", in)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode == http.StatusAccepted {
		return client.Problem{Status: resp.StatusCode}
	}
	return problem(s.t, string(answer))
}

// blank is a file of so many bytes in a form.
func blank(t *testing.T, size int64) (form io.Reader, contentType string) {
	t.Helper()
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	if err := w.WriteField("topic", "upload"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateFormFile("file", "big.bin"); err != nil {
		t.Fatal(err)
	}
	return io.MultiReader(&head, io.LimitReader(zeros{}, size), strings.NewReader("\r\n--"+w.Boundary()+"--\r\n")), w.FormDataContentType()
}

// zeros are bytes without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestAFileOf100MiBIsTakenAndOneOf101IsNot(t *testing.T) {
	t.Parallel()
	s := start(t)

	form, kind := blank(t, 101<<20)
	p := s.upload(form, kind)

	if p.Status != http.StatusRequestEntityTooLarge || p.Code != weir.TooLarge || p.Field != "file" ||
		!strings.Contains(p.Detail, `"big.bin" is longer than 104857600 bytes`) {
		t.Errorf("answered %+v", p)
	}
	wantRefusal(t, s, "", p)
	s.wantBlobs(0)

	form, kind = blank(t, 100<<20)
	if p := s.upload(form, kind); p.Status != http.StatusAccepted {
		t.Errorf("answered %+v", p)
	}
	s.See(1)
	events := s.events()
	if len(events) != 1 || events[0].Type != "upload" || events[0].Subject != "big.bin" {
		t.Errorf("kept %+v", events)
	}
	s.wantBlobs(1)
}

func TestALineOf100MiBIsRefusedAloneAndNotKeptInMemory(t *testing.T) {
	t.Parallel()
	s := start(t)
	good := func(id string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"t"}` + "\n"
	}
	in := io.MultiReader(strings.NewReader(good("a")), io.LimitReader(zeros{}, 100<<20), strings.NewReader("\n"+good("b")))

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/events", in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", client.LinesType)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)

	got := string(answer)
	if err != nil || !strings.Contains(got, `"code":"too_large","detail":"longer than 8388608 bytes, which are the most","field":"line","line":2}`) ||
		!strings.HasSuffix(got, `{"done":true,"lines":3,"taken":2,"duplicates":0,"refused":1}`+"\n") {
		t.Errorf("answered %s, %v", got, err)
	}
	s.See(2)
	if n := s.count(); n != 2 {
		t.Errorf("%d events are kept", n)
	}
}

// What a decoder must not take, by each form.
func TestBadInputOfEveryFormIsAnsweredAndListed(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	ce := []string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"}
	for name, c := range map[string]struct {
		path, contentType, body string
		header                  []string
		status                  int
		code                    weir.Code
		field, detail           string
	}{
		"deep JSON": {
			"/v1/events?type=t", "application/json", deep, nil, 400, weir.Invalid, "", "deeper than 128",
		},
		"deep JSON in binary mode": {
			"/v1/events", "application/json", deep, ce, 400, weir.Invalid, "data", "deeper than 128",
		},
		"an attribute given twice": {
			"/v1/events", client.EventType, `{"specversion":"1.0","id":"1","source":"/s","type":"t","type":"u"}`, nil, 400, weir.Invalid, "type", "given twice",
		},
		"data that is no UTF-8": {
			"/v1/events?type=t", "application/json", "\"\xff\"", nil, 400, weir.Invalid, "", "not valid UTF-8",
		},
		"a header that is no UTF-8": {
			"/v1/events", "text/plain", "x", append(ce, "ce-subject", "%ff"), 400, weir.Invalid, "ce-subject", "not valid UTF-8",
		},
		"a header that is badly encoded": {
			"/v1/events", "text/plain", "x", append(ce, "ce-subject", "%4"), 400, weir.Invalid, "ce-subject", "no two hex digits",
		},
		"a form without end": {
			"/v1/events", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nx", nil,
			400, weir.Invalid, "", "the form has no end",
		},
		"an encoding that is not taken": {
			"/v1/events?type=t", "application/json", "1", []string{"Content-Encoding", "br"}, 415, weir.Invalid, "content-encoding", "use gzip",
		},
		"a gzip bomb": {
			"/v1/events?type=t", "application/json", bomb(t, 100<<20), []string{"Content-Encoding", "gzip"}, 413, weir.TooLarge, "body", "8388608 bytes",
		},
		"a type of Weir's": {
			"/v1/events?type=weir.run.dead", "application/json", "1", nil, 400, weir.Invalid, "type", "Weir's own",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)

			status, answer := s.post(c.path, c.contentType, c.body, c.header...)

			p := problem(t, answer)
			if status != c.status || p.Code != c.code || p.Field != c.field || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("answered %+v", p)
			}
			wantRefusal(t, s, "", p)
			if n := s.count(); n != 0 {
				t.Errorf("%d events are kept", n)
			}
		})
	}
}

// bomb returns zeros as gzip.
func bomb(t *testing.T, size int64) string {
	t.Helper()
	var out strings.Builder
	w := gzip.NewWriter(&out)
	if _, err := io.Copy(w, io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
