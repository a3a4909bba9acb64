package webhook

import (
	"context"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/ingest"
)

// State knows projects and what is in force in them.
type State interface {
	ProjectByName(ctx context.Context, name string) (weir.Project, error)
	Definitions(ctx context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error)
}

// Secrets reveals the secrets of projects.
type Secrets interface {
	Reveal(ctx context.Context, project weir.ProjectID, name string) (string, error)
}

// Hooks takes webhooks. It is for several goroutines at once.
type Hooks struct {
	door    *ingest.Door
	secrets Secrets
	sources sources
	log     *slog.Logger
}

// Options are what Hooks are made of.
type Options struct {
	Door    *ingest.Door
	State   State
	Secrets Secrets
	Log     *slog.Logger
}

// New returns Hooks.
func New(o Options) *Hooks {
	return &Hooks{door: o.Door, secrets: o.Secrets, log: o.Log, sources: sources{state: o.State, compiled: map[weir.ProjectID]*compiled{}}}
}

// unknown is the door of what came to a source that is not there. It has no
// name of its own, as anybody could make up any number of them.
const unknown = "hook"

// Receive takes the webhook in a request whose path values are project ("" is
// the default one) and source. What it turns away is listed as a refusal.
func (h *Hooks) Receive(w http.ResponseWriter, r *http.Request) ([]ingest.Accepted, error) {
	ctx, name := r.Context(), r.PathValue("source")
	project, err := h.sources.project(ctx, r.PathValue("project"))
	if err != nil {
		return nil, err
	}
	src, err := h.sources.find(ctx, project, name)
	if err != nil {
		h.door.Refuse(ingest.Entry{Project: project.ID, Door: unknown}, nil, err)
		return nil, err
	}
	entry := ingest.Entry{Project: project.ID, Door: "hook/" + name}
	body, done, err := h.door.Read(w, r)
	defer done()
	if err != nil {
		h.door.Refuse(entry, nil, err)
		return nil, err
	}
	e, err := h.event(ctx, src, request{Request: r, body: body, project: project.ID})
	if err != nil {
		h.door.Refuse(entry, e, err)
		return nil, err
	}
	return h.door.Publish(ctx, entry, e)
}

// request is a webhook as it came.
type request struct {
	*http.Request
	body    []byte
	project weir.ProjectID
}

// event verifies a webhook and makes its event. With an error the event is what
// is known of it, and may be nil.
func (h *Hooks) event(ctx context.Context, src *source, r request) (*weir.Event, error) {
	vars := &expr.Vars{
		Header: headerFields(r.Header), Query: queryFields(r.URL.Query()),
		Secret: func(name string) (string, error) { return h.secrets.Reveal(ctx, r.project, name) },
	}
	secret, err := src.secret.Render(vars)
	if err != nil || secret == "" {
		h.log.Error("the secret of a webhook cannot be read", "project", r.project, "source", src.name, "err", err)
		return nil, weir.E("", weir.Unavailable, "the secret of source %q cannot be read", src.name)
	}
	if err := verifyGitHub(r.Header.Get(githubSignature), r.body, secret); err != nil {
		return nil, err
	}
	data, err := payload(r)
	if err != nil {
		return nil, err
	}
	vars.Body = expr.JSON(data)
	e := &weir.Event{Source: "/hooks/" + src.name, ContentType: "application/json", Data: data}
	if e.Type, err = render(src.kind, vars, "type"); err != nil {
		return e, err
	}
	if src.id == nil {
		e.ID = ingest.NewID(time.Now())
		return e, nil
	}
	e.ID, err = render(src.id, vars, "id")
	return e, err
}

func render(t *expr.Template, vars *expr.Vars, field string) (string, error) {
	s, err := t.Render(vars)
	if err != nil {
		return "", weir.E("", weir.Invalid, "%w", err).WithField(field)
	}
	return s, nil
}

// payload returns the JSON of a webhook: its body, or, as GitHub may be set to
// send it, the form value payload.
func payload(r request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	data := r.body
	switch {
	case err == nil && kind == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(r.body))
		if err != nil || !form.Has("payload") {
			return nil, weir.E("", weir.Invalid, "the form has no payload").WithField("payload")
		}
		data = []byte(form.Get("payload"))
	case err != nil || !weir.IsJSONType(kind):
		e := weir.E("", weir.Invalid, "content type %q is not taken: use application/json or application/x-www-form-urlencoded",
			r.Header.Get("Content-Type"))
		e.Err = ingest.ErrContentType
		return nil, e
	}
	return data, ingest.CheckJSON(data)
}

// headerFields returns the headers under lower-case names, the first value of
// each.
func headerFields(h http.Header) expr.Fields {
	f := make(expr.Fields, len(h))
	for name, values := range h {
		f[strings.ToLower(name)] = values[0]
	}
	return f
}

func queryFields(q url.Values) expr.Fields {
	f := make(expr.Fields, len(q))
	for name, values := range q {
		f[name] = values[0]
	}
	return f
}
