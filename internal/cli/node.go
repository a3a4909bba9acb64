package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir/client"
	"weir/internal/cli/show"
)

var nodeList = show.List[client.Node]{
	Head: "NAME STATE DUTIES HOLDS FREE TRIES VERSION SEEN",
	Row: func(n client.Node) []string {
		return []string{
			n.Name, n.State, duties(n), holds(n), strconv.Itoa(n.Free), strconv.FormatInt(n.Tries, 10), n.Version, n.Seen.String(),
		}
	},
	ID: func(n client.Node) string { return n.Name },
}

func duties(n client.Node) string {
	texts := make([]string, len(n.Duties))
	for i, d := range n.Duties {
		texts[i] = string(d)
	}
	return strings.Join(texts, ",")
}

func holds(n client.Node) string { return cmp.Or(strings.Join(n.Holds, ", "), "-") }

func (c *cli) nodesCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "nodes",
		Short: "List the processes of the server, show or drain one",
		Long: `Nodes are the processes that share one database; with the embedded engine there is one.
These commands need an admin's token for all projects.`,
		Example: "  weir nodes list\n  weir nodes drain weir-2",
	})
	list := &cobra.Command{
		Use:   "list",
		Short: "List nodes",
		Long: `Lists nodes by name: whether each is alive, what it does, and what it alone does now (the shard,
upkeep). FREE is how many runs more it would take, TRIES how many it has ended since it started.`,
		Example: "  weir nodes list -o json",
		Args:    exactly(),
		RunE: c.call(func(ctx context.Context, cl *client.Client, _ []string) error {
			return show.Pages(c.printer(), nodeList, show.Asked{All: true}, func(client.Paging) (client.Page[client.Node], error) {
				return cl.Nodes(ctx)
			})
		}),
	}
	one := showCommand(c, showing[client.Node]{
		arg: "NAME", short: "Show a node", long: "Shows a node: its duties, its version, and when it was last heard of.",
		example: "  weir nodes show weir-2", find: (*client.Client).Node, write: writeNode,
	})
	cmd.AddCommand(c.reading(list), c.reading(one), c.drainCommand())
	return c.remote(cmd)
}

func (c *cli) drainCommand() *cobra.Command {
	var undo bool
	cmd := &cobra.Command{
		Use:   "drain NAME",
		Short: "Tell a node to give up its work, before it is stopped",
		Long: `Tells a node to drain: others take over the shard or upkeep, it takes no more runs, and says
at /readyz that it is not ready. What it tries now, it ends. It lives on until it is stopped;
a start, or --undo, lets it take part again. Stopping a node (SIGTERM) drains it, too.`,
		Example: "  weir nodes drain weir-2\n  weir nodes drain weir-2 --undo",
		Args:    exactly("NAME"),
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			order, done := cl.DrainNode, "drains"
			if undo {
				order, done = cl.UndrainNode, "takes part again"
			}
			if err := order(ctx, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.Out, "node %s %s\n", show.Printable(args[0]), done)
			return err
		}),
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "let it take part again")
	return cmd
}

func writeNode(w io.Writer, n client.Node) {
	show.Field(w, "node", n.Name)
	show.Field(w, "state", n.State)
	show.Field(w, "duties", duties(n))
	show.Field(w, "holds", holds(n))
	show.Field(w, "version", n.Version)
	show.Field(w, "started", n.Started.String())
	show.Field(w, "seen", n.Seen.String())
	show.Field(w, "free", strconv.Itoa(n.Free))
	show.Field(w, "tries", strconv.FormatInt(n.Tries, 10))
}
