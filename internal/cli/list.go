package cli

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

// listing adds the flags of a list.
func listing(cmd *cobra.Command) *show.Asked {
	a := &show.Asked{Limit: 50}
	cmd.Flags().Var((*count)(&a.Limit), "limit", "how many at most")
	cmd.Flags().StringVar(&a.After, "after", "", "go on where a list said more")
	cmd.Flags().BoolVar(&a.All, "all", false, "all of it, page by page")
	return a
}

// count is the value of a flag that is a number above 0.
type count int

// String, Set and Type make a count the value of a flag.
func (n *count) String() string { return strconv.Itoa(int(*n)) }

func (n *count) Set(s string) error {
	i, err := strconv.Atoi(s)
	if err != nil || i < 1 {
		return errors.New("use a number above 0")
	}
	*n = count(i)
	return nil
}

func (n *count) Type() string { return "int" }

// period are the flags --since and --until of a list.
type period struct{ since, until string }

func (p *period) flags(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&p.since, "since", "", what+" since: a time, or how long ago, such as 2h")
	cmd.Flags().StringVar(&p.until, "until", "", what+" before: likewise")
}

func (p *period) times(now time.Time) (since, until weir.Time, err error) {
	if since, err = moment("--since", p.since, now); err != nil {
		return 0, 0, err
	}
	until, err = moment("--until", p.until, now)
	return since, until, err
}

// moment reads "2h", "3d" or an RFC 3339 time; "" is none.
func moment(flag, text string, now time.Time) (weir.Time, error) {
	if text == "" {
		return 0, nil
	}
	if d, err := weir.ParseDuration(text); err == nil && d >= 0 {
		return weir.TimeOf(now.Add(-d.Std())), nil
	}
	t, err := weir.ParseTime(text)
	if err != nil {
		return 0, weir.E("", weir.Invalid, "%q is neither a time such as 2026-01-31T09:30:00Z nor how long ago, such as 2h", text).WithField(flag)
	}
	return t, nil
}

// following is a list that can be followed, and the flags of its command that
// mean nothing then: what happens is told by fewer attributes than what did.
type following struct {
	cmd   *cobra.Command
	on    bool
	asked *show.Asked
	not   []string
}

// follows adds --follow to a list.
func follows(cmd *cobra.Command, asked *show.Asked, not ...string) *following {
	f := &following{cmd: cmd, asked: asked, not: append(not, "all", "since", "until")}
	cmd.Flags().BoolVarP(&f.on, "follow", "f", false, "show what happens from now on, or after --after, until Ctrl-C or --limit")
	return f
}

// each shows what the stream tells until there was enough of it. It asks for the
// server first: a stream waits for one that is gone.
func (f *following) each(ctx context.Context, cl *client.Client, filter client.StreamFilter, print func(client.StreamItem) error) error {
	for _, name := range f.not {
		if f.cmd.Flags().Changed(name) {
			return weir.E("", weir.Invalid, "has no meaning with --follow").WithField("--" + name)
		}
	}
	if _, err := cl.Version(ctx); err != nil {
		return err
	}
	left := 0 // no bound
	if f.cmd.Flags().Changed("limit") {
		left = f.asked.Limit
	}
	for item, err := range cl.Stream(ctx, filter, client.StreamFrom{After: f.asked.After, Reconnect: true}) {
		if err != nil {
			return err
		}
		if err := print(item); err != nil {
			return err
		}
		if left--; left == 0 {
			break
		}
	}
	return nil
}

// gap says what a stream could not tell.
func gap(p *show.Printer, g *client.Gap) {
	if g != nil {
		p.Note("what happened at the places %d to %d is not kept any more", g.From, g.To)
	}
}

// place is where a stream goes on behind what the client has seen.
func place(cl *client.Client) string { return strconv.FormatUint(uint64(cl.Seen()), 10) }

// showing is how one thing is found by its name or id, and printed for people.
type showing[T any] struct {
	arg     string // what it is called in the usage: "UID"
	short   string
	long    string
	example string
	find    func(*client.Client, context.Context, string) (T, error)
	write   func(io.Writer, T)
}

// showCommand returns the command `show` of a noun.
func showCommand[T any](c *cli, s showing[T]) *cobra.Command {
	return &cobra.Command{
		Use:     "show " + s.arg,
		Short:   s.short,
		Long:    s.long,
		Example: s.example,
		Args:    exactly(s.arg),
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			v, err := s.find(cl, ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(v, func(w io.Writer) { s.write(w, v) })
		}),
	}
}
