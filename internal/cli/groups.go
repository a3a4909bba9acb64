package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

var groupList = show.List[client.Group]{
	Head: "GROUP STATE TRIGGER KEY EVENTS HAS OPENED ENDS",
	Row: func(g client.Group) []string {
		ends := cmp.Or(g.Ended, g.Expires)
		return []string{g.ID, g.State, g.Trigger, show.Clip(string(g.Key), 60), strconv.Itoa(g.Count), has(g), g.Opened.String(), ends.String()}
	},
	ID: func(g client.Group) string { return g.ID },
}

func (c *cli) groupsCommand() *cobra.Command {
	var filter client.GroupFilter
	cmd := &cobra.Command{
		Use:   "groups",
		Short: "List groups, follow their ends, or show one",
		Long: `Lists the groups that are open, newest first: what they have, what they need, and when they
end; with --state those that ended, last ended first; with --follow each that ends from now on.`,
		Example: `  weir groups --trigger late-orders --key '{"user": "ana"}'
  weir groups --state expired
  weir groups --follow -o json
  weir groups show grp_…`,
		Args: exactly(),
	}
	asked := listing(cmd)
	following := follows(cmd, asked, "state", "key")
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) error {
		if following.on {
			return following.each(ctx, cl, client.StreamFilter{Kinds: "group", Trigger: filter.Trigger}, c.groupItem)
		}
		return show.Pages(c.printer(), groupList, *asked, func(p client.Paging) (client.Page[client.Group], error) {
			return cl.Groups(ctx, filter, p)
		})
	})
	cmd.Flags().StringVar(&filter.Trigger, "trigger", "", "of this trigger")
	cmd.Flags().StringVar(&filter.State, "state", "", "open, ended, or how it ended: fired, expired, late, full or dropped")
	cmd.Flags().StringVar(&filter.Key, "key", "", "whose key has these parts, a JSON `object`")
	cmd.AddCommand(showCommand(c, showing[client.Group]{
		arg: "GROUP", short: "Show a group with its events, also one that has ended", example: "  weir groups show grp_019a3f…",
		long: "Shows a group: its key, what it has and needs, when it ends, the run that it made, and its events.",
		find: (*client.Client).Group, write: writeGroup,
	}))
	return c.reading(c.remote(cmd))
}

// groupItem prints a group that just ended.
func (c *cli) groupItem(i client.StreamItem) error {
	gap(c.printer(), i.Gap)
	if i.Group == nil {
		return nil
	}
	return show.Item(c.printer(), groupList, *i.Group)
}

// has tells how far the criteria of fire are met: "3/5 1/1".
func has(g client.Group) string {
	parts := make([]string, len(g.Criteria))
	for i, criterion := range g.Criteria {
		parts[i] = fmt.Sprintf("%d/%d", criterion.Have, criterion.Need)
	}
	return strings.Join(parts, " ")
}

func writeGroup(w io.Writer, g client.Group) {
	show.Field(w, "group", g.ID)
	show.Field(w, "state", g.State)
	show.Field(w, "trigger", g.Trigger)
	show.Field(w, "key", string(g.Key))
	show.Field(w, "opened", g.Opened.String())
	show.Field(w, "first", g.First.String())
	show.Field(w, "last", g.Last.String())
	show.Field(w, "expires", g.Expires.String())
	show.Field(w, "has", has(g))
	show.Field(w, "ended", g.Ended.String())
	show.Field(w, "run", g.Run)
	fmt.Fprintf(w, "\n%d events\n", g.Count)
	for _, uid := range g.Events {
		fmt.Fprintln(w, "  "+uid)
	}
}

var definitionList = show.List[weir.Definition]{
	Head: "NAME REVISION FROM",
	Row:  func(d weir.Definition) []string { return []string{d.Name, strconv.FormatUint(d.Revision, 10), d.From} },
	ID:   func(d weir.Definition) string { return d.Name },
}

// definitionsCommand returns the command of a kind of definition, which has the
// name that the API gives it: "triggers", "event-types".
func (c *cli) definitionsCommand(kind weir.DefinitionKind) *cobra.Command {
	name := strings.TrimPrefix(client.DefinitionPath(kind), "/v1/")
	one := strings.TrimSuffix(strings.ReplaceAll(name, "-", " "), "s")
	cmd := &cobra.Command{
		Use:     name,
		Short:   "List " + one + "s, or show one",
		Long:    "Lists the " + one + "s in force, the revision that installed each, and what it was applied from.",
		Example: "  weir " + name + "\n  weir " + name + " show NAME",
		Args:    exactly(),
	}
	asked := listing(cmd)
	cmd.RunE = c.call(func(ctx context.Context, cl *client.Client, _ []string) error {
		return show.Pages(c.printer(), definitionList, *asked, func(p client.Paging) (client.Page[weir.Definition], error) {
			return cl.Definitions(ctx, kind, p)
		})
	})
	cmd.AddCommand(showCommand(c, showing[client.DefinitionInForce]{
		arg: "NAME", short: "Show a definition of this kind as it is stored", example: "  weir " + name + " show NAME",
		long: "Shows what is in force under a name, in the form in which it is stored.",
		find: func(cl *client.Client, ctx context.Context, name string) (client.DefinitionInForce, error) {
			return cl.Definition(ctx, kind, name)
		},
		write: writeDefinition,
	}))
	return c.reading(c.remote(cmd))
}

func writeDefinition(w io.Writer, d client.DefinitionInForce) {
	fmt.Fprintf(w, "%s %s, revision %d\n", d.Kind, d.Name, d.Revision)
	show.Text(w, d.Body, "application/json")
	for _, what := range slices.Sorted(maps.Keys(d.Counters)) {
		fmt.Fprintf(w, "%8d  %s\n", d.Counters[what], show.Printable(what))
	}
}
