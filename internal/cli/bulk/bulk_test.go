package bulk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"weir/client"
	"weir/internal/cli/show"
)

func TestATapGivesWhatIsThereAndDoesNotWaitForMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		in, typed := io.Pipe()
		tap := newTap(ctx, in)
		b := make([]byte, 2)
		read := func(want string, wantErr error) {
			t.Helper()
			if n, err := tap.Read(b); string(b[:n]) != want || !errors.Is(err, wantErr) {
				t.Errorf("read %q, %v, want %q", b[:n], err, want)
			}
		}

		read("", nil)
		go func() { _, _ = io.WriteString(typed, "abc") }()
		synctest.Wait()
		read("ab", nil)
		read("c", nil)
		read("", nil)
		_ = typed.Close()
		synctest.Wait()
		read("", io.EOF)
		read("", io.EOF)
	})
}

func TestATapThatIsInterruptedEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		in, typed := io.Pipe()
		tap := newTap(ctx, in)
		interrupt()
		synctest.Wait()

		if _, err := tap.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		_ = typed.Close()
	})
}

// The same content has the same key, unless other attributes go with it.
func TestAKeyIsThatOfTheContentAndTheAttributes(t *testing.T) {
	t.Parallel()
	key := func(content string, q url.Values) string {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		k, err := keyOf(t.Context(), f, q)
		if err != nil {
			t.Fatal(err)
		}
		if rest, _ := io.ReadAll(f); string(rest) != content {
			t.Errorf("left to read %q", rest)
		}
		return k
	}
	one := key("a\n", nil)
	if again := key("a\n", url.Values{}); again != one || len(one) != 32 {
		t.Errorf("%s is not %s", again, one)
	}
	typed := url.Values{"type": {"t"}}
	if other, attributes := key("b\n", nil), key("a\n", typed); other == one || attributes == one {
		t.Errorf("%s, %s and %s", one, other, attributes)
	}
	first, _ := keyOf(t.Context(), strings.NewReader("a\n"), nil)
	if second, _ := keyOf(t.Context(), strings.NewReader("a\n"), nil); first == second {
		t.Error("what cannot be read twice has the same key twice")
	}
}

// Files are sent again as they are where the connection is lost.
func TestAnUploadThatWasCutIsSentAgain(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	path := filepath.Join(t.TempDir(), "cat.png")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if keys = append(keys, r.Header.Get("Idempotency-Key")); len(keys) == 1 {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		}
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		h := r.MultipartForm.File["file"][0]
		f, err := h.Open()
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		defer f.Close()
		got, _ := io.ReadAll(f)
		if h.Filename != "cat.png" || h.Header.Get("Content-Type") != "image/png" || r.FormValue("type") != "photo" || !bytes.Equal(got, content) {
			http.Error(w, "not what was sent", http.StatusTeapot)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(client.Receipts{Events: []client.Receipt{{UID: "evt_1"}}})
	}))
	t.Cleanup(server.Close)
	var said strings.Builder
	p := Publisher{
		Client: &client.Client{URL: server.URL}, Query: url.Values{"type": {"photo"}},
		Printer: &show.Printer{Notes: &said, Env: func(string) string { return "" }},
	}

	receipts, err := p.Files(t.Context(), []string{path})

	if err != nil || len(receipts) != 1 || len(keys) != 2 || keys[0] != keys[1] || keys[0] == "" {
		t.Errorf("%v, %v, keys %q", receipts, err, keys)
	}
	if want := "100 %  976.6 KiB of 976.6 KiB  1 files\n"; said.String() != want {
		t.Errorf("said %q", said.String())
	}
}
