package api

import (
	"context"
	"net/http"
	"runtime"

	"weir/client"
	"weir/internal/auth"
)

type setSecretInput struct {
	NamePath
	Body client.SecretValue
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
	register(a, operation{
		id: "get-version", method: http.MethodGet, path: "/v1/version", role: auth.Viewer, summary: "Tell what the server is",
	}, func(context.Context, *struct{}) (*answer[client.Version], error) {
		return answered(client.Version{Version: a.Version, Go: runtime.Version()}, nil)
	})
}
