// Package cli is the command line: it reads flags, calls the server through
// package client, and prints. It decides nothing that the API does not.
//
// Main gives it the programs that run a server, so that it knows neither.
package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/copies"
	"weir/internal/cli/show"
	"weir/internal/cli/tenants"
	"weir/internal/config"
)

// Programs are what the commands run that are no calls of an API.
type Programs struct {
	Serve   func(ctx context.Context, cfg config.Config, out, logs io.Writer) error
	Demo    func(ctx context.Context, o DemoOptions) error
	Migrate func(ctx context.Context, cfg config.Config, o MigrateOptions) ([]Migration, error)
	Copies  copies.Programs
	Version string
}

// MigrateOptions say how far migrate goes: Status tells what the state has and
// lacks, SQL the text of what it lacks, and DryRun does where it could apply it.
type MigrateOptions struct{ Status, SQL, DryRun bool }

// Migration is a step of the state's schema; At is none where it was lacking.
type Migration struct {
	Name    string    `json:"name"`
	Text    string    `json:"sql,omitempty"`
	Version string    `json:"version,omitempty"`
	At      weir.Time `json:"at,omitzero"`
}

// DemoOptions say how the demo runs.
type DemoOptions struct {
	Once bool
	JSON bool
	File []byte // project file in place of the example; nil: the example
	Out  io.Writer
}

// Streams are where a command reads and writes, and its environment.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Env      func(string) string
}

// cli is one invocation.
type cli struct {
	Programs
	Streams
	url, token, project string
	output              show.Form
}

const long = `Weir holds streams of events until they mean something, then acts.

Start with:
  weir demo                      the main job on real input, to watch
  weir serve --data ./data       a server; prints an admin token, once

Commands that talk to a server take it from --url, --token and --project, or
from WEIR_URL, WEIR_TOKEN and WEIR_PROJECT. Reading commands print a table, or
with -o json what the API answered.

Exit status: 0 done, 1 internal error, 2 wrong input or usage, 3 not allowed,
4 not found, 5 conflict, 6 not now, 130 interrupted.`

// Run runs one command line and returns its exit status.
func Run(ctx context.Context, args []string, p Programs, s Streams) int {
	root := New(p, s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		show.Error(s.Err, err)
	}
	return show.ExitStatus(err)
}

// New returns the root command.
func New(p Programs, s Streams) *cobra.Command {
	c := &cli{Programs: p, Streams: s}
	root := group(&cobra.Command{
		Use:           "weir",
		Short:         "Self-hosted event engine",
		Long:          long,
		Example:       "  weir demo\n  weir serve --data ./data",
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return weir.E("", weir.Invalid, "%w; %s --help tells more", err, cmd.CommandPath())
	})
	root.AddCommand(
		c.demoCommand(), c.serveCommand(), c.migrateCommand(), c.configCommand(), c.versionCommand(),
		c.applyCommand(), c.exportCommand(), c.schemaCommand(),
		c.publishCommand(), c.eventsCommand(), c.groupsCommand(), c.runsCommand(), c.refusalsCommand(),
		c.definitionsCommand(weir.KindTrigger), c.definitionsCommand(weir.KindPipeline), c.definitionsCommand(weir.KindSource),
		c.definitionsCommand(weir.KindDestination), c.definitionsCommand(weir.KindEventType),
		c.secretCommand(), c.nodesCommand(),
	)
	root.AddCommand(c.copiesCommands()...)
	root.AddCommand(c.tenantsCommands()...)
	root.AddCommand(topics()...)
	root.SetHelpCommand(helpCommand(root))
	return root
}

// copiesCommands returns the commands about whole copies of a server's data.
func (c *cli) copiesCommands() []*cobra.Command {
	var file string
	room := copies.Room{
		Programs: c.Copies, Client: c.client, Printer: c.printer, Args: exactly,
		Load: func(cmd *cobra.Command) (config.Config, error) { return c.load(cmd, file) },
	}
	verify := room.Verify()
	bind(verify, &file)
	return []*cobra.Command{c.remote(c.reading(room.Backup())), c.reading(room.Restore()), c.reading(verify)}
}

