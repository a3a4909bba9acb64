package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

var runList = show.List[client.Run]{
	Head: "RUN STATE PIPELINE TRIGGER REASON EVENTS TRIES MADE ERROR",
	Row: func(r client.Run) []string {
		return []string{
			r.ID, r.State, r.Pipeline, r.Trigger, r.Reason, strconv.Itoa(r.Count), strconv.Itoa(r.Tries), r.Made.String(), show.Clip(r.Error, 60),
		}
	},
	ID: func(r client.Run) string { return r.ID },
}

func (c *cli) runsCommand() *cobra.Command {
	var filter client.RunFilter
	var from string
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, show one, or order what it does next",
		Long: `Lists runs: first those that have not ended and the dead ones, newest first, then those
that have ended, last ended first.`,
		Example: `  weir runs --state dead
  weir runs --trigger late-orders --since 1d
  weir runs show run_…
  weir runs redrive run_… run_…`,
		Args: exactly(),
	}
	asked := listing(cmd)
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) (err error) {
		if filter.Since, err = since(from, time.Now()); err != nil {
			return err
		}
		return show.Pages(c.printer(), runList, *asked, func(p client.Paging) (client.Page[client.Run], error) {
			return cl.Runs(ctx, filter, p)
		})
	})
	f := cmd.Flags()
	f.StringVar(&filter.State, "state", "", "pending, running, waiting, succeeded, dead or cancelled")
	f.StringVar(&filter.Pipeline, "pipeline", "", "of this pipeline")
	f.StringVar(&filter.Trigger, "trigger", "", "made by this trigger")
	f.StringVar(&filter.Execution, "execution", "", "of this execution")
	f.StringVar(&from, "since", "", "made since: a time, or how long ago, such as 2h")
	cmd.AddCommand(showCommand(c, showing[client.Run]{
		arg: "RUN", short: "Show a run with its attempts, steps and log", example: "  weir runs show run_019a3f…",
		long: "Shows a run: its batch, and each attempt with what became of its steps, and its log.",
		find: (*client.Client).Run, write: c.writeRun,
	}))
	cmd.AddCommand(c.orderCommands()...)
	return c.reading(c.remote(cmd))
}

// orderCommands returns the commands that order what runs do next.
func (c *cli) orderCommands() (all []*cobra.Command) {
	for _, order := range []struct {
		verb, short, long string
		call              func(*client.Client, context.Context, string) (client.Ordered, error)
	}{
		{
			"retry", "Try pending runs now, their tries as they are",
			"Makes each pending run due now. Tries that were made count on.", (*client.Client).Retry,
		},
		{
			"redrive", "Make dead runs pending again, their tries starting anew",
			"Makes each dead run pending again. Steps that had their effect are not done again.", (*client.Client).Redrive,
		},
		{
			"cancel", "End runs that have not ended",
			"Ends each run that has not ended. What its steps did stays done.", (*client.Client).Cancel,
		},
		{
			"purge", "Remove dead runs",
			"Removes each dead run, which cannot be redriven from then on.", (*client.Client).Purge,
		},
	} {
		all = append(all, &cobra.Command{
			Use:     order.verb + " RUN...",
			Short:   order.short,
			Long:    order.long + "\nThe first run that cannot be ordered ends it; those before it are ordered.",
			Example: "  weir runs " + order.verb + " run_019a3f…",
			Args:    atLeastOne("RUN"),
			RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
				return c.order(args, order.verb, func(id string) (client.Ordered, error) { return order.call(cl, ctx, id) })
			}),
		})
	}
	return all
}

func atLeastOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return weir.E("", weir.Invalid, "name at least one %s: %s", name, cmd.UseLine())
	}
}

// order orders each run and tells of those that were ordered; the first that
// cannot be ends it.
func (c *cli) order(ids []string, verb string, call func(id string) (client.Ordered, error)) error {
	page := client.Page[client.Ordered]{Items: []client.Ordered{}}
	var failed error
	for _, id := range ids {
		ordered, err := call(id)
		if err != nil {
			failed = err
			break
		}
		page.Items = append(page.Items, ordered)
	}
	err := c.show(page, func(w io.Writer) {
		for _, o := range page.Items {
			fmt.Fprintf(w, "%s: %s ordered, at place %d\n", o.Run, verb, o.Seq)
		}
	})
	return errors.Join(failed, err)
}

func (c *cli) writeRun(w io.Writer, r client.Run) {
	show.Field(w, "run", r.ID)
	fmt.Fprintf(w, "%-12s%s\n", "state", c.printer().Paint(r.State))
	show.Field(w, "pipeline", r.Pipeline)
	show.Field(w, "trigger", r.Trigger)
	show.Field(w, "reason", r.Reason)
	show.Field(w, "key", string(r.Key))
	show.Field(w, "group", r.Group)
	show.Field(w, "made", r.Made.String())
	show.Field(w, "due", r.Due.String())
	show.Field(w, "ended", r.Ended.String())
	show.Field(w, "tries", strconv.Itoa(r.Tries))
	show.Field(w, "executions", strings.Join(r.Executions, " "))
	show.Field(w, "error", r.Error)
	fmt.Fprintf(w, "\n%d events\n", r.Count)
	for _, uid := range r.Events {
		fmt.Fprintln(w, "  "+uid)
	}
	for _, a := range r.Attempts {
		c.writeAttempt(w, a)
	}
}

func (c *cli) writeAttempt(w io.Writer, a client.Attempt) {
	fmt.Fprintf(w, "\n%s  %s", a.At, c.printer().Paint(a.Outcome))
	if a.Try > 0 {
		fmt.Fprintf(w, "  try %d, took %s", a.Try, a.Took)
	}
	if a.After > 0 {
		fmt.Fprintf(w, ", next after %s", a.After)
	}
	if a.By != "" {
		fmt.Fprintf(w, "  by %s", show.Printable(a.By))
	}
	fmt.Fprintln(w)
	if a.Error != "" {
		fmt.Fprintln(w, "  "+show.Printable(a.Error))
	}
	for _, s := range a.Steps {
		mark := "ok"
		if s.Error != "" {
			mark = "failed: " + s.Error
		}
		fmt.Fprintf(w, "  step %d %s  %s  %s  %s\n", s.Index, s.Kind, show.Printable(s.Detail), s.Took, show.Printable(mark))
	}
	for _, line := range strings.Split(strings.TrimRight(a.Log, "\n"), "\n") {
		if line != "" {
			fmt.Fprintln(w, "  | "+show.Printable(line))
		}
	}
}
