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
	Revision  uint64            `json:"revision" doc:"The project's revision afterwards."`
	Changes   []Change          `json:"changes" nullable:"false"`
	Unchanged int               `json:"unchanged" doc:"How many definitions of the files are in force as they are."`
	Missing   []NamedDefinition `json:"missing" nullable:"false" doc:"What came from the same path, is not in the files and stays; prune removes it."`
	Warnings  []string          `json:"warnings" nullable:"false"`
}

// Change is one difference that an apply makes.
type Change struct {
	Action  string              `json:"action" enum:"create,update,delete"`
	Kind    weir.DefinitionKind `json:"kind" enum:"trigger,pipeline,source,destination,event,setting"`
	Name    string              `json:"name"`
	Keys    []string            `json:"keys,omitempty" doc:"Of an update: the keys that change."`
	WasFrom string              `json:"was_from,omitempty" doc:"From where it was applied before, where that was elsewhere."`
	Groups  int                 `json:"groups,omitempty" doc:"Of a trigger that goes, or is another in match, group_by or fire: its open groups, which take no more events; 1,000 is that many or more."`
}

// NamedDefinition names a definition.
type NamedDefinition struct {
	Kind weir.DefinitionKind `json:"kind"`
	Name string              `json:"name"`
}

// File is what to apply: a project file, or with Roots, several with the files
// that they name.
type File struct {
	Name       string   // what errors call the one file
	Text       []byte   // the file, or the tar
	Roots      []string // the directories that names in the tar are below; of several, the place of one stands before each name
	From       []string // what the definitions are said to come from, one for all or one per root; nil: Name or Roots
	Prune      bool     // remove what came from there before and is not in the files
	DropGroups bool     // end at once the open groups that take no more events
	Expect     uint64   // where the project must stand, else the apply is a conflict; 0: anywhere
}

// TarType is the media type of several files.
const TarType = "application/x-tar"

// Apply installs what the files define, all of it or nothing.
func (c *Client) Apply(ctx context.Context, f File) (Applied, error) {
	return c.apply(ctx, f, url.Values{})
}

// DryRun answers what Apply would do, and does nothing.
func (c *Client) DryRun(ctx context.Context, f File) (Applied, error) {
	return c.apply(ctx, f, url.Values{"dry_run": {"true"}})
}

func (c *Client) apply(ctx context.Context, f File, q url.Values) (Applied, error) {
	r := request{method: http.MethodPost, path: "/v1/apply", query: q, body: f.Text, contentType: "application/yaml"}
	set(q, "file", f.Name)
	if len(f.Roots) > 0 {
		r.contentType = TarType
		q["root"] = f.Roots
	}
	if len(f.From) > 0 {
		q["from"] = f.From
	}
	if f.Prune {
		q.Set("prune", "true")
	}
	if f.DropGroups {
		q.Set("groups", "drop")
	}
	if f.Expect != 0 {
		r.match = strconv.Quote(strconv.FormatUint(f.Expect, 10))
	}
	return call[Applied](ctx, c, r)
}

// DefinitionPath returns the path of a kind of definition, such as /v1/triggers.
// Declared types of events are at /v1/event-types: /v1/events is what happened.
func DefinitionPath(kind weir.DefinitionKind) string {
	if kind == weir.KindEventType {
		return "/v1/event-types"
	}
	return "/v1/" + string(kind) + "s"
}

// Definitions lists the definitions of one kind that are in force, by name.
func (c *Client) Definitions(ctx context.Context, kind weir.DefinitionKind, p Paging) (Page[weir.Definition], error) {
	return get[Page[weir.Definition]](ctx, c, DefinitionPath(kind), p.values())
}

// DefinitionInForce is a definition shown alone: a trigger with what it did with events
// since it was first applied ("matched", "fired", "missing data.x", ...).
type DefinitionInForce struct {
	weir.Definition
	Counters weir.TriggerCounters `json:"counters,omitempty" doc:"Of a trigger: how many events, by what became of them."`
}

// Definition returns one definition that is in force.
func (c *Client) Definition(ctx context.Context, kind weir.DefinitionKind, name string) (DefinitionInForce, error) {
	return get[DefinitionInForce](ctx, c, DefinitionPath(kind)+"/"+url.PathEscape(name), nil)
}

// PutDefinition installs one definition: body is what a project file has below its
// name, as YAML or JSON. With expect it must stand at that revision, else it is a
// conflict; 0 is any.
func (c *Client) PutDefinition(ctx context.Context, d NamedDefinition, body []byte, expect uint64) (Applied, error) {
	return c.define(ctx, d, expect, request{method: http.MethodPut, body: body, contentType: "application/yaml"})
}

// DeleteDefinition removes one definition, which must stand at the revision
// expect; 0 is any.
func (c *Client) DeleteDefinition(ctx context.Context, d NamedDefinition, expect uint64) (Applied, error) {
	return c.define(ctx, d, expect, request{method: http.MethodDelete})
}

func (c *Client) define(ctx context.Context, d NamedDefinition, expect uint64, r request) (Applied, error) {
	r.path = DefinitionPath(d.Kind) + "/" + url.PathEscape(d.Name)
	if expect != 0 {
		r.match = strconv.Quote(strconv.FormatUint(expect, 10))
	}
	return call[Applied](ctx, c, r)
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

// Readiness is the answer of a server that is ready, and has something to say.
type Readiness struct {
	Warning string `json:"warning" doc:"What is wrong all the same, such as that no node dispatches: events are taken, and nothing becomes of them yet."`
}

// Ready asks whether the server takes and shows everything; nil means yes.
func (c *Client) Ready(ctx context.Context) error {
	_, err := call[none](ctx, c, request{method: http.MethodGet, path: "/readyz", once: true})
	return err
}
