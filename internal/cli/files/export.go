package files

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir"
	"weir/client"
	"weir/internal/project/export"
)

// Export is what is to be written back as project files, and in which form.
type Export struct {
	Kind  weir.DefinitionKind // "": all
	Names []string            // nil: all
	JSON  bool                // instead of YAML
	Dir   string              // write files below it; "": one file to out
}

// Kinds are the kinds of definition that project files have.
var kinds = []weir.DefinitionKind{
	weir.KindSetting, weir.KindEventType, weir.KindSource, weir.KindTrigger, weir.KindPipeline, weir.KindDestination,
}

// Run reads what is in force and writes it.
func (e *Export) Run(ctx context.Context, cl *client.Client, out io.Writer) error {
	if e.Kind != "" && !slices.Contains(kinds, e.Kind) {
		return weir.E("", weir.Invalid, "%q is no kind of definition: use %s", e.Kind, list()).WithField("--kind")
	}
	all, err := e.read(ctx, cl)
	for n := 0; n < readTries && errors.Is(err, errMoved); n++ {
		all, err = e.read(ctx, cl)
	}
	if err != nil {
		return err
	}
	if e.Dir != "" {
		return e.directory(all)
	}
	write := export.YAML
	if e.JSON {
		write = export.JSON
	}
	text, err := write(all)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

func list() string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = string(kind)
	}
	return strings.Join(words, ", ")
}

// readTries is how often reading begins anew because somebody applied meanwhile.
const readTries = 5

var errMoved = weir.E("", weir.Conflict, "the project is applied to faster than it can be read: try again")

// read returns the definitions that are wanted, of one revision, with the steps
// that stand in triggers among them.
func (e *Export) read(ctx context.Context, cl *client.Client) ([]weir.Definition, error) {
	var all []weir.Definition
	found := map[string]bool{}
	var revision *uint64
	for _, kind := range kinds {
		page := client.Paging{Limit: 1000}
		for {
			part, err := cl.Definitions(ctx, kind, page)
			if err != nil {
				return nil, err
			}
			if revision = cmp.Or(revision, &part.Revision); part.Revision != *revision {
				return nil, errMoved
			}
			for _, d := range part.Items {
				trigger, _, inline := strings.Cut(d.Name, ".")
				inline = inline && kind == weir.KindPipeline
				switch {
				case inline && found[string(weir.KindTrigger)+" "+trigger]:
				case inline || !e.wants(d):
					continue
				}
				found[string(kind)+" "+d.Name], found[d.Name] = true, true
				all = append(all, d)
			}
			if page.After = part.Next; page.After == "" {
				break
			}
		}
	}
	for _, name := range e.Names {
		if !found[name] {
			return nil, weir.E("", weir.NotFound, "there is no definition %q", name)
		}
	}
	return all, nil
}

func (e *Export) wants(d weir.Definition) bool {
	return (e.Kind == "" || e.Kind == d.Kind) && (len(e.Names) == 0 || slices.Contains(e.Names, d.Name))
}

// directory writes files below Dir, in place of those of the same names.
func (e *Export) directory(all []weir.Definition) error {
	written, err := export.Directory(all)
	if err != nil {
		return err
	}
	for name, text := range written {
		path := filepath.Join(e.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return weir.E("", weir.Invalid, "%w", err).WithField("--dir")
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // project files have no secrets
			return weir.E("", weir.Invalid, "%w", err).WithField("--dir")
		}
	}
	return nil
}
