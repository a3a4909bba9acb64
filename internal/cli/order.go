package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

// order is what people order runs to do next.
type order struct {
	verb, short, long string
	state             string // of the runs that it is for, where none is given
	call              func(*client.Client, context.Context, string) (client.Ordered, error)
}

func orders() []order {
	return []order{
		{
			"retry", "Try pending runs now, their tries as they are",
			"Makes each pending run due now. Tries that were made count on.", "pending", (*client.Client).Retry,
		},
		{
			"redrive", "Make dead runs pending again, their tries starting anew",
			"Makes each dead run pending again. Steps that had their effect are not done again.", "dead", (*client.Client).Redrive,
		},
		{
			"cancel", "End runs that have not ended",
			"Ends each run that has not ended. What its steps did stays done.", "pending", (*client.Client).Cancel,
		},
		{
			"purge", "Remove dead runs",
			"Removes each dead run, which cannot be redriven from then on.", "dead", (*client.Client).Purge,
		},
	}
}

// orderCommands returns the commands that order what runs do next.
func (c *cli) orderCommands() (all []*cobra.Command) {
	for _, o := range orders() {
		var filter client.RunFilter
		var yes bool
		cmd := &cobra.Command{
			Use:   o.verb + " [RUN...]",
			Short: o.short,
			Long: o.long + `
The first run that cannot be ordered ends it; those before it are ordered.

With flags in place of runs it goes through the ` + o.state + ` runs that they describe, one after the
other: without --yes it only counts them. Runs that are ` + o.state + ` no more are passed over.`,
			Example: "  weir runs " + o.verb + " run_019a3f…\n  weir runs " + o.verb + " --pipeline notify --since 2h --yes",
		}
		period := runFilter(cmd, &filter)
		cmd.Flags().BoolVar(&yes, "yes", false, "order all runs that the flags describe")
		cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, args []string) (err error) {
			if filter.Since, filter.Until, err = period.times(time.Now()); err != nil {
				return err
			}
			many := filter != client.RunFilter{}
			switch {
			case many == (len(args) > 0):
				return weir.E("", weir.Invalid, "name at least one RUN, or say by flags which, not both: %s", cmd.UseLine())
			case !many:
				return c.orderEach(args, o.verb, func(id string) (client.Ordered, error) { return o.call(cl, ctx, id) })
			}
			if filter.State == "" {
				filter.State = o.state
			}
			if !yes {
				return countRuns(ctx, cl, filter)
			}
			return c.orderMany(ctx, cl, filter, o)
		})
		all = append(all, cmd)
	}
	return all
}

// orderEach orders each run and tells of those that were ordered; the first that
// cannot be ends it.
func (c *cli) orderEach(ids []string, verb string, call func(id string) (client.Ordered, error)) error {
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

// ordered is what became of an order about many runs.
type ordered struct {
	Runs    int `json:"runs"`
	Ordered int `json:"ordered"`
	Passed  int `json:"passed"` // no longer in a state for it
}

// orderMany orders all runs that a filter describes, one after the other.
func (c *cli) orderMany(ctx context.Context, cl *client.Client, filter client.RunFilter, o order) error {
	told := show.NewProgress(c.Err, c.Env, time.Now())
	var done ordered
	standing := func() show.Standing {
		return show.Standing{Unit: "runs", Units: done.Runs, Counts: []show.Count{{Word: "ordered", N: done.Ordered}, {Word: "passed over", N: done.Passed}}}
	}
	err := eachRun(ctx, cl, filter, func(id string) error {
		_, err := o.call(cl, ctx, id)
		switch weir.CodeOf(err) {
		case "":
			done.Ordered++
		case weir.Conflict, weir.NotFound:
			done.Passed++
		default:
			return fmt.Errorf("%s: %w", id, err)
		}
		done.Runs++
		told.Tell(standing(), time.Now())
		return nil
	})
	told.End(standing(), time.Now())
	if ctx.Err() != nil {
		return show.Interrupted(ctx.Err())
	}
	if err != nil {
		return err
	}
	return c.show(done, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d ordered, %d passed over\n", o.verb, done.Ordered, done.Passed)
	})
}

// countRuns refuses to order runs that nobody has counted.
func countRuns(ctx context.Context, cl *client.Client, filter client.RunFilter) error {
	n := 0
	if err := eachRun(ctx, cl, filter, func(string) error { n++; return nil }); err != nil {
		return err
	}
	return weir.E("", weir.Invalid, "it orders the %d runs that the flags describe: give it to do so", n).WithField("--yes")
}

// eachRun calls do for all runs that a filter describes. That they leave the list
// meanwhile does not shift its pages.
func eachRun(ctx context.Context, cl *client.Client, filter client.RunFilter, do func(id string) error) error {
	for ask := (client.Paging{Limit: 1000}); ; {
		page, err := cl.Runs(ctx, filter, ask)
		if err != nil {
			return err
		}
		for _, run := range page.Items {
			if err := do(run.ID); err != nil {
				return err
			}
		}
		if ask.After = page.Next; page.Next == "" {
			return nil
		}
	}
}
