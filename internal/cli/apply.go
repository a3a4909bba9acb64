package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

func (c *cli) applyCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "apply PATH",
		Short: "Apply a project file",
		Long: `Checks a project file as a whole and applies what it defines as one order: all of it
or nothing. PATH is a file, or a directory with one .yaml file in it. What the file does not
name stays as it is.

Errors name file, line and column; the exit status is 2.`,
		Example: `  weir apply weir.yaml
  weir apply examples/github --dry-run`,
		Args: onePath,
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			path, text, err := projectFile(args[0])
			if err != nil {
				return err
			}
			return c.apply(ctx, cl, client.File{Name: path, Text: text}, dryRun)
		}),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would change, and change nothing")
	return c.reading(c.remote(cmd))
}

// onePath wants one path: several files cannot be sent as one order.
func onePath(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return weir.E("", weir.Invalid, "one file can be applied at a time, and here are %d paths: an apply is one order, all of it or nothing", len(args))
	}
	return exactly("PATH")(cmd, args)
}

func (c *cli) apply(ctx context.Context, cl *client.Client, f client.File, dryRun bool) error {
	call := cl.Apply
	if dryRun {
		call = cl.DryRun
	}
	applied, err := call(ctx, f)
	if err != nil {
		return withLines(err, f)
	}
	return c.show(applied, func(w io.Writer) {
		for _, warning := range applied.Warnings {
			fmt.Fprintln(w, "warning:", warning)
		}
		marks := map[string]string{"create": "+", "update": "~", "delete": "-"}
		for _, change := range applied.Changes {
			fmt.Fprintf(w, "%s %s %s\n", marks[change.Action], change.Kind, change.Name)
		}
		switch {
		case len(applied.Changes) == 0:
			fmt.Fprintf(w, "nothing to change; revision %d\n", applied.Revision)
		case dryRun:
			fmt.Fprintf(w, "a dry run: nothing was changed; revision %d\n", applied.Revision)
		default:
			fmt.Fprintf(w, "applied as revision %d\n", applied.Revision)
		}
	})
}

// projectFile reads a file, or the only YAML file of a directory.
func projectFile(path string) (name string, text []byte, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		found, err := yamlFiles(path)
		if err != nil {
			return "", nil, weir.E("", weir.Invalid, "%w", err)
		}
		if len(found) != 1 {
			return "", nil, weir.E("", weir.Invalid, "%s has %d .yaml files, and one can be applied at a time: name it", path, len(found))
		}
		path = found[0]
	}
	text, err = os.ReadFile(path)
	if err != nil {
		return "", nil, weir.E("", weir.Invalid, "%w", err)
	}
	return path, text, nil
}

// yamlFiles returns the paths of the YAML files that lie in a directory.
func yamlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if !e.IsDir() && filepath.Ext(e.Name()) == ".yaml" {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found, nil
}

var placed = regexp.MustCompile(`^(.*):(\d+):(\d+): `)

// withLines puts below each problem that has a place the line that it is about,
// with a mark at the column.
func withLines(err error, f client.File) error {
	e, ok := errors.AsType[*weir.Error](err)
	if !ok || e.Code != weir.Invalid {
		return err
	}
	lines := strings.Split(string(f.Text), "\n")
	var b strings.Builder
	marked := false
	for _, problem := range strings.Split(e.Message, "\n") {
		b.WriteString("\n" + problem)
		m := placed.FindStringSubmatch(problem)
		if m == nil || m[1] != f.Name {
			continue
		}
		line, _ := strconv.Atoi(m[2])
		column, _ := strconv.Atoi(m[3])
		if line < 1 || line > len(lines) || column < 1 || column > len(lines[line-1])+1 {
			continue
		}
		fmt.Fprintf(&b, "\n    %s\n    %s^", show.Printable(lines[line-1]), strings.Repeat(" ", column-1))
		marked = true
	}
	if !marked {
		return err
	}
	return weir.E("", weir.Invalid, "%s", strings.TrimPrefix(b.String(), "\n"))
}
