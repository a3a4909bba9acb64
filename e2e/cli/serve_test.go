package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"weir/client"
	"weir/internal/app"
	"weir/internal/config"
)

// lines runs a server until it has said where it listens, calls look with what
// it said, and stops it.
func lines(t *testing.T, cfg config.Config, look func(said []string)) (logs string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, w := io.Pipe()
	var log bytes.Buffer
	served := make(chan error, 1)
	go func() {
		err := app.Serve(ctx, cfg, w, &log)
		w.CloseWithError(io.EOF)
		served <- err
	}()
	var said []string
	for s := bufio.NewScanner(out); s.Scan(); {
		said = append(said, s.Text())
		if strings.Contains(s.Text(), "listens on") {
			break
		}
	}
	look(said)
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	return log.String()
}

func TestTheFirstStartTellsTheTokenOnce(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	var token string

	logs := lines(t, cfg, func(said []string) {
		var ok bool
		if _, token, ok = strings.Cut(said[0], "shown only now: "); !ok || len(said) != 2 {
			t.Fatalf("said %q", said)
		}
	})

	if strings.Contains(logs, token) || !strings.Contains(logs, "msg=stopped") {
		t.Errorf("logged %s", logs)
	}
	lines(t, cfg, func(said []string) {
		if len(said) != 1 {
			t.Errorf("the second start said %q", said)
		}
		_, url, _ := strings.Cut(said[0], "listens on ")
		c := &client.Client{URL: url, Token: token}
		if _, err := c.Events(t.Context(), client.EventFilter{}, client.Paging{}); err != nil {
			t.Errorf("the token of the first start: %v", err)
		}
		c.Token += "x"
		if _, err := c.Events(t.Context(), client.EventFilter{}, client.Paging{}); err == nil {
			t.Error("another token is taken")
		}
	})
}
