package api

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/client"
	"weir/internal/auth"
	"weir/internal/ingest"
	"weir/internal/project"
	"weir/internal/project/pack"
)

type applyInput struct {
	DryRun      bool     `query:"dry_run" doc:"Answer what would change, and change nothing."`
	Groups      string   `query:"groups" enum:"keep,drop" default:"keep" doc:"What becomes of open groups that take no more events: they go on to their ends, or end at once as dropped."`
	Prune       bool     `query:"prune" doc:"Remove what came from the same place before and is not in the files."`
	File        string   `query:"file" default:"weir.yaml" maxLength:"1024" doc:"What errors call the one file."`
	Roots       []string `query:"root,explode" maxItems:"100" doc:"The directory that names in the tar are below, for errors. Of several, each name begins with the place of one, from 0."`
	From        []string `query:"from,explode" maxItems:"100" doc:"What the definitions are said to come from: one for all, or one per root. Without it that is file, or root."`
	ContentType string   `header:"Content-Type"`
	Match       string   `header:"If-Match" doc:"The revision, in quotes, at which the project must stand."`
	RawBody     []byte   `contentType:"application/yaml"`
}

func (a *API) registerDefinitions() {
	register(a, operation{
		id: "apply", method: http.MethodPost, path: "/v1/apply", role: auth.Editor, body: pack.MaxSize,
		summary: "Install what project files define, all of it or nothing",
	}, a.apply)
	content := a.huma.OpenAPI().Paths["/v1/apply"].Post.RequestBody.Content
	content[client.TarType] = content["application/yaml"]
	kinds := []weir.DefinitionKind{
		weir.KindTrigger, weir.KindPipeline, weir.KindSource, weir.KindDestination, weir.KindEventType, weir.KindSetting,
	}
	for _, kind := range kinds {
		a.registerKind(kind)
	}
}

func (a *API) registerKind(kind weir.DefinitionKind) {
	path := client.DefinitionPath(kind)
	noun := strings.TrimSuffix(strings.TrimPrefix(path, "/v1/"), "s")
	register(a, operation{
		id: "list-" + noun + "s", method: http.MethodGet, path: path, role: auth.Viewer,
		summary: "List the " + noun + "s in force, by name",
	}, func(ctx context.Context, in *Paging) (*answer[client.Page[weir.Definition]], error) {
		all, revision, err := a.State.Definitions(ctx, callerOf(ctx).project)
		if err != nil {
			return nil, err
		}
		page, err := pageOf(all, kind, *in)
		page.Revision = revision
		return answered(page, err)
	})
	register(a, operation{
		id: "get-" + noun, method: http.MethodGet, path: path + "/{name}", role: auth.Viewer,
		summary: "Show the " + noun + " in force",
	}, func(ctx context.Context, in *NamePath) (*found, error) {
		all, _, err := a.State.Definitions(ctx, callerOf(ctx).project)
		if err != nil {
			return nil, err
		}
		d := named(all, kind, in.Name)
		if d == nil {
			return nil, weir.E("", weir.NotFound, "there is no %s %q", noun, in.Name)
		}
		shown, err := a.counted(ctx, *d)
		return &found{tag(d.Revision), shown}, err
	})
	register(a, operation{
		id: "put-" + noun, method: http.MethodPut, path: path + "/{name}", role: auth.Editor,
		summary: "Install the " + noun + ": the body is what a project file has below its name, as YAML or JSON",
	}, func(ctx context.Context, in *putInput) (*ordered[client.Applied], error) {
		set := project.ParseOne(kind, in.Name, in.RawBody)
		return a.install(ctx, wish{match: in.Match, of: &client.NamedDefinition{Kind: kind, Name: in.Name}, set: set})
	})
	register(a, operation{
		id: "delete-" + noun, method: http.MethodDelete, path: path + "/{name}", role: auth.Editor,
		summary: "Remove the " + noun + ", unless another definition names it",
	}, func(ctx context.Context, in *deleteInput) (*ordered[client.Applied], error) {
		return a.install(ctx, wish{match: in.Match, of: &client.NamedDefinition{Kind: kind, Name: in.Name}, remove: true})
	})
}

// found is a definition with its revision as the ETag.
type found struct {
	ETag string `header:"ETag" doc:"The definition's revision."`
	Body client.DefinitionInForce
}

type putInput struct {
	NamePath
	Match   string `header:"If-Match" doc:"The revision, in quotes, at which the definition must stand, as the ETag had it; \"0\": it must not be there."`
	RawBody []byte `contentType:"application/yaml"`
}

type deleteInput struct {
	NamePath
	Match string `header:"If-Match" doc:"The revision, in quotes, at which the definition must stand, as the ETag had it; \"0\": it must not be there."`
}

