package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"weir"
)

// Applied is what applying project files did, or would do.
type Applied struct {
	Revision uint64   `json:"revision" doc:"The project's revision afterwards."`
	Changes  []Change `json:"changes" nullable:"false"`
	Warnings []string `json:"warnings" nullable:"false"`
}

// Change is one difference that an apply makes.
type Change struct {
	Action string              `json:"action" enum:"create,update,delete"`
	Kind   weir.DefinitionKind `json:"kind" enum:"trigger,pipeline,source,destination"`
	Name   string              `json:"name"`
}

// File is a project file to apply. Name is what errors call it. With Expect,
// the project must stand at that revision, else the apply is a conflict.
type File struct {
	Name   string
	Text   []byte
	Expect uint64
}

// Apply installs what the file defines, all of it or nothing.
func (c *Client) Apply(ctx context.Context, f File) (Applied, error) {
	return c.apply(ctx, f, url.Values{})
}

// DryRun answers what Apply would do, and does nothing.
func (c *Client) DryRun(ctx context.Context, f File) (Applied, error) {
	return c.apply(ctx, f, url.Values{"dry_run": {"true"}})
}

func (c *Client) apply(ctx context.Context, f File, q url.Values) (Applied, error) {
	set(q, "file", f.Name)
	r := request{method: http.MethodPost, path: "/v1/apply", query: q, body: f.Text, contentType: "application/yaml"}
	if f.Expect != 0 {
		r.match = strconv.Quote(strconv.FormatUint(f.Expect, 10))
	}
	return call[Applied](ctx, c, r)
}

// Definitions lists the definitions of one kind that are in force, by name.
func (c *Client) Definitions(ctx context.Context, kind weir.DefinitionKind, p Paging) (Page[weir.Definition], error) {
	return get[Page[weir.Definition]](ctx, c, "/v1/"+string(kind)+"s", p.values())
}

// DefinitionInForce is a definition shown alone: a trigger with what it did with events
// since it was first applied ("matched", "fired", "missing data.x", ...).
type DefinitionInForce struct {
	weir.Definition
	Counters weir.TriggerCounters `json:"counters,omitempty" doc:"Of a trigger: how many events, by what became of them."`
}

// Definition returns one definition that is in force.
func (c *Client) Definition(ctx context.Context, kind weir.DefinitionKind, name string) (DefinitionInForce, error) {
	return get[DefinitionInForce](ctx, c, "/v1/"+string(kind)+"s/"+url.PathEscape(name), nil)
}

// Secret names a secret; nothing shows its value.
type Secret struct {
	Name string `json:"name"`
}

// SecretValue is the body that sets a secret.
type SecretValue struct {
	Value string `json:"value" minLength:"1" maxLength:"65536"`
}

// Secrets lists the names of the project's secrets.
func (c *Client) Secrets(ctx context.Context) (Page[Secret], error) {
	return get[Page[Secret]](ctx, c, "/v1/secrets", nil)
}

// SetSecret sets or replaces a secret.
func (c *Client) SetSecret(ctx context.Context, name, value string) error {
	body, err := encode(SecretValue{Value: value})
	if err != nil {
		return err
	}
	_, err = call[none](ctx, c, request{
		method: http.MethodPut, path: "/v1/secrets/" + url.PathEscape(name), body: body, contentType: jsonType,
	})
	return err
}

// DeleteSecret removes a secret.
func (c *Client) DeleteSecret(ctx context.Context, name string) error {
	_, err := call[none](ctx, c, request{method: http.MethodDelete, path: "/v1/secrets/" + url.PathEscape(name)})
	return err
}

// Version says what the server is.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
}

// Version asks the server what it is.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return get[Version](ctx, c, "/v1/version", nil)
}

// Ready asks whether the server takes and shows everything; nil means yes.
func (c *Client) Ready(ctx context.Context) error {
	_, err := call[none](ctx, c, request{method: http.MethodGet, path: "/readyz", once: true})
	return err
}
