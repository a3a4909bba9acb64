package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
	"weir/internal/config"
)

func (c *cli) serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Runs a server on the directory --data, which it makes at its first start, until it
is told to stop: it then takes no more requests, lets what is under way end, and
writes what it has.

With --database it keeps everything in a PostgreSQL instead, which several such
processes share, each under its --node name, with the --duties that it has.

The first start makes an admin token and prints it once, or takes the one in
WEIR_ADMIN_TOKEN. Every setting can also stand in a YAML file (--config) or in the
environment; weir config print shows them all.

Steps may call public addresses only; --allow-destination allows others.`,
		Example: `  weir serve --data ./data
  weir serve --data /var/lib/weir --listen 0.0.0.0:9347 --allow-destination 10.0.0.0/8
  WEIR_DATABASE=postgres://weir:…@db/weir weir serve --node weir-2 --duties dispatch,work`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(cmd, file)
			if err != nil {
				return err
			}
			return c.Serve(cmd.Context(), cfg, c.Out, c.Err)
		},
	}
	bind(cmd, &file)
	return cmd
}

func (c *cli) migrateCommand() *cobra.Command {
	var file string
	var o MigrateOptions
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring a data directory up to date without serving",
		Long: `Applies the migrations that the state in --data or --database lacks, which weir serve would do
at its start. It refuses a directory that a server has, and what a newer weir made. With --status
it shows what the state has and lacks, with --sql it prints the text of what it lacks, to be read
first: both apply nothing, also while servers run. A database may be migrated while they run.`,
		Example: `  weir migrate --data /var/lib/weir --status
  weir migrate --data /var/lib/weir
  WEIR_DATABASE=postgres://weir@db/weir weir migrate --sql`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Status && o.SQL || o.Status && o.DryRun || o.SQL && o.DryRun {
				return weir.E("", weir.Invalid, "use one of --status, --sql and --dry-run")
			}
			cfg, err := c.load(cmd, file)
			if err != nil {
				return err
			}
			all, err := c.Migrate(cmd.Context(), cfg, o)
			if err != nil {
				return err
			}
			return c.migrations(all, o)
		},
	}
	bind(cmd, &file)
	cmd.Flags().BoolVar(&o.Status, "status", false, "show what the state has and lacks")
	cmd.Flags().BoolVar(&o.SQL, "sql", false, "print the text of what the state lacks, and apply nothing")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would be applied, and apply nothing")
	return c.reading(cmd)
}

// migrations shows all migrations, or those that were lacking.
func (c *cli) migrations(all []Migration, o MigrateOptions) error {
	if o.Status {
		return show.Pages(c.printer(), migrationList, show.Asked{All: true}, func(client.Paging) (client.Page[Migration], error) {
			return client.Page[Migration]{Items: all}, nil
		})
	}
	lacked := slices.DeleteFunc(all, func(m Migration) bool { return m.At != 0 })
	return c.show(client.Page[Migration]{Items: lacked}, func(w io.Writer) {
		for _, m := range lacked {
			switch {
			case o.SQL:
				fmt.Fprintf(w, "-- %s\n%s\n", m.Name, strings.TrimSpace(m.Text))
			case o.DryRun:
				fmt.Fprintf(w, "%s would be applied\n", m.Name)
			default:
				fmt.Fprintf(w, "%s is applied\n", m.Name)
			}
		}
		switch {
		case len(lacked) > 0:
		case o.SQL:
			fmt.Fprintln(w, "-- nothing to apply: the state is up to date")
		default:
			fmt.Fprintln(w, "nothing to apply: the state is up to date")
		}
	})
}

var migrationList = show.List[Migration]{
	Head: "MIGRATION STATE APPLIED BY",
	Row: func(m Migration) []string {
		if m.At == 0 {
			return []string{m.Name, "lacking", "", ""}
		}
		return []string{m.Name, "applied", m.At.String(), m.Version}
	},
	ID: func(m Migration) string { return m.Name },
}

func (c *cli) configCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "config",
		Short: "Show or check the server's configuration",
		Long: `Shows or checks the configuration that weir serve would run with, from the same file,
environment and flags.`,
		Example: "  weir config print\n  weir config check --config /etc/weir.yaml",
	})
	var printFile, checkFile string
	shown := &cobra.Command{
		Use:   "print",
		Short: "Print all settings as YAML, and what each is from",
		Long: `Prints every setting with the value it would have, in the form that --config reads, and
beside it what set it: a place in the file, a variable, a flag, or the default. Secrets are
masked.`,
		Example: "  WEIR_LISTEN=0.0.0.0:80 weir config print\n  weir config print --config /etc/weir.yaml -o json",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(cmd, printFile)
			if err != nil {
				return err
			}
			if c.output != show.JSON {
				return cfg.Print(c.Out)
			}
			return c.show(client.Page[config.Effective]{Items: cfg.Explain()}, nil)
		},
	}
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with the configuration, or nothing",
		Long: `Reads the configuration as weir serve would, from FILE or --config. Where it is wrong the exit
status is 2, and the error names the file and line, the variable or the flag. What is set and
has no effect is told of as a warning.`,
		Example: "  weir config check /etc/weir.yaml",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1 || len(args) == 1 && checkFile != "":
				return weir.E("", weir.Invalid, "it takes one FILE: %s", cmd.UseLine())
			case len(args) == 1:
				checkFile = args[0]
			}
			cfg, err := c.load(cmd, checkFile)
			if err != nil {
				return err
			}
			for _, warning := range cfg.Warnings() {
				c.printer().Note("warning: %s", warning)
			}
			return nil
		},
	}
	bind(shown, &printFile)
	bind(check, &checkFile)
	cmd.AddCommand(c.reading(shown), check)
	return cmd
}

// bind adds the flags of the server's configuration.
func bind(cmd *cobra.Command, file *string) {
	defaults := config.Default()
	defaults.Flags(cmd.Flags())
	cmd.Flags().StringVar(file, "config", "", "YAML file with settings (WEIR_CONFIG)")
}

func (c *cli) load(cmd *cobra.Command, file string) (config.Config, error) {
	cfg, err := config.Load(file, c.Env)
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.Override(cmd.Flags())
}

func (c *cli) demoCommand() *cobra.Command {
	var once bool
	var file string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on real input, to watch",
		Long: `Starts a real server in a temporary directory on loopback, applies the project in
examples/github, delivers real GitHub webhooks to it with valid signatures, and
shows what came of them, read back through the API. The server stays up until
Ctrl-C; with --once it ends, and the exit status is 0 only if all was seen.`,
		Example: `  weir demo
  weir demo --once -o json
  weir demo --once --file my-weir.yaml`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := DemoOptions{Once: once, JSON: c.output == show.JSON, Out: c.Out}
			if file != "" {
				text, err := os.ReadFile(file)
				if err != nil {
					return weir.E("", weir.Invalid, "%w", err).WithField("--file")
				}
				o.File = text
			}
			return c.Demo(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end when all was seen")
	cmd.Flags().StringVar(&file, "file", "", "project file in place of the example's")
	cmd.Flags().VarP(&c.output, "output", "o", "json: the report with all ids")
	return cmd
}

func (c *cli) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Long:    "Prints the version of this program. It asks no server.",
		Example: "  weir version -o json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			return c.show(map[string]string{"version": c.Version}, func(w io.Writer) {
				_, _ = io.WriteString(w, c.Version+"\n")
			})
		},
	}
	return c.reading(cmd)
}
