package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"weir"
	"weir/client"
	"weir/internal/cli/bulk"
	"weir/internal/cli/show"
)

// attribute is a flag that sets one attribute of an event.
type attribute struct{ name, usage string }

// attributes are the flags of publish that are attributes of its events.
var attributes = [...]attribute{
	{"type", "the event's type"},
	{"source", "its source (/api/NAME of the token)"},
	{"subject", "its subject"},
	{"id", "its id (made)"},
	{"time", "when it happened (now)"},
}

// publishing is what the flags of publish say.
type publishing struct {
	set          *pflag.FlagSet
	data         string
	extensions   []string
	lines, files bool
	key          string
	from         int
	quiet        bool
	args         []string
	query        url.Values
	firstFlag    string // that sets an attribute
}

func (c *cli) publishCommand() *cobra.Command {
	p := &publishing{from: 1}
	cmd := &cobra.Command{
		Use:   "publish [FILE...]",
		Short: "Publish events",
		Long: `Publishes one event from flags, or what FILE or, with -, standard input holds: CloudEvents in
JSON, one or an array, or else JSON that is the data of one event of --type. The answer comes
when they are durable. Where the connection is lost it is tried again, and nothing doubled.

With --ndjson each FILE holds an event a line: CloudEvents, or with --type data. They are
taken by the thousand: where one line is wrong, its thousand is not taken, and told with file,
line and reason. What was interrupted goes on when the same command is given again: lines
that were taken are duplicates then. Their ids are their own, or are made from the content of
the file and the line, or from --key.

With --file each FILE is the data of an event of its own, whatever is in it.`,
		Example: `  weir publish --type order.placed --subject o-17 --data '{"total": 140}'
  weir publish --type photo.taken --ext camera=c1 photo.json
  weir publish events.json
  weir publish --ndjson events.ndjson
  zcat meters.gz | weir publish --ndjson --type meter.read --key meters-0317 -
  weir publish --type photo.taken --file cat.jpg dog.jpg`,
	}
	f := cmd.Flags()
	for _, a := range attributes {
		f.String(a.name, "", a.usage)
	}
	f.StringArrayVar(&p.extensions, "ext", nil, "another attribute, as `name=value`; may be given again")
	f.StringVar(&p.data, "data", "", "its data: JSON, @FILE, or - for standard input")
	f.BoolVar(&p.lines, "ndjson", false, "each FILE has an event a line")
	f.BoolVar(&p.files, "file", false, "each FILE is the data of an event")
	f.StringVar(&p.key, "key", "", "what ids are made from: the same key and input double nothing")
	f.Var((*count)(&p.from), "from", "with --ndjson: the first line to send")
	f.BoolVarP(&p.quiet, "quiet", "q", false, "show no progress")
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, args []string) error {
		p.set, p.args = f, args
		if err := p.check(); err != nil {
			return err
		}
		many := bulk.Publisher{
			Client: cl, Printer: c.printer(), In: c.In, Query: p.query, Key: p.key, From: p.from, Quiet: p.quiet,
		}
		switch {
		case p.lines:
			return many.Lines(ctx, args)
		case p.files:
			return c.receipts(many.Files(ctx, args))
		}
		raw, err := c.body(ctx, p)
		if err != nil {
			return err
		}
		raw.Key = cmp.Or(p.key, rand.Text()) // so that it can be tried again
		return c.receipts(cl.PublishRaw(ctx, raw))
	})
	return c.reading(c.remote(cmd))
}

// check reads the attributes and refuses flags that would mean nothing.
func (p *publishing) check() error {
	p.query = url.Values{}
	for _, a := range attributes {
		if p.set.Changed(a.name) { // also to nothing, which the API refuses
			p.attribute("--"+a.name, a.name, p.set.Lookup(a.name).Value.String())
		}
	}
	for _, x := range p.extensions {
		name, value, ok := strings.Cut(x, "=")
		if !ok || name == "" || p.query.Has(name) {
			return weir.E("", weir.Invalid, "%q is not name=value, with a name that is given once", x).WithField("--ext")
		}
		p.attribute("--ext", name, value)
	}
	bulk := p.lines || p.files
	switch {
	case p.lines && p.files:
		return weir.E("", weir.Invalid, "a file has either an event a line or is the data of one: leave out --ndjson or --file")
	case bulk && len(p.args) == 0:
		return weir.E("", weir.Invalid, "name at least one FILE, or - with --ndjson")
	case !bulk && len(p.args) > 1:
		return weir.E("", weir.Invalid, "it takes one argument at most, not %d, without --ndjson or --file", len(p.args))
	case p.set.Changed("data") && len(p.args) > 0:
		return weir.E("", weir.Invalid, "the file has data or events of its own: leave it out").WithField("--data")
	case p.set.Changed("from") && (!p.lines || len(p.args) > 1):
		return weir.E("", weir.Invalid, "is for one FILE with --ndjson").WithField("--from")
	case p.lines && p.key != "" && len(p.args) > 1:
		return weir.E("", weir.Invalid, "is for one FILE: lines of several would get the same ids").WithField("--key")
	case p.lines && p.query.Has("line"):
		return weir.E("", weir.Invalid, "line is the number of a request's first line: it cannot be an attribute of lines").WithField("--ext")
	case p.query.Get("type") == "" && (p.files || !p.lines && len(p.args) == 0 || p.lines && p.firstFlag != ""):
		return weir.E("", weir.Invalid, "give an event's type, or a file with events").WithField("--type")
	}
	return nil
}

func (p *publishing) attribute(flag, name, value string) {
	p.query.Set(name, value)
	if p.firstFlag == "" {
		p.firstFlag = flag
	}
}

// body makes a request of flags and file.
func (c *cli) body(ctx context.Context, p *publishing) (raw client.Raw, err error) {
	raw = client.Raw{ContentType: "application/json", Query: p.query, Body: []byte("null")}
	name, inFile := strings.CutPrefix(p.data, "@")
	switch {
	case len(p.args) == 1:
		raw.Body, err = c.read(ctx, p.args[0])
	case inFile || p.data == "-":
		raw.Body, err = c.read(ctx, name)
	case p.data != "":
		raw.Body = []byte(p.data)
	}
	if err != nil || len(p.args) == 0 {
		return raw, err
	}
	kind, ok := cloudEvents(raw.Body)
	switch {
	case ok && p.firstFlag != "":
		return raw, weir.E("", weir.Invalid, "the events in a file have their own: leave it out").WithField(p.firstFlag)
	case ok || p.firstFlag == "":
		raw.ContentType, raw.Query = kind, nil
	case p.query.Get("type") == "":
		return raw, weir.E("", weir.Invalid, "%s has data and no events: give its event's type", p.args[0]).WithField("--type")
	}
	return raw, nil
}

// cloudEvents tells one CloudEvent from an array of them, and whether a body is
// either.
func cloudEvents(body []byte) (mediaType string, ok bool) {
	type event struct {
		Version *json.RawMessage `json:"specversion"`
	}
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		var all []event
		return client.BatchType, json.Unmarshal(body, &all) == nil && len(all) > 0 && all[0].Version != nil
	}
	var one event
	return client.EventType, json.Unmarshal(body, &one) == nil && one.Version != nil
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
		return nil, show.Interrupted(ctx.Err())
	}
}

// receipts prints what was published, if it was.
func (c *cli) receipts(receipts []client.Receipt, err error) error {
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
