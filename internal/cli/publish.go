package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

// attribute is a flag that sets one attribute of an event.
type attribute struct{ name, usage string }

// attributes are the flags of publish that are attributes of its event.
var attributes = [...]attribute{
	{"type", "the event's type"},
	{"source", "its source (/api/NAME of the token)"},
	{"subject", "its subject"},
	{"id", "its id (made)"},
	{"time", "when it happened (now)"},
}

func (c *cli) publishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish [FILE]",
		Short: "Publish events",
		Long: `Publishes one event from flags, or CloudEvents in JSON, one or an array, from FILE or,
with -, from standard input. The answer comes when they are durable.`,
		Example: `  weir publish --type order.placed --subject o-17 --data '{"total": 140}'
  weir publish --type photo.taken --data @photo.json
  weir publish events.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return weir.E("", weir.Invalid, "it takes one argument at most, not %d: %s", len(args), cmd.UseLine())
			}
			return nil
		},
	}
	f := cmd.Flags()
	for _, a := range attributes {
		f.String(a.name, "", a.usage)
	}
	f.String("data", "", "its data: JSON, @FILE, or - for standard input")
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, args []string) error {
		body := c.oneEvent
		if len(args) == 1 {
			body = func(ctx context.Context, f *pflag.FlagSet) (client.Raw, error) { return c.events(ctx, f, args[0]) }
		}
		raw, err := body(ctx, f)
		if err != nil {
			return err
		}
		return c.publish(ctx, cl, raw)
	})
	return c.reading(c.remote(cmd))
}

// events reads CloudEvents, which have their own attributes and data.
func (c *cli) events(ctx context.Context, f *pflag.FlagSet, file string) (client.Raw, error) {
	for _, a := range append(attributes[:], attribute{name: "data"}) {
		if f.Changed(a.name) {
			return client.Raw{}, weir.E("", weir.Invalid, "the events in a file have their own: leave it out").WithField("--" + a.name)
		}
	}
	body, err := c.read(ctx, file)
	return client.Raw{ContentType: mediaType(body), Body: body}, err
}

// oneEvent makes the event that the flags tell.
func (c *cli) oneEvent(ctx context.Context, f *pflag.FlagSet) (client.Raw, error) {
	raw := client.Raw{ContentType: "application/json", Query: url.Values{}}
	for _, a := range attributes {
		if f.Changed(a.name) { // also to nothing, which the API refuses
			raw.Query.Set(a.name, f.Lookup(a.name).Value.String())
		}
	}
	if raw.Query.Get("type") == "" {
		return raw, weir.E("", weir.Invalid, "give an event's type, or a file with events").WithField("--type")
	}
	data := f.Lookup("data").Value.String()
	name, inFile := strings.CutPrefix(data, "@")
	switch {
	case data == "":
		raw.Body = []byte("null")
	case inFile || data == "-":
		var err error
		if raw.Body, err = c.read(ctx, name); err != nil {
			return raw, err
		}
	default:
		raw.Body = []byte(data)
	}
	return raw, nil
}

// read reads a file, or standard input for "-".
func (c *cli) read(ctx context.Context, name string) (b []byte, err error) {
	if name == "-" {
		b, err = await(ctx, func() ([]byte, error) { return io.ReadAll(c.In) })
	} else {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, weir.E("", weir.Invalid, "%w", err)
	}
	return b, nil
}

// await returns what read returns, or that ctx ended first: a read of standard
// input cannot be interrupted, and is left behind to end with the process.
func await(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	done := make(chan struct{})
	var got []byte
	var failed error
	go func() {
		defer close(done)
		got, failed = read()
	}()
	select {
	case <-done:
		return got, failed
	case <-ctx.Done():
		return nil, fmt.Errorf("interrupted: %w", ctx.Err())
	}
}

// mediaType tells one CloudEvent from an array of them.
func mediaType(body []byte) string {
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return client.BatchType
	}
	return client.EventType
}

func (c *cli) publish(ctx context.Context, cl *client.Client, raw client.Raw) error {
	receipts, err := cl.PublishRaw(ctx, raw)
	if err != nil {
		return err
	}
	return c.show(client.Receipts{Events: receipts}, func(w io.Writer) {
		for _, r := range receipts {
			note := ""
			if r.Duplicate {
				note = "  (it was there already)"
			}
			fmt.Fprintf(w, "%s  %s%s\n", r.UID, show.Printable(r.ID), note)
		}
	})
}
