package webhook

import (
	"cmp"
	"context"
	"log/slog"
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
// the default one) and source: POST, and the GET and OPTIONS of handshakes. With
// neither events nor an error, the request was a handshake and is answered.
// What it turns away is listed as a refusal, which may tell more than the error:
// that is for the sender.
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
	d := &delivery{Request: r, project: project.ID, now: time.Now()}
	if r.Method == http.MethodOptions {
		agree(w, r)
		return nil, nil
	}
	e, done, err := h.event(ctx, w, src, d)
	defer done()
	switch {
	case err != nil:
		h.door.Refuse(entry, e, err)
		if weir.CodeOf(err) == weir.Unavailable {
			err = weir.E("", weir.Unavailable, "this webhook cannot be verified at the moment")
		}
		return nil, err
	case e == nil:
		return nil, nil
	}
	return h.door.Publish(ctx, entry, e)
}

// delivery is a webhook as it came.
type delivery struct {
	*http.Request
	body    []byte
	project weir.ProjectID
	now     time.Time
	id      string // its own, once it is verified
}

// event answers a handshake, or verifies a delivery and makes its event. With an
// error the event is what is known of it, and may be nil. Done gives the room
// of the body back.
func (h *Hooks) event(ctx context.Context, w http.ResponseWriter, src *source, d *delivery) (e *weir.Event, done func(), err error) {
	done = func() {}
	if d.Method == http.MethodGet || d.Method == http.MethodHead {
		return nil, done, h.confirm(ctx, w, src, d)
	}
	if d.body, done, err = h.read(ctx, w, src, d); err != nil {
		return nil, done, err
	}
	if handshake, err := src.challenged(w, d); handshake || err != nil {
		return nil, done, err
	}
	e, err = h.make(ctx, src, d)
	return e, done, err
}

// read reads and verifies a delivery. Where the body is not what is verified,
// that of a stranger is not read.
func (h *Hooks) read(ctx context.Context, w http.ResponseWriter, src *source, d *delivery) (body []byte, done func(), err error) {
	if src.hook.Verify == "token" || src.hook.Verify == "basic" {
		if err := h.verify(ctx, src, d); err != nil {
			return nil, func() {}, err
		}
		return h.door.Read(w, d.Request)
	}
	if d.body, done, err = h.door.ReadUnverified(w, d.Request); err != nil {
		return nil, done, err
	}
	return d.body, done, h.verify(ctx, src, d)
}

// vars are what the templates of a source see of a delivery, but for its body.
func (h *Hooks) vars(ctx context.Context, d *delivery) *expr.Vars {
	return &expr.Vars{
		Header: headerFields(d.Header), Query: queryFields(d.URL.Query()),
		Secret: func(name string) (string, error) { return h.secrets.Reveal(ctx, d.project, name) },
	}
}

// make makes the event of a delivery.
func (h *Hooks) make(ctx context.Context, src *source, d *delivery) (*weir.Event, error) {
	data, contentType, err := payload(src.hook.Verify, d)
	if err != nil {
		return nil, err
	}
	vars := h.vars(ctx, d)
	e := &weir.Event{Source: "/hooks/" + src.name, ContentType: contentType, Data: data}
	if e.IsJSON() && data != nil {
		vars.Body = expr.JSON(data)
	}
	if e.Type, err = render(src.kind, vars, "type"); err != nil {
		return e, err
	}
	if src.subject != nil {
		if e.Subject, err = render(src.subject, vars, "subject"); err != nil {
			return e, err
		}
	}
	if src.id == nil {
		e.ID = cmp.Or(d.id, ingest.NewID(d.now))
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
