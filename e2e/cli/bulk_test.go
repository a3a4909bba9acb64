package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"weir"
	"weir/client"
)

const bulkLines = 20_000

// meterLines are lines of data without ids.
func meterLines(from, to int) []byte {
	var b bytes.Buffer
	for n := from; n <= to; n++ {
		fmt.Fprintf(&b, "{\"n\":%d}\n", n)
	}
	return b.Bytes()
}

func bulkServer(t *testing.T) *client.Client {
	t.Helper()
	url, stop, err := serve(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &client.Client{URL: url, Token: token}
}

// publishLines returns the command that publishes meterLines.
func publishLines(t *testing.T, url string, args ...string) (cmd *exec.Cmd, out, said *bytes.Buffer) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), "weir", append([]string{"publish", "--ndjson", "--type", "meter.read", "-o", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "WEIR_URL="+url, "WEIR_TOKEN="+token, "GORACE=atexit_sleep_ms=0")
	out, said = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, said
	return cmd, out, said
}

// eachOnce holds the server to every line, once.
func eachOnce(t *testing.T, c *client.Client) {
	t.Helper()
	if _, err := c.Publish(t.Context(), &weir.Event{Source: "/s", Type: "last"}); err != nil { // lists show what stands before it
		t.Fatal(err)
	}
	seen := map[string]int{}
	for p := (client.Paging{Limit: 1000}); ; {
		page, err := c.Events(t.Context(), client.EventFilter{Type: "meter.read"}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			seen[string(e.Data)]++
		}
		if p.After = page.Next; page.Next == "" {
			break
		}
	}
	for n := 1; n <= bulkLines; n++ {
		if line := fmt.Sprintf(`{"n":%d}`, n); seen[line] != 1 {
			t.Fatalf("%s is there %d times", line, seen[line])
		}
	}
	if len(seen) != bulkLines {
		t.Errorf("%d events", len(seen))
	}
}

func TestLinesOfAPublisherThatWasKilledAreThereOnceWhenItIsRepeated(t *testing.T) {
	t.Parallel()
	c := bulkServer(t)
	killed, _, _ := publishLines(t, c.URL, "--key", "k", "-")
	in, err := killed.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(meterLines(1, bulkLines/2)); err != nil {
		t.Fatal(err)
	}
	for { // it sends what it has, though the input has not ended
		page, err := c.Events(t.Context(), client.EventFilter{}, client.Paging{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) > 0 {
			break
		}
	}
	_ = killed.Process.Kill()
	_ = killed.Wait()

	again, out, said := publishLines(t, c.URL, "--key", "k", "-")
	again.Stdin = bytes.NewReader(meterLines(1, bulkLines))
	if err := again.Run(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}

	var total client.Total
	if err := json.Unmarshal(out.Bytes(), &total); err != nil || total.Duplicates == 0 || total.Taken+total.Duplicates != bulkLines {
		t.Errorf("%v: %s", err, out)
	}
	eachOnce(t, c)
}

// cutting is a proxy that cuts the first requests that publish after so many
// bytes of their answers, or before any.
func cutting(t *testing.T, to string, after ...int64) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval, proxy.ErrorLog = -1, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	proxy.ModifyResponse = func(r *http.Response) error {
		i := n.Add(1) - 1
		if r.Request.Method == http.MethodPost && i < int64(len(after)) {
			r.Body = &cut{ReadCloser: r.Body, left: after[i]}
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// cut is a body that ends too early.
type cut struct {
	io.ReadCloser
	left int64
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

func TestAnUploadOfLinesGoesOnByItselfWhereItWasCut(t *testing.T) {
	t.Parallel()
	c := bulkServer(t)
	path := filepath.Join(t.TempDir(), "meters.ndjson")
	if err := os.WriteFile(path, meterLines(1, bulkLines), 0o600); err != nil {
		t.Fatal(err)
	}

	cmd, out, said := publishLines(t, cutting(t, c.URL, 0, 200, 300), path)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}

	var total client.Total
	if err := json.Unmarshal(out.Bytes(), &total); err != nil || total.Lines != bulkLines || !total.Done {
		t.Errorf("%v: %s", err, out)
	}
	if n := strings.Count(said.String(), "; again in "); n != 3 {
		t.Errorf("it was cut %d times:\n%s", n, said)
	}
	eachOnce(t, c)
}
