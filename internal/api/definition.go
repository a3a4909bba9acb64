package api

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"weir"
	"weir/client"
	"weir/internal/auth"
	"weir/internal/ingest"
	"weir/internal/project"
)

type applyInput struct {
	DryRun      bool   `query:"dry_run" doc:"Answer what would change, and change nothing."`
	File        string `query:"file" default:"weir.yaml" maxLength:"1024" doc:"What errors call the file."`
	ContentType string `header:"Content-Type"`
	Match       string `header:"If-Match" doc:"The revision, in quotes, at which the project must stand."`
	RawBody     []byte `contentType:"application/yaml"`
}

func (a *API) registerDefinitions() {
	register(a, operation{
		id: "apply", method: http.MethodPost, path: "/v1/apply", role: auth.Editor, body: project.MaxFileSize,
		summary: "Install what a project file defines, all of it or nothing",
	}, a.apply)
	for _, kind := range []weir.DefinitionKind{weir.KindTrigger, weir.KindPipeline, weir.KindSource, weir.KindDestination} {
		a.registerKind(kind)
	}
}

func (a *API) registerKind(kind weir.DefinitionKind) {
	register(a, operation{
		id: "list-" + string(kind) + "s", method: http.MethodGet, path: "/v1/" + string(kind) + "s", role: auth.Viewer,
		summary: "List the " + string(kind) + "s in force, by name",
	}, func(ctx context.Context, in *Paging) (*answer[client.Page[weir.Definition]], error) {
		all, _, err := a.State.Definitions(ctx, callerOf(ctx).project)
		if err != nil {
			return nil, err
		}
		return answered(pageOf(all, kind, *in), nil)
	})
	register(a, operation{
		id: "get-" + string(kind), method: http.MethodGet, path: "/v1/" + string(kind) + "s/{name}", role: auth.Viewer,
		summary: "Show the " + string(kind) + " in force",
	}, func(ctx context.Context, in *NamePath) (*answer[client.DefinitionInForce], error) {
		all, _, err := a.State.Definitions(ctx, callerOf(ctx).project)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			if d.Kind == kind && d.Name == in.Name {
				return answered(a.counted(ctx, d))
			}
		}
		return nil, weir.E("", weir.NotFound, "there is no %s %q", kind, in.Name)
	})
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

// pageOf returns the definitions of a kind behind a name; they are sorted.
func pageOf(all []weir.Definition, kind weir.DefinitionKind, p Paging) client.Page[weir.Definition] {
	page := client.Page[weir.Definition]{Items: []weir.Definition{}}
	for _, d := range all {
		if d.Kind != kind || d.Name <= p.After {
			continue
		}
		if len(page.Items) == p.Limit {
			page.Next = page.Items[p.Limit-1].Name
			break
		}
		page.Items = append(page.Items, d)
	}
	return page
}

// applyTries is how often an apply begins anew because another was first.
const applyTries = 5

func (a *API) apply(ctx context.Context, in *applyInput) (*ordered[client.Applied], error) {
	switch kind, _, err := mime.ParseMediaType(in.ContentType); {
	case err == nil && (kind == "application/yaml" || kind == "application/x-yaml" || kind == "text/yaml"):
	default:
		e := weir.E("", weir.Invalid, "content type %q is not taken: use application/yaml", in.ContentType)
		e.Err = ingest.ErrContentType
		return nil, e
	}
	expect, err := revisionOf(in.Match)
	if err != nil {
		return nil, err
	}
	set, _ := project.Parse(project.File{Name: in.File, Text: in.RawBody}) // Validate tells its problems too
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	for try := 1; ; try++ {
		out, err := a.applyOnce(ctx, set, in, expect)
		if weir.CodeOf(err) == weir.Invalid {
			a.Door.Refuse(ingest.Entry{Project: callerOf(ctx).project, Door: "apply"}, nil, err)
		}
		if weir.CodeOf(err) != weir.Conflict || expect != "" || try == applyTries {
			return out, err
		}
	}
}

// applyOnce validates against what is in force now and gives the order.
func (a *API) applyOnce(ctx context.Context, set *project.Set, in *applyInput, expect string) (*ordered[client.Applied], error) {
	c := callerOf(ctx)
	inForce, revision, err := a.State.Definitions(ctx, c.project)
	if err != nil {
		return nil, err
	}
	if now := strconv.FormatUint(revision, 10); expect != "" && expect != now {
		return nil, weir.E("", weir.Conflict, "the project stands at revision %s, not %s", now, expect).WithField("If-Match")
	}
	diff := set.Diff(inForce, project.Keep)
	warnings, err := set.Validate(diff)
	if err != nil {
		return nil, allProblems(err)
	}
	out := &ordered[client.Applied]{Status: http.StatusOK, Body: applied(diff, warnings)}
	out.Body.Revision = revision
	if in.DryRun || len(diff.Changes) == 0 {
		return out, nil
	}
	out.Body.Revision++
	order := &weir.Apply{Revision: revision + 1, By: c.Name}
	order.Put, order.Delete = diff.Order()
	seq, err := a.Orders.Apply(ctx, c.project, order)
	out.Seq = &seq
	if out.Status, err = orderStatus(seq, err); err != nil {
		return nil, err
	}
	return out, nil
}

// applied tells what an apply changes.
func applied(diff *project.Difference, warnings project.Problems) client.Applied {
	out := client.Applied{Changes: []client.Change{}, Warnings: []string{}}
	for _, c := range diff.Changes {
		action := "update"
		switch {
		case c.Before == nil:
			action = "create"
		case c.Body == nil:
			action = "delete"
		}
		out.Changes = append(out.Changes, client.Change{Action: action, Kind: c.Kind, Name: c.Name})
	}
	for _, w := range warnings {
		out.Warnings = append(out.Warnings, w.String())
	}
	return out
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
