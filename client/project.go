package client

import (
	"context"
	"net/http"
	"net/url"

	"weir"
)

// Project is a tenant as the API shows it.
type Project struct {
	Name      string        `json:"name"`
	Revision  uint64        `json:"revision" doc:"How often its definitions were changed."`
	Retention weir.Duration `json:"retention" doc:"How long it keeps what happened."`
	Inherited bool          `json:"inherited" doc:"The retention is that of the server's configuration."`
}

// ProjectSettings are the body that makes a project, or sets it.
type ProjectSettings struct {
	Retention string `json:"retention,omitempty" maxLength:"32" doc:"How long it keeps what happened, such as 90d; absent: as long as the server's configuration says."`
}

// Erasure is an order to forget the events of a subject as the API shows it.
type Erasure struct {
	ID      int64     `json:"id"`
	Subject string    `json:"subject"`
	State   string    `json:"state" enum:"running,ended" doc:"While it runs the events are shown to nobody, though some may still be on the disk."`
	By      string    `json:"by" doc:"Who ordered it."`
	Ordered weir.Time `json:"ordered" format:"date-time"`
	Ended   weir.Time `json:"ended,omitzero" format:"date-time"`
	UpTo    weir.Seq  `json:"up_to" doc:"The place of the last record that it means."`
	Records int64     `json:"records" doc:"How many records are gone."`
}

// Subject is the body that orders an erasure.
type Subject struct {
	Subject string `json:"subject" minLength:"1" maxLength:"4096" doc:"The subject of the events to forget, exactly as they have it."`
}

// Projects lists the projects by name.
func (c *Client) Projects(ctx context.Context) (Page[Project], error) {
	return get[Page[Project]](ctx, c, "/v1/projects", nil)
}

// ProjectNamed returns one project.
func (c *Client) ProjectNamed(ctx context.Context, name string) (Project, error) {
	return get[Project](ctx, c, projectPath(name), nil)
}

// CreateProject makes a project; a conflict where there is one of that name.
func (c *Client) CreateProject(ctx context.Context, name string, s ProjectSettings) (Project, error) {
	return c.putProject(ctx, name, s, `"0"`)
}

// SetProject sets a project that is there, and not found where it is not.
func (c *Client) SetProject(ctx context.Context, name string, s ProjectSettings) (Project, error) {
	return c.putProject(ctx, name, s, "*")
}

func (c *Client) putProject(ctx context.Context, name string, s ProjectSettings, match string) (Project, error) {
	body, err := encode(s)
	if err != nil {
		return Project{}, err
	}
	return call[Project](ctx, c, request{method: http.MethodPut, path: projectPath(name), body: body, contentType: jsonType, match: match})
}

// DeleteProject deletes a project with everything in it, for ever.
func (c *Client) DeleteProject(ctx context.Context, name string) error {
	_, err := call[none](ctx, c, request{method: http.MethodDelete, path: projectPath(name), query: url.Values{"confirm": {name}}})
	return err
}

func projectPath(name string) string { return "/v1/projects/" + url.PathEscape(name) }

// Erase orders that the events of a subject are forgotten, for ever.
func (c *Client) Erase(ctx context.Context, subject string) (Erasure, error) {
	body, err := encode(Subject{Subject: subject})
	if err != nil {
		return Erasure{}, err
	}
	return call[Erasure](ctx, c, request{method: http.MethodPost, path: "/v1/erasures", body: body, contentType: jsonType})
}

// Erasures lists the erasures that run, and those that ended not long ago, newest
// first.
func (c *Client) Erasures(ctx context.Context) (Page[Erasure], error) {
	return get[Page[Erasure]](ctx, c, "/v1/erasures", nil)
}
