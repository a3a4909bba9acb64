package client

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"weir"
)

// Event is an event as the API shows it: a CloudEvent and where it stands in
// the journal. In JSON uid, seq and at stand beside its attributes.
type Event struct {
	weir.Event
	UID string    // "evt_" and 32 hex digits
	Seq weir.Seq  // place in the journal
	At  weir.Time // when it was accepted
}

// Receipt answers one published event once it is durable. Duplicate means that
// an event with the same source and id was accepted before; UID and Seq are
// then those of that event.
type Receipt struct {
	ID        string   `json:"id" doc:"The event's id."`
	UID       string   `json:"uid" doc:"The id that Weir gave it."`
	Seq       weir.Seq `json:"seq" doc:"Its place in the journal."`
	Duplicate bool     `json:"duplicate" doc:"Whether it had been accepted before."`
}

// Receipts is the answer to a publish: one receipt per event, in the order
// given.
type Receipts struct {
	Events []Receipt `json:"events" nullable:"false"`
}

// Page is a part of a list. Next, given as After, asks for what follows; it is
// absent at the end.
type Page[T any] struct {
	Items    []T      `json:"items" nullable:"false"`
	Next     string   `json:"next,omitempty" doc:"Give it as after to get what follows; absent at the end."`
	Looked   *Looked  `json:"looked,omitempty" doc:"How far it looked, where it ended before it was full."`
	Revision uint64   `json:"revision,omitempty" doc:"Of definitions: the project's revision in which they are in force."`
	AsOf     weir.Seq `json:"-"` // the place that the list is as of, the answer's Weir-Seq; 0 where it has none
}

// Looked tells of a page that ended before it was full though more may follow:
// a list looks at so much at once and no more.
type Looked struct {
	Records int       `json:"records" doc:"How many records it looked at for this page."`
	BackTo  weir.Time `json:"back_to" format:"date-time" doc:"All that is newer was looked at."`
}

func (p *Page[T]) setPlace(seq weir.Seq) { p.AsOf = seq }

// Paging asks for a part of a list: at most Limit items (0: 100, at most 1,000)
// after the place that an earlier page named as its Next.
type Paging struct {
	Limit int
	After string
}

func (p Paging) values() url.Values {
	q := url.Values{}
	setInt(q, "limit", p.Limit)
	set(q, "after", p.After)
	return q
}

// EventFilter says which events a list holds; empty fields ask for nothing.
// Since is inclusive, Until exclusive, both of acceptance.
type EventFilter struct {
	Type      string // globs as those of triggers, with commas between: "order.*,!order.test"
	Source    string
	ID        string
	Subject   string
	Execution string
	Cause     string   // id of the run that emitted it
	Where     []string // conditions in CEL over event and data, all of which hold
	Data      []string // "PATH=VALUE": what the data has at a path such as order.total
	Since     weir.Time
	Until     weir.Time
}

// Events lists events, newest first.
func (c *Client) Events(ctx context.Context, f EventFilter, p Paging) (Page[Event], error) {
	q := p.values()
	set(q, "type", f.Type)
	set(q, "source", f.Source)
	set(q, "id", f.ID)
	set(q, "subject", f.Subject)
	set(q, "execution", f.Execution)
	set(q, "cause", f.Cause)
	add(q, "where", f.Where)
	add(q, "data", f.Data)
	set(q, "since", f.Since.String())
	set(q, "until", f.Until.String())
	return get[Page[Event]](ctx, c, "/v1/events", q)
}

// Event returns the event with the given uid.
func (c *Client) Event(ctx context.Context, uid string) (Event, error) {
	return get[Event](ctx, c, "/v1/events/"+url.PathEscape(uid), nil)
}

// DataPath returns where the API gives out the data of an event, as it came. An
// event shown without its data names it as its extension dataref.
func DataPath(uid string) string { return "/v1/events/" + url.PathEscape(uid) + "/data" }

// EventData returns the data of an event, byte for byte, however long it is. It
// must be closed.
func (c *Client) EventData(ctx context.Context, uid string) (io.ReadCloser, error) {
	r := request{method: http.MethodGet, path: DataPath(uid), long: true}
	resp, err := c.do(ctx, &r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return nil, weir.E(r.op(), weir.Unavailable, "read the answer: %w", err)
	}
	return nil, failure(r.op(), resp.StatusCode, body)
}

// Refusal is what was turned away at the door, or accepted but may not act.
type Refusal struct {
	N      int64     `json:"n" doc:"Counts the project's refusals from 1."`
	At     weir.Time `json:"at" format:"date-time"`
	Door   string    `json:"door" doc:"Where it came in: api, hook/NAME, apply, or fold for what may not act."`
	Code   weir.Code `json:"code"`
	Reason string    `json:"reason"`
	Field  string    `json:"field,omitempty" doc:"The part of the input at fault."`
	Source string    `json:"source,omitempty" doc:"Of the event, where it could be read; likewise id and type."`
	ID     string    `json:"id,omitempty"`
	Type   string    `json:"type,omitempty"`
}

// RefusalFilter says which refusals a list holds; empty fields ask for nothing.
// Since is inclusive, Until exclusive.
type RefusalFilter struct {
	Door  string
	Code  weir.Code
	Type  string // of the event; globs as in EventFilter
	Since weir.Time
	Until weir.Time
}

// Refusals lists what was turned away, newest first, as of now.
func (c *Client) Refusals(ctx context.Context, f RefusalFilter, p Paging) (Page[Refusal], error) {
	q := p.values()
	set(q, "door", f.Door)
	set(q, "code", string(f.Code))
	set(q, "type", f.Type)
	set(q, "since", f.Since.String())
	set(q, "until", f.Until.String())
	return get[Page[Refusal]](ctx, c, "/v1/refusals", q)
}

// Publish sends the events as one CloudEvents batch: all are kept, or none. An
// event without an id gets one, so that the request can be repeated safely.
func (c *Client) Publish(ctx context.Context, events ...*weir.Event) ([]Receipt, error) {
	body := []byte{'['}
	for i, e := range events {
		if i > 0 {
			body = append(body, ',')
		}
		if e.ID == "" {
			named := *e
			named.ID = newID()
			e = &named
		}
		body = AppendEvent(body, e)
	}
	body = append(body, ']')
	return c.publish(ctx, request{
		method: http.MethodPost, path: "/v1/events", body: body, contentType: BatchType, repeatable: true,
	})
}

// The media types of CloudEvents in JSON.
const (
	EventType = "application/cloudevents+json"
	BatchType = "application/cloudevents-batch+json"
)

// Raw is a body to publish as it is. Query holds the attributes of plain JSON
// (type, source, id, ...). With a Key, sent as Idempotency-Key, the request may
// be repeated.
type Raw struct {
	ContentType string
	Query       url.Values
	Key         string
	Body        []byte
}

// PublishRaw sends a body that is already in one of the forms that the API
// takes.
func (c *Client) PublishRaw(ctx context.Context, raw Raw) ([]Receipt, error) {
	return c.publish(ctx, request{
		method: http.MethodPost, path: "/v1/events", query: raw.Query, body: raw.Body, contentType: raw.ContentType,
		key: raw.Key, repeatable: raw.Key != "",
	})
}

func (c *Client) publish(ctx context.Context, r request) ([]Receipt, error) {
	receipts, err := call[Receipts](ctx, c, r)
	return receipts.Events, err
}
