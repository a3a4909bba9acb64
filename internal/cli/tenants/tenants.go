// Package tenants has the commands about projects as a whole, and about what is to
// be forgotten.
package tenants

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

// Room is what the commands take of the command line.
type Room struct {
	Printer func() *show.Printer
	Args    func(names ...string) cobra.PositionalArgs
	Call    func(do func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error
	Reading func(*cobra.Command) *cobra.Command // makes one that prints what it read
	Out     io.Writer

	// Confirm asks for a word before something that cannot be undone; where nobody
	// can be asked it fails, and names the flag that says the same.
	Confirm func(ctx context.Context, question, word, flag string) error
}

var projectList = show.List[client.Project]{
	Head: "NAME RETENTION REVISION",
	Row: func(p client.Project) []string {
		return []string{p.Name, retention(p), strconv.FormatUint(p.Revision, 10)}
	},
	ID: func(p client.Project) string { return p.Name },
}

// retention says how long a project keeps what happened, and whose word that is.
func retention(p client.Project) string {
	if p.Inherited {
		return p.Retention.String() + " (the server's)"
	}
	return p.Retention.String()
}

// Projects returns the command `project` with those below it.
func (r *Room) Projects() []*cobra.Command {
	list := &cobra.Command{
		Use:     "list",
		Short:   "List projects",
		Long:    "Lists projects by name, with how long each keeps what happened.",
		Example: "  weir project list -o json",
		Args:    r.Args(),
		RunE: r.Call(func(ctx context.Context, c *client.Client, _ []string) error {
			return show.Pages(r.Printer(), projectList, show.Asked{All: true}, func(client.Paging) (client.Page[client.Project], error) {
				return c.Projects(ctx)
			})
		}),
	}
	one := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a project",
		Long:    "Shows a project: how long it keeps what happened, and how often its definitions were changed.",
		Example: "  weir project show shop",
		Args:    r.Args("NAME"),
		RunE: r.Call(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := c.ProjectNamed(ctx, args[0])
			if err != nil {
				return err
			}
			return r.Printer().Value(p, func(w io.Writer) {
				show.Field(w, "project", p.Name)
				show.Field(w, "retention", retention(p))
				show.Field(w, "revision", strconv.FormatUint(p.Revision, 10))
			})
		}),
	}
	return []*cobra.Command{r.Reading(list), r.Reading(one), r.create(), r.set(), r.remove()}
}

func (r *Room) create() *cobra.Command {
	var s client.ProjectSettings
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a project",
		Long: `Makes a project. Its name is a letter and then letters, digits, '-' and '_', 63 at most, all in
lower case.`,
		Example: "  weir project create shop\n  weir project create audit --retention 365d",
		Args:    r.Args("NAME"),
		RunE: r.Call(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := c.CreateProject(ctx, args[0], s)
			return r.told(p, "is made", err)
		}),
	}
	cmd.Flags().StringVar(&s.Retention, "retention", "", "how long it keeps what happened (as long as the server says)")
	return cmd
}

func (r *Room) set() *cobra.Command {
	var s client.ProjectSettings
	var server bool
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Say how long a project keeps what happened",
		Long: `Says how long a project keeps what happened: --retention, or with --server-retention as long as
the server's configuration says. What is older already is removed soon.`,
		Example: "  weir project set shop --retention 90d\n  weir project set shop --server-retention",
		Args:    r.Args("NAME"),
		RunE: r.Call(func(ctx context.Context, c *client.Client, args []string) error {
			if server == (s.Retention != "") {
				return weir.E("", weir.Invalid, "give either --retention TIME or --server-retention")
			}
			p, err := c.SetProject(ctx, args[0], s)
			return r.told(p, "is set", err)
		}),
	}
	cmd.Flags().StringVar(&s.Retention, "retention", "", "how long it keeps what happened, such as 90d")
	cmd.Flags().BoolVar(&server, "server-retention", false, "as long as the server's configuration says")
	return cmd
}

