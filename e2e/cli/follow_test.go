package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"weir"
	"weir/client"
	"weir/internal/cli"
)

// started runs a command line until interrupt is called; the status comes then.
func started(t *testing.T, url string, in io.Reader, args ...string) (out *bufio.Reader, said *strings.Builder, interrupt func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	status := make(chan int, 1)
	said = new(strings.Builder)
	env := map[string]string{"WEIR_URL": url, "WEIR_TOKEN": token}
	go func() {
		status <- cli.Run(ctx, args, cli.Programs{}, cli.Streams{In: in, Out: write, Err: said, Env: func(name string) string { return env[name] }})
		_ = write.Close()
	}()
	return bufio.NewReader(read), said, func() int {
		cancel()
		go func() { _, _ = io.Copy(io.Discard, read) }()
		return <-status
	}
}

func TestAListThatIsFollowedShowsWhatHappensUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	c := bulkServer(t)
	out, said, interrupt := started(t, c.URL, os.Stdin, "events", "--follow", "--after", "0", "-o", "json")
	for _, id := range []string{"1", "2", "3"} {
		if _, err := c.Publish(t.Context(), &weir.Event{ID: id, Source: "/s", Type: "t"}); err != nil {
			t.Fatal(err)
		}

		line, err := out.ReadString('\n')

		if err != nil || !strings.Contains(line, `"id":"`+id+`"`) {
			t.Fatalf("shown %q: %v", line, err)
		}
	}

	if status := interrupt(); status != 0 || said.String() != "" {
		t.Errorf("ended with %d: %s", status, said)
	}
}

func TestAnUploadThatIsInterruptedSaysHowItGoesOn(t *testing.T) {
	t.Parallel()
	c := bulkServer(t)
	in, typed := io.Pipe()
	_, said, interrupt := started(t, c.URL, in, "publish", "--ndjson", "--type", "meter.read", "-")
	if _, err := typed.Write(meterLines(1, 10)); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 10; {
		page, err := c.Events(t.Context(), client.EventFilter{Type: "meter.read"}, client.Paging{})
		if err != nil {
			t.Fatal(err)
		}
		n = len(page.Items)
	}

	status := interrupt()

	if status != 130 || !strings.Contains(said.String(), "goes on, and doubles nothing (--from ") || !strings.Contains(said.String(), "with --key ") {
		t.Errorf("ended with %d: %s", status, said)
	}
}