func named(all []weir.Definition, kind weir.DefinitionKind, name string) *weir.Definition {
	i := slices.IndexFunc(all, func(d weir.Definition) bool { return d.Kind == kind && d.Name == name })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// counted adds a trigger's counters.
func (a *API) counted(ctx context.Context, d weir.Definition) (client.DefinitionInForce, error) {
	shown := client.DefinitionInForce{Definition: d}
	if d.Kind != weir.KindTrigger {
		return shown, nil
	}
	all, err := a.State.Counters(ctx, callerOf(ctx).project)
	shown.Counters = all[d.Name]
	return shown, err
}

// pageOf returns the definitions of a kind behind a place, which is "KIND:NAME";
// they are sorted.
func pageOf(all []weir.Definition, kind weir.DefinitionKind, p Paging) (client.Page[weir.Definition], error) {
	page := client.Page[weir.Definition]{Items: []weir.Definition{}}
	after, ours := strings.CutPrefix(p.After, string(kind)+":")
	if p.After != "" && !ours {
		return page, weir.E("", weir.Invalid, "%q is the next of no answer", p.After).WithField("after")
	}
	for _, d := range all {
		if d.Kind != kind || d.Name <= after {
			continue
		}
		if len(page.Items) == p.Limit {
			page.Next = string(kind) + ":" + page.Items[p.Limit-1].Name
			break
		}
		page.Items = append(page.Items, d)
	}
	return page, nil
}

// applyTries is how often an apply begins anew because another was first.
const applyTries = 5

func (a *API) apply(ctx context.Context, in *applyInput) (*ordered[client.Applied], error) {
	files, err := in.files()
	if err != nil {
		a.refuseApply(ctx, err)
		return nil, err
	}
	set, _ := project.Parse(files...) // Validate tells its problems too
	w := wish{match: in.Match, set: set, missing: project.Keep, dryRun: in.DryRun, dropGroups: in.Groups == "drop"}
	if in.Prune {
		w.missing = project.Prune
	}
	return a.install(ctx, w)
}

// wish is what somebody wants to be in force.
type wish struct {
	match      string                  // If-Match: the revision that must stand, of the project or the definition
	of         *client.NamedDefinition // the one definition that it is about; nil: files
	set        *project.Set
	remove     bool // of, in place of installing set
	missing    project.Missing
	dryRun     bool
	dropGroups bool
}

// install makes a wish come true as one order, and begins anew where another
// apply came first.
func (a *API) install(ctx context.Context, w wish) (*ordered[client.Applied], error) {
	expect, err := revisionOf(w.match)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	for try := 1; ; try++ {
		out, err := a.installOnce(ctx, w, expect)
		if weir.CodeOf(err) == weir.Invalid {
			a.refuseApply(ctx, err)
		}
		if weir.CodeOf(err) != weir.Conflict || expect != "" || try == applyTries {
			return out, err
		}
	}
}

func (a *API) refuseApply(ctx context.Context, err error) {
	a.Door.Refuse(ingest.Entry{Project: callerOf(ctx).project, Door: "apply"}, nil, err)
}

// files returns the project files of the body.
func (in *applyInput) files() ([]project.File, error) {
	kind, _, err := mime.ParseMediaType(in.ContentType)
	switch {
	case err == nil && (kind == "application/yaml" || kind == "application/x-yaml" || kind == "text/yaml"):
		from := append(in.From, in.File)[0]
		return []project.File{{Name: in.File, Text: in.RawBody, From: from, Path: path.Base(in.File)}}, nil
	case err == nil && (kind == client.TarType || kind == "application/tar"):
	default:
		e := weir.E("", weir.Invalid, "content type %q is not taken: use application/yaml or %s", in.ContentType, client.TarType)
		e.Err = ingest.ErrContentType
		return nil, e
	}
	roots, err := in.roots()
	if err != nil {
		return nil, err
	}
	if err := pack.Read(in.RawBody, roots); err != nil {
		return nil, err
	}
	files := project.Files(roots)
	if len(files) == 0 {
		return nil, weir.E("", weir.Invalid, "the tar has no .yaml file")
	}
	return files, nil
}

// roots returns the roots of a tar, without their files.
func (in *applyInput) roots() ([]pack.Root, error) {
	dirs := in.Roots
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	froms := in.From
	if len(froms) == 0 {
		froms = in.Roots
	}
	if n := len(froms); n > 1 && n != len(dirs) {
		return nil, weir.E("", weir.Invalid, "%d froms for %d roots: give one for all, or one per root", n, len(dirs)).WithField("from")
	}
	if in.Prune && len(froms) == 0 {
		return nil, weir.E("", weir.Invalid, "what came from where is to be pruned? give from or root").WithField("from")
	}
	roots := make([]pack.Root, len(dirs))
	for i, dir := range dirs {
		roots[i].Dir = dir
		if len(froms) > 0 {
			roots[i].From = froms[min(i, len(froms)-1)]
		}
	}
	return roots, nil
}

// installOnce validates against what is in force now and gives the order.
func (a *API) installOnce(ctx context.Context, w wish, expect string) (*ordered[client.Applied], error) {
	c := callerOf(ctx)
	inForce, revision, err := a.State.Definitions(ctx, c.project)
	if err != nil {
		return nil, err
	}
	if err := w.stands(expect, inForce, revision); err != nil {
		return nil, err
	}
	diff, warnings, err := w.difference(inForce)
	if err != nil {
		return nil, allProblems(err)
	}
	out := &ordered[client.Applied]{Status: http.StatusOK}
	if out.Body, err = a.applied(ctx, diff, warnings); err != nil {
		return nil, err
	}
	out.Body.Revision = revision
	if w.dryRun || len(diff.Changes) == 0 {
		return out, nil
	}
	out.Body.Revision++
	order := &weir.Apply{Revision: revision + 1, By: c.Name, DropGroups: w.dropGroups}
	order.Put, order.Delete = diff.Order()
	seq, err := a.Orders.Apply(ctx, c.project, order)
	out.Seq = &seq
	if out.Status, err = orderStatus(seq, err); err != nil {
		return nil, err
	}
	return out, nil
}

// stands checks the revision that is expected, "" for any.
func (w *wish) stands(expect string, inForce []weir.Definition, revision uint64) error {
	what := "the project"
	if w.of != nil {
		what, revision = w.of.Name, 0
		if d := named(inForce, w.of.Kind, w.of.Name); d != nil {
			revision = d.Revision
		}
	}
	if now := strconv.FormatUint(revision, 10); expect != "" && expect != now {
		return weir.E("", weir.Conflict, "%s stands at revision %s, not %s", what, now, expect).WithField("If-Match")
	}
	return nil
}

func (w *wish) difference(inForce []weir.Definition) (*project.Difference, project.Problems, error) {
	set, diff := w.set, (*project.Difference)(nil)
	if w.remove {
		gone, err := project.Remove(inForce, w.of.Kind, w.of.Name)
		if err != nil {
			return nil, nil, err
		}
		set, diff = &project.Set{}, gone
	} else {
		diff = set.Diff(inForce, w.missing)
	}
	warnings, err := set.Validate(diff)
	return diff, warnings, err
}

// applied tells what an apply changes.
func (a *API) applied(ctx context.Context, diff *project.Difference, warnings project.Problems) (client.Applied, error) {
	out := client.Applied{
		Changes: []client.Change{}, Unchanged: diff.Unchanged, Missing: []client.NamedDefinition{}, Warnings: []string{},
	}
	for _, c := range diff.Changes {
		change := client.Change{Action: "update", Kind: c.Kind, Name: c.Name, Keys: c.Keys, WasFrom: c.Moved()}
		switch {
		case c.Before == nil:
			change.Action = "create"
		case c.Body == nil:
			change.Action = "delete"
		}
		if c.Shape {
			open, err := a.Reader.Groups(ctx, callerOf(ctx).project, client.GroupFilter{Trigger: c.Name}, client.Paging{Limit: 1000})
			if err != nil {
				return out, err
			}
			change.Groups = len(open.Items)
		}
		out.Changes = append(out.Changes, change)
	}
	for _, m := range diff.Missing {
		out.Missing = append(out.Missing, client.NamedDefinition{Kind: m.Kind, Name: m.Name})
	}
	for _, w := range warnings {
		out.Warnings = append(out.Warnings, w.String())
	}
	return out, nil
}

// allProblems makes one error of all that is wrong in project files, a line for
// each.
func allProblems(err error) error {
	ps, ok := errors.AsType[project.Problems](err)
	if !ok {
		return err
	}
	return weir.E("", weir.Invalid, "%s", ps.Error()).WithField(ps[0].Field)
}

// tag writes a revision as an ETag.
func tag(revision uint64) string { return strconv.Quote(strconv.FormatUint(revision, 10)) }

// revisionOf reads If-Match: a revision in quotes, or nothing.
func revisionOf(match string) (string, error) {
	if match == "" {
		return "", nil
	}
	text := strings.Trim(match, `"`)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || match != strconv.Quote(text) {
		return "", weir.E("", weir.Invalid, `%q is no revision in quotes, such as "12"`, match).WithField("If-Match")
	}
	return strconv.FormatUint(n, 10), nil
}
