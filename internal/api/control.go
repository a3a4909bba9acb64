package api

import (
	"context"
	"net/http"
	"runtime"
	"slices"

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
