// Package api is Weir's native HTTP interface under /v1: it decodes requests,
// asks who calls, hands on to the rooms behind it, and turns their answers and
// errors into JSON. It decides nothing and knows no store; app wires it.
//
// Every answer that is an error is problem+json, and error.go holds the one map
// from codes to statuses. The OpenAPI document is generated from the handlers.
package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"weir"
	"weir/client"
	"weir/internal/auth"
	"weir/internal/ingest"
)

// Options are what the API asks.
type Options struct {
	Tokens  Tokens
	Door    *ingest.Door
	Hooks   Hooks
	Reader  Reader
	Streams Streams
	Orders  Orders
	State   State
	Secrets Secrets
	Settler Settler
	Nodes   Nodes

	Projects Projects
	Keeps    Keeps

	// Backup writes a backup of the whole server.
	Backup func(ctx context.Context, w io.Writer, o BackupOptions) error

	// Ready tells why the server does not take or show everything, or, where it
	// does, what is wrong all the same, or "".
	Ready   func(ctx context.Context) (warning string, err error)
	Metrics http.Handler // nil: there are none
	Version string
	Log     *slog.Logger
}

// Keeps says how long the server keeps what happened.
type Keeps struct {
	Retention weir.Duration // of projects that say nothing
	Least     weir.Duration // that a project may say
}

// BackupOptions say what a backup holds besides everything else.
type BackupOptions struct{ Key bool } // the key of the secrets

// API is the native HTTP interface. It is an http.Handler.
type API struct {
	Options
	log     *slog.Logger
	huma    huma.API
	handler http.Handler
}

// New returns the API.
func New(o Options) *API {
	a := &API{Options: o, log: o.Log}
	v1, mux := http.NewServeMux(), http.NewServeMux()
	a.huma = humago.New(v1, humaConfig())
	a.huma.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) { next(plainContext{ctx}) })
	a.registerEvents()
	a.registerRuns()
	a.registerDefinitions()
	a.registerControl()
	v1.HandleFunc("/", a.notFound(v1, mux))

	mux.HandleFunc("POST /v1/events", a.publish)
	mux.Handle("GET /v1/stream", a.enter(a.need(auth.Viewer, http.HandlerFunc(a.stream))))
	mux.Handle("GET /v1/events/{id}/data", a.enter(a.need(auth.Viewer, http.HandlerFunc(a.eventData))))
	mux.Handle("GET /v1/backup", a.enter(http.HandlerFunc(a.backup)))
	for _, method := range hookMethods {
		mux.HandleFunc(method+" /hooks/{source}", a.hook)
		mux.HandleFunc(method+" /hooks/{project}/{source}", a.hook)
	}
	a.health(mux)
	mux.Handle("/v1/", a.enter(v1))
	mux.HandleFunc("/", a.notFound(mux))
	a.handler = a.recovered(mux)
	a.describePlain()
	return a
}

// NewHealth returns what a node answers that has not the duty api: whether it is
// alive and ready, and its metrics.
func NewHealth(o Options) *API {
	a := &API{Options: o, log: o.Log}
	mux := http.NewServeMux()
	a.health(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, weir.E("", weir.NotFound, "this node has not the duty api: ask another one"))
	})
	a.handler = a.recovered(mux)
	return a
}

func (a *API) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", a.ready)
	if a.Metrics != nil {
		mux.Handle("GET /metrics", a.enter(a.need(auth.Viewer, a.Metrics)))
	}
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

func (a *API) ready(w http.ResponseWriter, r *http.Request) {
	switch warning, err := a.Ready(r.Context()); {
	case err != nil:
		a.fail(w, r, err)
	case warning != "":
		writeJSON(w, http.StatusOK, "application/json", client.Readiness{Warning: warning})
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// need lets principals with the role through.
func (a *API) need(role auth.Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := callerOf(r.Context()).Need(role); err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// notFound answers what no pattern of the muxes takes: 405 where another method
// would be taken.
func (a *API) notFound(muxes ...*http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if allowed := methods(r, muxes); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			err := weir.E("", weir.Invalid, "%s is not taken here: use %s", r.Method, strings.Join(allowed, " or "))
			a.fail(w, r, &statusError{http.StatusMethodNotAllowed, err})
			return
		}
		a.fail(w, r, weir.E("", weir.NotFound, "there is nothing at %s", r.URL.Path))
	}
}

// methods returns the methods with which the muxes take a path.
func methods(r *http.Request, muxes []*http.ServeMux) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		for _, mux := range muxes {
			if _, pattern := mux.Handler(other); strings.HasPrefix(pattern, method+" ") {
				allowed = append(allowed, method)
			}
		}
	}
	return allowed
}

// recovered keeps a handler that panics from ending the connection unanswered,
// but for one that means to.
func (a *API) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				a.log.Error("a handler panicked", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
				a.fail(w, r, weir.E("", weir.Internal, "panic"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
