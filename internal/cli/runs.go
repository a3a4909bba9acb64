package cli

import (
	"context"
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
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, follow them, show one, or order what it does next",
		Long: `Lists runs: first those that have not ended and the dead ones, newest first, then those
that have ended, last ended first; with --follow what happens to runs from now on.`,
		Example: `  weir runs --state dead --error 'connection refused'
  weir runs --trigger late-orders --since 1d
  weir runs --follow --pipeline notify
  weir runs show run_…
  weir runs logs -f run_…
  weir runs redrive run_… run_…`,
		Args: exactly(),
	}
	asked := listing(cmd)
	following := follows(cmd, asked, "state", "event", "error")
	period := runFilter(cmd, &filter)
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) (err error) {
		if following.on {
			f := client.StreamFilter{Kinds: "run", Pipeline: filter.Pipeline, Trigger: filter.Trigger, Execution: filter.Execution}
			return following.each(ctx, cl, f, c.runItem)
		}
		if filter.Since, filter.Until, err = period.times(time.Now()); err != nil {
			return err
		}
		return show.Pages(c.printer(), runList, *asked, func(p client.Paging) (client.Page[client.Run], error) {
			return cl.Runs(ctx, filter, p)
		})
	})
	cmd.AddCommand(showCommand(c, showing[client.Run]{
		arg: "RUN", short: "Show a run with its attempts, steps and log", example: "  weir runs show run_019a3f…",
		long: "Shows a run: its batch, and each attempt with what became of its steps, and its log.",
		find: (*client.Client).Run, write: c.writeRun,
	}))
	cmd.AddCommand(c.logsCommand())
	cmd.AddCommand(c.orderCommands()...)
	return c.reading(c.remote(cmd))
}

// runFilter adds the flags that say which runs.
func runFilter(cmd *cobra.Command, filter *client.RunFilter) *period {
	f, p := cmd.Flags(), &period{}
	f.StringVar(&filter.State, "state", "", "pending, running, waiting, succeeded, dead or cancelled")
	f.StringVar(&filter.Pipeline, "pipeline", "", "of this pipeline")
	f.StringVar(&filter.Trigger, "trigger", "", "made by this trigger")
	f.StringVar(&filter.Execution, "execution", "", "of this execution")
	f.StringVar(&filter.Event, "event", "", "with the event of this uid in its batch")
	f.StringVar(&filter.Error, "error", "", "with this `text` in the error of its last try")
	p.flags(cmd, "made")
	return p
}

var changeList = show.List[client.RunChange]{
	Head: "AT RUN OUTCOME STATE PIPELINE TRIGGER ERROR",
	Row: func(r client.RunChange) []string {
		return []string{r.At.String(), r.ID, r.Outcome, r.State, r.Pipeline, r.Trigger, show.Clip(r.Error, 80)}
	},
	ID: func(r client.RunChange) string { return r.ID },
}

// runItem prints what just happened to a run.
func (c *cli) runItem(i client.StreamItem) error {
	gap(c.printer(), i.Gap)
	if i.Run == nil {
		return nil
	}
	return show.Item(c.printer(), changeList, *i.Run)
}

func (c *cli) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs RUN",
		Short: "Show what a run tried, with its logs",
		Long: `Shows each attempt of a run: what became of its steps, and its log. With --follow also each
attempt as it ends, until the run has ended: the exit status is then 0 where it succeeded, 10
where it is dead and 11 where it was cancelled.`,
		Example: "  weir runs logs -f run_019a3f…",
		Args:    exactly("RUN"),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more until the run has ended")
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, args []string) error {
		run, err := cl.Run(ctx, args[0])
		if err != nil {
			return err
		}
		if !follow {
			return c.show(client.Page[client.Attempt]{Items: run.Attempts}, func(w io.Writer) {
				for _, a := range run.Attempts {
					c.writeAttempt(w, a)
				}
			})
		}
		return c.followRun(ctx, cl, run)
	})
	return cmd
}

// followRun prints the attempts of a run and those that end from then on, until
// the run has ended.
func (c *cli) followRun(ctx context.Context, cl *client.Client, run client.Run) error {
	var last uint32
	for _, a := range run.Attempts {
		last = max(last, a.N)
		if err := c.attempt(a); err != nil {
			return err
		}
	}
	if hasEnded(run.State) {
		return show.RunEnded(run.ID, run.State, run.Error)
	}
	f := client.StreamFilter{Kinds: "run", Run: run.ID, Attempts: true}
	for item, err := range cl.Stream(ctx, f, client.StreamFrom{After: place(cl), Reconnect: true}) {
		if err != nil {
			return err
		}
		if item.Gap != nil { // what it tried may be in it, and its end
			return weir.E("", weir.Unavailable, "a part of what happened is not kept any more: weir runs show %s tells what is", run.ID)
		}
		if item.Run == nil || item.Run.N <= last || item.Run.Attempt == nil {
			continue
		}
		if err := c.attempt(*item.Run.Attempt); err != nil {
			return err
		}
		if hasEnded(item.Run.State) {
			return show.RunEnded(run.ID, item.Run.State, item.Run.Error)
		}
	}
	return show.Interrupted(ctx.Err())
}

func hasEnded(state string) bool {
	return state == "succeeded" || state == "dead" || state == "cancelled"
}

// attempt prints an attempt that ended.
func (c *cli) attempt(a client.Attempt) error {
	if c.output == show.JSON {
		return c.printer().Line(a)
	}
	return c.show(a, func(w io.Writer) { c.writeAttempt(w, a) })
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
	show.Field(w, "waits", r.Waits)
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
