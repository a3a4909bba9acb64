package api

import (
	"context"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"time"

	"weir"
	"weir/client"
	"weir/internal/auth"
)

type setSecretInput struct {
	NamePath
	Body client.SecretValue
}

// registerControl adds what is about the server itself and its control data.
func (a *API) registerControl() {
	a.registerSecrets()
	a.registerNodes()
	a.registerProjects()
	register(a, operation{
		id: "get-version", method: http.MethodGet, path: "/v1/version", role: auth.Viewer, summary: "Tell what the server is",
	}, func(context.Context, *struct{}) (*answer[client.Version], error) {
		return answered(client.Version{Version: a.Version, Go: runtime.Version()}, nil)
	})
}

func (a *API) registerSecrets() {
	register(a, operation{
		id: "list-secrets", method: http.MethodGet, path: "/v1/secrets", role: auth.Admin, summary: "List the names of secrets",
	}, func(ctx context.Context, _ *struct{}) (*answer[client.Page[client.Secret]], error) {
		names, err := a.Secrets.Names(ctx, callerOf(ctx).project)
		page := client.Page[client.Secret]{Items: make([]client.Secret, len(names))}
		for i, name := range names {
			page.Items[i].Name = name
		}
		return answered(page, err)
	})
	register(a, operation{
		id: "set-secret", method: http.MethodPut, path: "/v1/secrets/{name}", role: auth.Admin, status: http.StatusNoContent,
		summary: "Set or replace a secret",
	}, func(ctx context.Context, in *setSecretInput) (*struct{}, error) {
		return nil, a.Secrets.Set(ctx, callerOf(ctx).project, in.Name, []byte(in.Body.Value))
	})
	register(a, operation{
		id: "delete-secret", method: http.MethodDelete, path: "/v1/secrets/{name}", role: auth.Admin, status: http.StatusNoContent,
		summary: "Remove a secret",
	}, func(ctx context.Context, in *NamePath) (*struct{}, error) {
		return nil, a.Secrets.Delete(ctx, callerOf(ctx).project, in.Name)
	})
}

