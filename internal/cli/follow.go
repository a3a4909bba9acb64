package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

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
