package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"weir/client"
	"weir/internal/cli/show"
)

var eventList = show.List[client.Event]{
	Head: "ACCEPTED UID TYPE SUBJECT DATA",
	Row: func(e client.Event) []string {
		return []string{e.At.String(), e.UID, e.Type, e.Subject, show.Clip(string(e.Data), 60)}
	},
	ID: func(e client.Event) string { return e.UID },
}

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
	asked := listing(cmd)
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) (err error) {
		if filter.Since, err = since(from, time.Now()); err != nil {
			return err
		}
		return show.Pages(c.printer(), eventList, *asked, func(p client.Paging) (client.Page[client.Event], error) {
			return cl.Events(ctx, filter, p)
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
	show.Field(w, "uid", e.UID)
	show.Field(w, "accepted", e.At.String())
	show.Field(w, "type", e.Type)
	show.Field(w, "source", e.Source)
	show.Field(w, "id", e.ID)
	show.Field(w, "subject", e.Subject)
	show.Field(w, "time", e.Time.String())
	show.Field(w, "execution", e.Execution)
	show.Field(w, "cause", e.Cause.String())
	for _, x := range e.Extensions {
		show.Field(w, x.Name, x.Value)
	}
	if len(e.Data) > 0 {
		fmt.Fprintln(w)
		show.Text(w, e.Data, e.ContentType)
	}
}

var refusalList = show.List[client.Refusal]{
	Head: "AT DOOR CODE FIELD REASON TYPE ID",
	Row: func(r client.Refusal) []string {
		return []string{r.At.String(), r.Door, string(r.Code), r.Field, show.Clip(r.Reason, 80), r.Type, r.ID}
	},
}

func (c *cli) refusalsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "refusals",
		Short:   "List what was turned away",
		Long:    "Lists what was turned away at the door, or may not act, newest first, and why.",
		Example: "  weir refusals --limit 10",
		Args:    exactly(),
	}
	asked := listing(cmd)
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) error {
		return show.Pages(c.printer(), refusalList, *asked, func(p client.Paging) (client.Page[client.Refusal], error) {
			return cl.Refusals(ctx, client.RefusalFilter{}, p)
		})
	})
	return c.reading(c.remote(cmd))
}
