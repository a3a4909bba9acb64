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

	"weir"
	"weir/client"
)

func (c *cli) publishCommand() *cobra.Command {
	var kind, source, subject, id, at, data string
	cmd := &cobra.Command{
		Use:   "publish [FILE]",
		Short: "Publish events",
		Long: `Publishes one event from flags, or CloudEvents in JSON, one or an array, from FILE or,
with -, from standard input. The answer comes when they are durable.`,
		Example: `  weir publish --type order.placed --subject o-17 --data '{"total": 140}'
  weir publish --type photo.taken --data @photo.json
  weir publish events.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if kind != "" || data != "" {
					return weir.E("", weir.Invalid, "a file has its own types and data: leave --type and --data out")
				}
				body, err := c.read(args[0])
				if err != nil {
					return err
				}
				return c.publish(cmd.Context(), cl, client.Raw{ContentType: mediaType(body), Body: body})
			}
			if kind == "" {
				return weir.E("", weir.Invalid, "give an event's type, or a file with events").WithField("--type")
			}
			raw, err := c.oneEvent(data)
			if err != nil {
				return err
			}
			for name, value := range map[string]string{"type": kind, "source": source, "subject": subject, "id": id, "time": at} {
				if value != "" {
					raw.Query.Set(name, value)
				}
			}
			return c.publish(cmd.Context(), cl, raw)
		},
	}
	f := cmd.Flags()
	f.StringVar(&kind, "type", "", "the event's type")
	f.StringVar(&source, "source", "", "its source (/api/NAME of the token)")
	f.StringVar(&subject, "subject", "", "its subject")
	f.StringVar(&id, "id", "", "its id (made)")
	f.StringVar(&at, "time", "", "when it happened (now)")
	f.StringVar(&data, "data", "", "its data: JSON, @FILE, or - for standard input")
	return c.reading(c.remote(cmd))
}

func (c *cli) oneEvent(data string) (client.Raw, error) {
	raw := client.Raw{ContentType: "application/json", Query: url.Values{}, Body: []byte(data)}
	if name, ok := strings.CutPrefix(data, "@"); ok {
		data = name
	} else if data != "-" {
		if data == "" {
			raw.Body = []byte("null")
		}
		return raw, nil
	}
	body, err := c.read(data)
	raw.Body = body
	return raw, err
}

// read reads a file, or standard input for "-".
func (c *cli) read(name string) (b []byte, err error) {
	if name == "-" {
		b, err = io.ReadAll(c.In)
	} else {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, weir.E("", weir.Invalid, "%w", err)
	}
	return b, nil
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
			fmt.Fprintf(w, "%s  %s%s\n", r.UID, printable(r.ID), note)
		}
	})
}
