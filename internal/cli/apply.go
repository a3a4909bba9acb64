package cli

import (
	"context"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/docs"
	"weir/internal/cli/files"
)

func (c *cli) applyCommand() *cobra.Command {
	var a files.Apply
	var groups string
	cmd := &cobra.Command{
		Use:   "apply PATH...",
		Short: "Apply project files",
		Long: `Checks project files as a whole and applies what they define as one order: all of it or
nothing. PATH is a file, or a directory, of which all .yaml and .yml files below it are
taken that are not hidden, with the files that they name.

It tells what is new (+), changed (~, with its keys), or removed (-). What the files do not
name stays as it is; with --prune, what was applied from the same PATH before is removed.

Errors name file, line and column; the exit status is 2.`,
		Example: `  weir apply weir.yaml
  weir apply examples/shop --dry-run
  weir apply . --from shop --prune
  weir apply weir.yaml --groups drop`,
		Args: atLeastOne("PATH"),
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			switch groups {
			case "keep", "drop":
				a.DropGroups = groups == "drop"
			default:
				return weir.E("", weir.Invalid, "%q is neither keep nor drop", groups).WithField("--groups")
			}
			a.Paths = args
			return a.Run(ctx, cl, c.printer())
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&a.DryRun, "dry-run", false, "say what would change, and change nothing")
	f.BoolVar(&a.Prune, "prune", false, "remove what was applied from there before and is no more in the files")
	f.StringVar(&a.From, "from", "", "what the definitions are remembered to come from (PATH as given)")
	f.StringVar(&groups, "groups", "keep", "what becomes of open groups of triggers that go or change in match, group_by or fire: keep (they go on to their ends) or drop")
	return c.reading(c.remote(cmd))
}

func (c *cli) exportCommand() *cobra.Command {
	var e files.Export
	var kind string
	form := exportForm("yaml")
	cmd := &cobra.Command{
		Use:   "export [NAME...]",
		Short: "Write what is in force as project files",
		Long: `Writes the definitions in force, or those of the given names, as a project file that means
the same. Steps that stand in a trigger are written there. With --dir each kind of definition
is a file of its own, and so is each schema; files of the same names are replaced.`,
		Example: `  weir export > weir.yaml
  weir export --kind trigger usage
  weir export --dir project`,
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			e.Kind, e.JSON = weir.DefinitionKind(kind), form == "json"
			if e.JSON && e.Dir != "" {
				return weir.E("", weir.Invalid, "the files below it are YAML: leave out -o json").WithField("--dir")
			}
			e.Names = args
			return e.Run(ctx, cl, c.Out)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "", "only of this kind: trigger, pipeline, source, destination, event or setting")
	f.StringVar(&e.Dir, "dir", "", "write files below this directory")
	f.VarP(&form, "output", "o", "yaml or json")
	return c.remote(cmd)
}

// exportForm is the value of the flag -o of export.
type exportForm string

// String, Set and Type make it one.
func (f *exportForm) String() string { return string(*f) }

func (f *exportForm) Set(s string) error {
	if s != "yaml" && s != "json" {
		return weir.E("", weir.Invalid, "use yaml or json")
	}
	*f = exportForm(s)
	return nil
}

func (f *exportForm) Type() string { return "string" }

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of project files",
		Long: `Prints the JSON Schema (2020-12) of project files, for editors that complete and check
them. What it cannot say, such as whether an expression is right, weir apply --dry-run does.`,
		Example: "  weir schema > weir.schema.json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, err := c.Out.Write(docs.ProjectSchema)
			return err
		},
	}
}

// atLeastOne wants one argument or more.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return exactly(name)(cmd, args)
		}
		return nil
	}
}