func (a *API) registerNodes() {
	register(a, operation{
		id: "list-nodes", method: http.MethodGet, path: "/v1/nodes", server: true, summary: "List the processes of the server, by name",
	}, func(ctx context.Context, _ *struct{}) (*answer[client.Page[client.Node]], error) {
		nodes, err := a.Nodes.Nodes(ctx)
		page := client.Page[client.Node]{Items: make([]client.Node, len(nodes))}
		for i := range nodes {
			page.Items[i] = nodeShown(&nodes[i])
		}
		return answered(page, err)
	})
	register(a, operation{
		id: "get-node", method: http.MethodGet, path: "/v1/nodes/{name}", server: true, summary: "Show a process of the server",
	}, func(ctx context.Context, in *NamePath) (*answer[client.Node], error) {
		nodes, err := a.Nodes.Nodes(ctx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(nodes, func(n weir.Node) bool { return n.Name == in.Name })
		if i < 0 {
			return nil, weir.E("", weir.NotFound, "there is no node %q", in.Name).WithField("name")
		}
		return answered(nodeShown(&nodes[i]), nil)
	})
	register(a, operation{
		id: "drain-node", method: http.MethodPost, path: "/v1/nodes/{name}/drain", server: true, status: http.StatusNoContent,
		summary: "Tell a node to give up what it alone does and to take no more; it lives on until it is stopped",
	}, func(ctx context.Context, in *NamePath) (*struct{}, error) { return nil, a.Nodes.Drain(ctx, in.Name) })
	register(a, operation{
		id: "undrain-node", method: http.MethodDelete, path: "/v1/nodes/{name}/drain", server: true, status: http.StatusNoContent,
		summary: "Let a node that was told to drain take part again",
	}, func(ctx context.Context, in *NamePath) (*struct{}, error) { return nil, a.Nodes.Undrain(ctx, in.Name) })
}

func nodeShown(n *weir.Node) client.Node {
	state := "alive"
	switch {
	case n.Dead:
		state = "dead"
	case n.Draining:
		state = "draining"
	}
	return client.Node{
		Name: n.Name, State: state, Duties: append([]weir.Duty{}, n.Duties...), Holds: append([]string{}, n.Holds...),
		Version: n.Version, Started: n.Started, Seen: n.Seen, Free: n.Free, Tries: n.Share,
	}
}

type putProjectInput struct {
	NamePath
	Match string `header:"If-Match" doc:"\"0\": it must not be there; *: it must be there."`
	Body  client.ProjectSettings
}

type deleteProjectInput struct {
	NamePath
	Confirm string `query:"confirm" required:"true" doc:"The name of the project, once more."`
}

type eraseInput struct{ Body client.Subject }

// longest is the longest time that a project may keep what happened.
const longest = weir.Duration(36500 * 24 * time.Hour)

// projectName is what projects may be named: what stands in a path and in a header.
var projectName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

func (a *API) registerProjects() {
	register(a, operation{
		id: "list-projects", method: http.MethodGet, path: "/v1/projects", server: true, summary: "List the projects, by name",
	}, func(ctx context.Context, _ *struct{}) (*answer[client.Page[client.Project]], error) {
		all, err := a.Projects.Projects(ctx)
		page := client.Page[client.Project]{Items: make([]client.Project, len(all))}
		for i, p := range all {
			page.Items[i] = a.projectShown(p)
		}
		return answered(page, err)
	})
	register(a, operation{
		id: "get-project", method: http.MethodGet, path: "/v1/projects/{name}", server: true, summary: "Show a project",
	}, func(ctx context.Context, in *NamePath) (*answer[client.Project], error) {
		p, err := a.State.ProjectByName(ctx, in.Name)
		return answered(a.projectShown(p), err)
	})
	register(a, operation{
		id: "put-project", method: http.MethodPut, path: "/v1/projects/{name}", server: true,
		summary: "Make a project, or say how long it keeps what happened",
	}, a.putProject)
	register(a, operation{
		id: "delete-project", method: http.MethodDelete, path: "/v1/projects/{name}", server: true, status: http.StatusNoContent,
		summary: "Delete a project with everything in it, for ever: nobody finds it from now on, and its records are removed bit by bit",
	}, a.deleteProject)
	a.registerErasures()
}

func (a *API) projectShown(p weir.Project) client.Project {
	shown := client.Project{Name: p.Name, Revision: p.Revision, Retention: p.Retention}
	if p.Retention == 0 {
		shown.Retention, shown.Inherited = a.Keeps.Retention, true
	}
	return shown
}

func (a *API) putProject(ctx context.Context, in *putProjectInput) (*answer[client.Project], error) {
	keep, err := a.retention(in.Body.Retention)
	if err != nil {
		return nil, err
	}
	p, err := a.State.ProjectByName(ctx, in.Name)
	switch {
	case err == nil && in.Match == `"0"`:
		return nil, weir.E("", weir.Conflict, "there is a project %q already", in.Name).WithField("name")
	case weir.CodeOf(err) == weir.NotFound && in.Match != "*":
		if !projectName.MatchString(in.Name) {
			return nil, weir.E("", weir.Invalid, "%q is no name: use a letter and then letters, digits, '-' and '_', 63 at most, all in lower case", in.Name).WithField("name")
		}
		p, err = a.Projects.CreateProject(ctx, in.Name)
	}
	if err == nil && p.Retention != keep {
		p.Retention = keep
		err = a.Projects.SetRetention(ctx, p.ID, keep)
	}
	return answered(a.projectShown(p), err)
}

// retention reads how long a project is to keep what happened; "" is as long as
// the server says.
func (a *API) retention(text string) (weir.Duration, error) {
	if text == "" {
		return 0, nil
	}
	keep, err := weir.ParseDuration(text)
	switch {
	case err != nil:
		return 0, weir.E("", weir.Invalid, "%q is not a time such as 90d", text).WithField("retention")
	case keep < a.Keeps.Least || keep > longest:
		return 0, weir.E("", weir.Invalid, "%s is not from %s to %s", keep, a.Keeps.Least, longest).WithField("retention")
	}
	return keep, nil
}

func (a *API) deleteProject(ctx context.Context, in *deleteProjectInput) (*struct{}, error) {
	if in.Confirm != in.Name {
		return nil, weir.E("", weir.Invalid, "%q is not the name of the project, %q", in.Confirm, in.Name).WithField("confirm")
	}
	p, err := a.State.ProjectByName(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	if err := a.Orders.DeleteProject(ctx, p, callerOf(ctx).Name); err != nil {
		return nil, err
	}
	a.Tokens.Forget()
	return nil, nil //nolint:nilnil // there is no body
}

func (a *API) registerErasures() {
	register(a, operation{
		id: "list-erasures", method: http.MethodGet, path: "/v1/erasures", role: auth.Admin,
		summary: "List the erasures that run, and those that ended not long ago, newest first",
	}, func(ctx context.Context, _ *struct{}) (*answer[client.Page[client.Erasure]], error) {
		project := callerOf(ctx).project
		all, err := a.Projects.Erasures(ctx)
		all = slices.DeleteFunc(all, func(e weir.Erasure) bool { return e.Project != project })
		page := client.Page[client.Erasure]{Items: make([]client.Erasure, len(all))}
		for i, e := range all {
			page.Items[i] = erasureShown(e)
		}
		return answered(page, err)
	})
	register(a, operation{
		id: "erase", method: http.MethodPost, path: "/v1/erasures", role: auth.Admin, status: http.StatusAccepted,
		summary: "Forget the events of a subject that were accepted until now, for ever: they are hidden within a second, and removed bit by bit",
	}, func(ctx context.Context, in *eraseInput) (*answer[client.Erasure], error) {
		c := callerOf(ctx)
		ctx, cancel := context.WithTimeout(ctx, orderTime)
		defer cancel()
		e, err := a.Orders.Erase(ctx, c.project, in.Body.Subject, c.Name)
		return answered(erasureShown(e), err)
	})
}

func erasureShown(e weir.Erasure) client.Erasure {
	shown := client.Erasure{
		ID: e.ID, Subject: e.Subject, State: "running", By: e.By, Ordered: e.Ordered, Ended: e.Ended, UpTo: e.UpTo, Records: e.Records,
	}
	if e.Ended != 0 {
		shown.State = "ended"
	}
	return shown
}
