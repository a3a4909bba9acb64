package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
)

func (c *cli) groupsCommand() *cobra.Command {
	var filter client.GroupFilter
	cmd := &cobra.Command{
		Use:   "groups",
		Short: "List open groups, or show one",
		Long:  "Lists the groups that are open, newest first: what they have, what they need, and when they end.",
		Example: `  weir groups --trigger late-orders
  weir groups show grp_…`,
		Args: exactly(),
	}
	page := paging(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		groups, err := cl.Groups(cmd.Context(), filter, *page)
		if err != nil {
			return err
		}
		return showPage(c, groups, "GROUP TRIGGER KEY EVENTS HAS OPENED EXPIRES", func(g client.Group) []string {
			return []string{g.ID, g.Trigger, clip(string(g.Key), 60), strconv.Itoa(g.Count), has(g), g.Opened.String(), g.Expires.String()}
		})
	}
	cmd.Flags().StringVar(&filter.Trigger, "trigger", "", "of this trigger")
	cmd.AddCommand(&cobra.Command{
		Use:     "show GROUP",
		Short:   "Show a group with its events, also one that has ended",
		Example: "  weir groups show grp_019a3f…",
		Args:    exactly("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client()
			if err != nil {
				return err
			}
			g, err := cl.Group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.show(g, func(w io.Writer) { writeGroup(w, g) })
		},
	})
	return c.reading(c.remote(cmd))
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
	field(w, "group", g.ID)
	field(w, "state", g.State)
	field(w, "trigger", g.Trigger)
	field(w, "key", string(g.Key))
	field(w, "opened", g.Opened.String())
	field(w, "first", g.First.String())
	field(w, "last", g.Last.String())
	field(w, "expires", g.Expires.String())
	field(w, "has", has(g))
	field(w, "run", g.Run)
	fmt.Fprintf(w, "\n%d events\n", g.Count)
	for _, uid := range g.Events {
		fmt.Fprintln(w, "  "+uid)
	}
}

func (c *cli) definitionsCommand(kind weir.DefinitionKind) *cobra.Command {
	cmd := &cobra.Command{
		Use:     string(kind) + "s",
		Short:   "List " + string(kind) + "s, or show one",
		Long:    "Lists the " + string(kind) + "s in force, and the revision that installed each.",
		Example: "  weir " + string(kind) + "s\n  weir " + string(kind) + "s show NAME",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client()
			if err != nil {
				return err
			}
			page, err := cl.Definitions(cmd.Context(), kind)
			if err != nil {
				return err
			}
			return showPage(c, page, "NAME REVISION", func(d weir.Definition) []string {
				return []string{d.Name, strconv.FormatUint(d.Revision, 10)}
			})
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "show NAME",
		Short:   "Show a " + string(kind) + " as it is stored",
		Example: "  weir " + string(kind) + "s show NAME",
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client()
			if err != nil {
				return err
			}
			d, err := cl.Definition(cmd.Context(), kind, args[0])
			if err != nil {
				return err
			}
			return c.show(d, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s, revision %d\n%s\n", d.Kind, d.Name, d.Revision, d.Body)
			})
		},
	})
	return c.reading(c.remote(cmd))
}
