// Package files applies and exports project files for the command line: it
// reads and writes them, calls the API, and tells what changed or what is wrong
// where. It knows no flags.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
	"weir/internal/project/pack"
	"weir/internal/project/yaml"
)

// Apply is what is to be applied, and how.
type Apply struct {
	Paths  []string
	From   string // what the definitions are said to come from; "": the paths
	DryRun bool
	Prune  bool

	DropGroups bool // end at once the open groups that take no more events
}

// Run applies, and prints what changed. Problems of the files are told with
// their lines.
func (a *Apply) Run(ctx context.Context, cl *client.Client, p *show.Printer) error {
	roots, err := pack.Collect(a.Paths...)
	if err != nil {
		return err
	}
	f, err := body(roots)
	if err != nil {
		return err
	}
	f.Prune, f.DropGroups = a.Prune, a.DropGroups
	if a.From != "" {
		f.From = []string{a.From}
	}
	call := cl.Apply
	if a.DryRun {
		call = cl.DryRun
	}
	applied, err := call(ctx, f)
	if err != nil {
		return withLines(err, roots)
	}
	return p.Value(applied, func(w io.Writer) { a.tell(w, &applied) })
}

// body returns what is sent: one file as it is, more as a tar.
func body(roots []pack.Root) (client.File, error) {
	var f client.File
	for i := range roots {
		f.Roots = append(f.Roots, roots[i].Dir)
		f.From = append(f.From, roots[i].From)
	}
	if names := roots[0].Names(); len(roots) == 1 && len(names) == 1 {
		f.Name, f.Text, f.Roots = roots[0].Shown(names[0]), roots[0].Files[names[0]], nil
		return f, nil
	}
	text, err := pack.Write(roots)
	f.Text = text
	return f, err
}

func (a *Apply) tell(w io.Writer, applied *client.Applied) {
	for _, warning := range applied.Warnings {
		fmt.Fprintln(w, "warning:", show.Printable(warning))
	}
	for _, c := range applied.Changes {
		fmt.Fprintln(w, show.Printable(changeLine(c)+a.groupsLine(c.Groups)))
	}
	if len(applied.Changes) > 0 && applied.Unchanged > 0 {
		fmt.Fprintf(w, "= %d unchanged\n", applied.Unchanged)
	}
	for _, m := range applied.Missing {
		fmt.Fprintf(w, "%s %s is no more in the files, and stays: --prune removes it\n", m.Kind, show.Printable(m.Name))
	}
	switch {
	case len(applied.Changes) == 0:
		fmt.Fprintf(w, "nothing to change; revision %d\n", applied.Revision)
	case a.DryRun:
		fmt.Fprintf(w, "a dry run: nothing was changed; revision %d\n", applied.Revision)
	default:
		fmt.Fprintf(w, "applied as revision %d\n", applied.Revision)
	}
}

// changeLine tells one change: "~ trigger usage (match), was applied from
// old.yaml".
func changeLine(c client.Change) string {
	mark := map[string]string{"create": "+", "update": "~", "delete": "-"}[c.Action]
	line := fmt.Sprintf("%s %s %s", mark, c.Kind, c.Name)
	if len(c.Keys) > 0 {
		line += " (" + strings.Join(c.Keys, ", ") + ")"
	}
	if c.WasFrom != "" {
		line += ", was applied from " + c.WasFrom
	}
	return line
}

// groupsLine tells what becomes of n open groups: ", its 3 open groups take no
// more events".
func (a *Apply) groupsLine(n int) string {
	one, many := "takes no more events", "take no more events"
	if a.DropGroups {
		one, many = "is dropped", "are dropped"
	}
	switch {
	case n == 0:
		return ""
	case n == 1:
		return ", its open group " + one
	case n >= 1000:
		return ", its 1000 or more open groups " + many
	}
	return fmt.Sprintf(", its %d open groups %s", n, many)
}

var placed = regexp.MustCompile(`^(.*):(\d+):(\d+): (.*)$`)

// withLines puts below each problem that has a place the line that it is about,
// with a mark at the column.
func withLines(err error, roots []pack.Root) error {
	e, ok := errors.AsType[*weir.Error](err)
	if !ok || e.Code != weir.Invalid {
		return err
	}
	files := map[string]*yaml.Reader{}
	for i := range roots {
		for name, text := range roots[i].Files {
			shown := roots[i].Shown(name)
			files[shown] = &yaml.Reader{Name: shown, Text: string(text)}
		}
	}
	var told []string
	marked := false
	for problem := range strings.SplitSeq(e.Message, "\n") {
		if m := placed.FindStringSubmatch(problem); m != nil && files[m[1]] != nil {
			line, _ := strconv.Atoi(m[2])
			column, _ := strconv.Atoi(m[3])
			problem = strings.TrimSuffix(files[m[1]].Problem(&yaml.Node{Line: line, Column: column}, "", m[4]).Show(), "\n")
			marked = true
		}
		told = append(told, problem)
	}
	if !marked {
		return err
	}
	return weir.E("", weir.Invalid, "%s", strings.Join(told, "\n"))
}
