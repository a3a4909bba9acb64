package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"weir"
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
	var period period
	cmd := &cobra.Command{
		Use:   "events",
		Short: "List events, follow them, or show one",
		Long: `Lists the events that were accepted, newest first; with --follow those that are accepted from
now on, as they come. A search that looked at many events without finding enough says how far
it looked, and where it goes on.`,
		Example: `  weir events --type 'order.*,!order.test' --since 2h
  weir events --has order.country=DE --where 'data.order.total > 100' --all -o ids
  weir events --execution 0193a… -o json
  weir events --follow --type 'order.*' -o json
  weir events show evt_…`,
		Args: exactly(),
	}
	asked := listing(cmd)
	following := follows(cmd, asked, "subject", "id", "cause", "where", "has")
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) (err error) {
		if following.on {
			f := client.StreamFilter{Kinds: "event", Type: filter.Type, Source: filter.Source, Execution: filter.Execution}
			return following.each(ctx, cl, f, c.eventItem)
		}
		if filter.Since, filter.Until, err = period.times(time.Now()); err != nil {
			return err
		}
		return show.Pages(c.printer(), eventList, *asked, func(p client.Paging) (client.Page[client.Event], error) {
			return cl.Events(ctx, filter, p)
		})
	})
	f := cmd.Flags()
	f.StringVar(&filter.Type, "type", "", "of these types: globs as those of triggers, with commas between")
	f.StringVar(&filter.Source, "source", "", "of this source")
	f.StringVar(&filter.Subject, "subject", "", "with this subject")
	f.StringVar(&filter.ID, "id", "", "with this id")
	f.StringVar(&filter.Execution, "execution", "", "of this execution")
	f.StringVar(&filter.Cause, "cause", "", "emitted by this run")
	f.StringArrayVar(&filter.Where, "where", nil, "of which this `condition` in CEL holds; may be given again")
	f.StringArrayVar(&filter.Data, "has", nil, "whose data has this `path=value`, such as order.total=7; may be given again")
	period.flags(cmd, "accepted")
	cmd.AddCommand(showCommand(c, showing[client.Event]{
		arg: "UID", short: "Show an event", example: "  weir events show evt_019a3f…",
		long: "Shows an event by the uid that Weir gave it: its attributes, what caused it, and its data.",
		find: (*client.Client).Event, write: writeEvent,
	}), c.eventDataCommand())
	return c.reading(c.remote(cmd))
}

func (c *cli) eventDataCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "data UID",
		Short:   "Write the data of an event to standard output",
		Long:    "Writes the data of an event to standard output, byte for byte: JSON, or an uploaded file.",
		Example: "  weir events data evt_019a3f… >cat.png",
		Args:    exactly("UID"),
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			data, err := cl.EventData(ctx, args[0])
			if err != nil {
				return err
			}
			defer data.Close()
			if _, err := io.Copy(c.Out, data); err != nil {
				return weir.E("write data", weir.Unavailable, "it is not whole: %w", err)
			}
			return nil
		}),
	}
}

// eventItem prints an event that was just accepted.
func (c *cli) eventItem(i client.StreamItem) error {
	gap(c.printer(), i.Gap)
	if i.Event == nil {
		return nil
	}
	return show.Item(c.printer(), eventList, *i.Event)
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
	var filter client.RefusalFilter
	var period period
	cmd := &cobra.Command{
		Use:   "refusals",
		Short: "List what was turned away",
		Long:  "Lists what was turned away at the door, or may not act, newest first, and why.",
		Example: `  weir refusals --since 1h
  weir refusals --door hook/github --code unauthenticated`,
		Args: exactly(),
	}
	asked := listing(cmd)
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) (err error) {
		if filter.Since, filter.Until, err = period.times(time.Now()); err != nil {
			return err
		}
		return show.Pages(c.printer(), refusalList, *asked, func(p client.Paging) (client.Page[client.Refusal], error) {
			return cl.Refusals(ctx, filter, p)
		})
	})
	f := cmd.Flags()
	f.StringVar(&filter.Door, "door", "", "at this door: api, hook/NAME, apply or fold")
	f.StringVar((*string)(&filter.Code), "code", "", "with this code, such as invalid")
	f.StringVar(&filter.Type, "type", "", "of events of these types: globs, with commas between")
	period.flags(cmd, "turned away")
	return c.reading(c.remote(cmd))
}
