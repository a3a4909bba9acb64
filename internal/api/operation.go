package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"weir"
	"weir/client"
	"weir/internal/auth"
)

// operation is one call of the management API.
type operation struct {
	id      string // of the operation in the OpenAPI document
	method  string
	path    string
	role    auth.Role // the least that may make it
	server  bool      // it is for the server's admins only
	summary string
	status  int   // on success; 0: 200
	body    int64 // the longest body in bytes; 0: 1 MiB
}

// register adds an operation. Its handler's errors are answered as problems.
func register[I, O any](a *API, op operation, handler func(context.Context, *I) (*O, error)) {
	needs := "Needs the role " + op.role.String() + "."
	if op.server {
		needs = "Needs the role admin, and a token for all projects."
	}
	huma.Register(a.huma, huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary, DefaultStatus: op.status,
		Description: needs, MaxBodyBytes: op.body,
		Security: []map[string][]string{{"token": {}}}, Middlewares: huma.Middlewares{a.needs(op)},
	}, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, a.failure(ctx, err)
		}
		return out, nil
	})
}

// needs ends requests of those who may not make the call, before anything else of
// them is looked at.
func (a *API) needs(op operation) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		who := callerOf(ctx.Context())
		err := who.Need(op.role)
		if op.server {
			err = who.NeedServer()
		}
		if err != nil {
			r, w := humago.Unwrap(ctx)
			a.fail(w, r, err)
			return
		}
		next(ctx)
	}
}

// answer is an answer with a body.
type answer[T any] struct{ Body T }

// answered makes an answer of what a reader returned.
func answered[T any](body T, err error) (*answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &answer[T]{body}, nil
}

// listed is a page of a list that is as of a place in the journal.
type listed[T any] struct {
	Seq  weir.Seq `header:"Weir-Seq" doc:"The place in the journal that the list is as of."`
	Body client.Page[T]
}

// listing makes an answer of a page that a reader returned.
func listing[T any](page client.Page[T], err error) (*listed[T], error) {
	if err != nil {
		return nil, err
	}
	return &listed[T]{page.AsOf, page}, nil
}

// Paging holds the parameters of every list.
type Paging struct {
	Limit int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"The most items of the answer."`
	After string `query:"after" doc:"The next of the last answer."`
}

func (p Paging) client() client.Paging { return client.Paging{Limit: p.Limit, After: p.After} }

// Period holds the parameters of lists over time, RFC 3339.
type Period struct {
	Since string `query:"since" format:"date-time" doc:"Inclusive."`
	Until string `query:"until" format:"date-time" doc:"Exclusive."`
}

func (p Period) times() (since, until weir.Time, err error) {
	for _, t := range []struct {
		name, text string
		to         *weir.Time
	}{{"since", p.Since, &since}, {"until", p.Until, &until}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = weir.ParseTime(t.text); err != nil {
			return 0, 0, weir.E("", weir.Invalid, "%q is not an RFC 3339 time", t.text).WithField(t.name)
		}
		*t.to = max(*t.to, 1) // 0 is no bound, and nothing is as old
	}
	return since, until, nil
}

// idPath is the path of one thing.
type idPath struct {
	ID string `path:"id"`
}

// NamePath holds the path of one named thing.
type NamePath struct {
	Name string `path:"name"`
}

// parsed reads an id from a path.
func parsed[T any](id T, err error) (T, error) {
	if e, ok := errors.AsType[*weir.Error](err); ok {
		return id, e.WithField("id")
	}
	return id, err
}

func humaConfig() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[client.Problem]())
	registry.RegisterTypeAlias(reflect.TypeFor[client.Event](), reflect.TypeFor[event]())
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Weir", Version: "1", Description: description},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A token of Weir, which begins with weir_."},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{problems},
	}
}

const description = `Every call but health and hooks needs a token. The header Weir-Project names the project, for tokens of several.

An answer to a write tells its place in the journal in the header Weir-Seq; a read that sends it as Weir-After shows at ` +
	`least what stands up to there, or is answered 503 with the code behind.`

// weirSeq documents the header of answers to writes.
func weirSeq() map[string]*huma.Param {
	return map[string]*huma.Param{client.HeaderSeq: {
		Description: "The greatest place in the journal of what was written.",
		Schema:      &huma.Schema{Type: huma.TypeInteger, Format: "int64"},
	}}
}

func setSeq(w http.ResponseWriter, seq weir.Seq) {
	w.Header().Set(client.HeaderSeq, strconv.FormatUint(uint64(seq), 10))
}

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

// answerTime is how long an answer may take: of a client that reads nothing, the
// page would stay in memory.
const answerTime = 2 * time.Minute

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
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime)) // the server ends it with the request
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