// tenantsCommands returns the commands about projects as a whole.
func (c *cli) tenantsCommands() []*cobra.Command {
	room := tenants.Room{
		Printer: c.printer, Args: exactly, Reading: c.reading, Confirm: c.confirm, Out: c.Out,
		Call: func(do func(context.Context, *client.Client, []string) error) func(*cobra.Command, []string) error {
			return c.call(do)
		},
	}
	project := group(&cobra.Command{
		Use:   "project",
		Short: "List, make, set and delete projects",
		Long: `Projects are tenants of a server: each has its own events, runs, definitions, secrets and tokens.
These commands need an admin's token for all projects.`,
		Example: "  weir project create shop --retention 90d\n  weir project list",
	})
	project.AddCommand(room.Projects()...)
	return []*cobra.Command{c.remote(project), c.remote(room.Erase()), c.remote(room.Erasures())}
}

// remote makes cmd one that talks to a server.
func (c *cli) remote(cmd *cobra.Command) *cobra.Command {
	f := cmd.PersistentFlags()
	f.StringVar(&c.url, "url", "", "the server (WEIR_URL; http://127.0.0.1:9347)")
	f.StringVar(&c.token, "token", "", "the token (WEIR_TOKEN)")
	f.StringVar(&c.project, "project", "", "the project (WEIR_PROJECT; the token's)")
	return cmd
}

// reading makes cmd one that prints what it read.
func (c *cli) reading(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().VarP(&c.output, "output", "o", "table, json (what the API answered) or, for lists, ids")
	return cmd
}

// printer prints in the form that flags name.
func (c *cli) printer() *show.Printer {
	return &show.Printer{Out: c.Out, Notes: c.Err, Form: c.output, Env: c.Env}
}

// show prints v, for people as text does.
func (c *cli) show(v any, text func(w io.Writer)) error { return c.printer().Value(v, text) }

// client returns the client that flags and environment name.
func (c *cli) client() (*client.Client, error) {
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	token := first(c.token, c.Env("WEIR_TOKEN"))
	if token == "" {
		return nil, weir.E("", weir.Unauthenticated, "no token: set WEIR_TOKEN or give --token (weir serve prints one at its first start)")
	}
	return &client.Client{
		URL:     first(c.url, c.Env("WEIR_URL"), "http://127.0.0.1:9347"),
		Token:   token,
		Project: first(c.project, c.Env("WEIR_PROJECT")),
	}, nil
}

// calling is what a command does with a client.
type calling func(ctx context.Context, cl *client.Client, args []string) error

// call runs f with the client that flags and environment name.
func (c *cli) call(f calling) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		return f(cmd.Context(), cl, args)
	}
}

// group is a command that only has others below it.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = exactly()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// exactly wants so many arguments, and says which. What a command with others
// below it does not want is one of them, misspelt.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == len(names):
			return nil
		case len(names) == 0 && cmd.HasSubCommands():
			return unknown(cmd, args[0])
		case len(names) == 0:
			return weir.E("", weir.Invalid, "it takes no argument, and here is %q: %s", args[0], cmd.UseLine())
		}
		return weir.E("", weir.Invalid, "it takes %s, and here are %d arguments: %s", strings.Join(names, " "), len(args), cmd.UseLine())
	}
}

// unknown is the error that cmd has no command of a name.
func unknown(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	hint := ""
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %q?)", near[0])
	}
	return weir.E("", weir.Invalid, "%s has no command %q%s; %s --help lists them", cmd.CommandPath(), name, hint, cmd.CommandPath())
}

// helpCommand returns the command `help`, which, unlike cobra's, fails for what
// is no command.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND...]",
		Short:   "Tell more of a command",
		Long:    "Prints what COMMAND --help prints.",
		Example: "  weir help runs show",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknown(cmd, rest[0])
			}
			cmd.InitDefaultHelpFlag() // which Execute gives only to the command that it runs
			return cmd.Help()
		},
	}
}