func (r *Room) told(p client.Project, done string, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.Out, "project %s %s: it keeps what happened for %s\n", p.Name, done, retention(p))
	return err
}

func (r *Room) remove() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a project with everything in it, for ever",
		Long: `Deletes a project with its events, runs, definitions, secrets and tokens. Nobody finds it from
then on; what it had is removed bit by bit. That cannot be undone, so the name is asked for
once more, or given as --confirm NAME. A project made anew under the name shares nothing
with it.`,
		Example: "  weir project delete shop\n  weir project delete shop --confirm shop",
		Args:    r.Args("NAME"),
		RunE: r.Call(func(ctx context.Context, c *client.Client, args []string) error {
			name := show.Printable(args[0])
			question := "this deletes the project " + name + " with everything in it, for ever; its name, to go on: "
			if err := r.sure(ctx, question, args[0], confirm); err != nil {
				return err
			}
			if err := c.DeleteProject(ctx, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(r.Out, "project %s is deleted\n", name)
			return err
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the name once more, in place of being asked")
	return cmd
}

var erasureList = show.List[client.Erasure]{
	Head: "ID SUBJECT STATE RECORDS ORDERED BY",
	Row: func(e client.Erasure) []string {
		return []string{
			strconv.FormatInt(e.ID, 10), e.Subject, e.State, strconv.FormatInt(e.Records, 10), e.Ordered.String(), e.By,
		}
	},
	ID: func(e client.Erasure) string { return strconv.FormatInt(e.ID, 10) },
}

// Erase returns the command `erase`.
func (r *Room) Erase() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "erase SUBJECT",
		Short: "Forget the events of a subject, for ever",
		Long: `Forgets the project's events of a subject that were accepted until now. Nobody is shown them
from then on; they are removed from the disks bit by bit, which weir erasures shows. That
cannot be undone, so the subject is asked for once more, or given as --confirm SUBJECT.
What an erasure does not reach, such as backups, is in docs/security.md.`,
		Example: "  weir erase user-1841\n  weir erase user-1841 --confirm user-1841",
		Args:    r.Args("SUBJECT"),
		RunE: r.Call(func(ctx context.Context, c *client.Client, args []string) error {
			subject := show.Printable(args[0])
			question := "this erases all events of the subject " + subject + ", for ever; the subject, to go on: "
			if err := r.sure(ctx, question, args[0], confirm); err != nil {
				return err
			}
			e, err := c.Erase(ctx, args[0])
			if err != nil {
				return err
			}
			return r.Printer().Value(e, func(w io.Writer) {
				fmt.Fprintf(w, "erasure %d of %s: its events are hidden within a second, and are being removed\n", e.ID, subject)
			})
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the subject once more, in place of being asked")
	return r.Reading(cmd)
}

// Erasures returns the command `erasures`.
func (r *Room) Erasures() *cobra.Command {
	return r.Reading(&cobra.Command{
		Use:   "erasures",
		Short: "List erasures of the project",
		Long: `Lists the erasures that run, and those that ended not long ago, newest first, with how many
records are gone.`,
		Example: "  weir erasures",
		Args:    r.Args(),
		RunE: r.Call(func(ctx context.Context, c *client.Client, _ []string) error {
			return show.Pages(r.Printer(), erasureList, show.Asked{All: true}, func(client.Paging) (client.Page[client.Erasure], error) {
				return c.Erasures(ctx)
			})
		}),
	})
}

// sure asks for a word, unless it was given as --confirm.
func (r *Room) sure(ctx context.Context, question, word, given string) error {
	switch given {
	case word:
		return nil
	case "":
		return r.Confirm(ctx, question, word, "--confirm "+show.Printable(word))
	}
	return weir.E("", weir.Invalid, "--confirm is %q and not %q: nothing is done", given, word)
}
