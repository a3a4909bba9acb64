package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"weir/client"
)

func (c *cli) eventsCommand() *cobra.Command {
	var filter client.EventFilter
	var from string
	cmd := &cobra.Command{
		Use:   "events",
		Short: "List events, or show one",
		Long:  "Lists the events that were accepted, newest first.",
		Example: `  weir events --type order.placed --since 2h
  weir events --execution 0193a… -o json
  weir events show evt_…`,
		Args: exactly(),
	}
	page := paging(cmd)
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) (err error) {
		if filter.Since, err = since(from, time.Now()); err != nil {
			return err
		}
		events, err := cl.Events(ctx, filter, *page)
		if err != nil {
			return err
		}
		return showPage(c, events, "ACCEPTED UID TYPE SUBJECT DATA", func(e client.Event) []string {
			return []string{e.At.String(), e.UID, e.Type, e.Subject, clip(string(e.Data), 60)}
		})
	})
	f := cmd.Flags()
	f.StringVar(&filter.Type, "type", "", "of this type")
	f.StringVar(&filter.Source, "source", "", "of this source")
	f.StringVar(&filter.Subject, "subject", "", "with this subject")
	f.StringVar(&filter.ID, "id", "", "with this id")
	f.StringVar(&filter.Execution, "execution", "", "of this execution")
	f.StringVar(&from, "since", "", "accepted since: a time, or how long ago, such as 2h")
	cmd.AddCommand(showCommand(c, showing[client.Event]{
		arg: "UID", short: "Show an event", example: "  weir events show evt_019a3f…",
		long: "Shows an event by the uid that Weir gave it: its attributes, what caused it, and its data.",
		find: (*client.Client).Event, write: writeEvent,
	}))
	return c.reading(c.remote(cmd))
}

func writeEvent(w io.Writer, e client.Event) {
	field(w, "uid", e.UID)
	field(w, "accepted", e.At.String())
	field(w, "type", e.Type)
	field(w, "source", e.Source)
	field(w, "id", e.ID)
	field(w, "subject", e.Subject)
	field(w, "time", e.Time.String())
	field(w, "execution", e.Execution)
	field(w, "cause", e.Cause.String())
	for _, x := range e.Extensions {
		field(w, x.Name, x.Value)
	}
	if len(e.Data) > 0 {
		fmt.Fprintln(w)
		writeText(w, e.Data, e.ContentType)
	}
}

func (c *cli) refusalsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "refusals",
		Short:   "List what was turned away",
		Long:    "Lists what was turned away at the door, or may not act, newest first, and why.",
		Example: "  weir refusals --limit 10",
		Args:    exactly(),
	}
	page := paging(cmd)
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) error {
		refusals, err := cl.Refusals(ctx, *page)
		if err != nil {
			return err
		}
		return showPage(c, refusals, "AT DOOR CODE FIELD REASON TYPE ID", func(r client.Refusal) []string {
			return []string{r.At.String(), r.Door, string(r.Code), r.Field, clip(r.Reason, 80), r.Type, r.ID}
		})
	})
	return c.reading(c.remote(cmd))
}
