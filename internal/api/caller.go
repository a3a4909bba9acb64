package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"weir"
	"weir/client"
	"weir/internal/auth"
)

// caller is who makes a request, and in which project.
type caller struct {
	auth.Principal
	project weir.ProjectID
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// settleTime is how long a read waits to show what Weir-After asks for.
const settleTime = 2 * time.Second

// enter lets requests with a good token through, with their caller, once reads
// show what they ask for.
func (a *API) enter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := a.caller(r)
		if err == nil && r.Method == http.MethodGet {
			err = a.settle(r)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// caller tells who makes a request. With an error, project is where it was
// meant to go, as far as that is known.
func (a *API) caller(r *http.Request) (caller, error) {
	c := caller{project: weir.DefaultProject}
	principal, err := a.Tokens.Authenticate(r.Context(), r.Header.Get("Authorization"))
	if err != nil {
		return c, err
	}
	c.Principal = principal
	if principal.Project != 0 {
		c.project = principal.Project
	}
	name := r.Header.Get(client.HeaderProject)
	if name == "" {
		return c, nil
	}
	project, err := a.State.ProjectByName(r.Context(), name)
	if err != nil {
		return c, err
	}
	if err := principal.Enter(project.ID); err != nil {
		return c, err
	}
	c.project = project.ID
	return c, nil
}

// settle waits until reads show the place that the request names.
func (a *API) settle(r *http.Request) error {
	text := r.Header.Get(client.HeaderAfter)
	if text == "" {
		return nil
	}
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return weir.E("", weir.Invalid, "%q is no place in the journal", text).WithField(client.HeaderAfter)
	}
	ctx, cancel := context.WithTimeout(r.Context(), settleTime)
	defer cancel()
	return a.Settler.Settle(ctx, weir.Seq(seq))
}
