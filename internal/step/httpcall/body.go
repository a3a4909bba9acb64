package httpcall

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
)

// The media types of what is sent: CloudEvents JSON format 1.0.2, sections 3
// and 4.
const (
	oneEvent   = "application/cloudevents+json"
	manyEvents = "application/cloudevents-batch+json"
)

const plainText = "text/plain; charset=utf-8"

func (s *Step) compileBody(def *weir.HTTPStep) (err error) {
	if def.Body == nil {
		return nil
	}
	var text string
	if json.Unmarshal(def.Body, &text) == nil && string(def.Body) != "null" {
		s.text, err = expr.CompileTemplate(text, expr.ScopeStep)
	} else {
		s.tree, err = expr.CompileJSON(def.Body, expr.ScopeStep)
	}
	return err
}

// content is the body of a request: bytes, nil where there is no body, or a
// blob.
type content struct {
	bytes     []byte
	blob      *weir.Blob
	mediaType string
}

// content returns the body of the request, or the key of the step that is at
// fault.
func (c *call) content(ctx context.Context) (body content, field string, err error) {
	events := c.in.Events
	switch {
	case !pipeline.HasBody(c.method):
		return content{}, "", nil
	case c.text != nil:
		text, err := c.text.Render(c.vars)
		return content{bytes: []byte(text), mediaType: plainText}, "body", err
	case c.tree != nil:
		tree, err := c.tree.Render(c.vars)
		return content{bytes: tree, mediaType: "application/json"}, "body", err
	case c.binary && len(events) != 1:
		return content{}, "mode", weir.E("", weir.Invalid, "binary takes one event, and the batch has %d: say each: true", len(events))
	case c.binary && inBlob(events[0].Event):
		return content{blob: events[0].Event.Blob, mediaType: mediaType(events[0].Event)}, "", nil
	case c.binary:
		return content{bytes: events[0].Event.Data, mediaType: mediaType(events[0].Event)}, "", nil
	}
	if events, err = c.whole(ctx); err != nil {
		return content{}, "body", err
	}
	body.bytes, body.mediaType = structured(events)
	return body, "", nil
}

// structured returns a batch as structured JSON and its media type: the event
// alone, or an array where there is not exactly one.
func structured(events []*weir.Record) ([]byte, string) {
	if len(events) == 1 {
		return appendEvent(nil, events[0]), oneEvent
	}
	b := []byte{'['}
	for i, rec := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEvent(b, rec)
	}
	return append(b, ']'), manyEvents
}

// appendEvent writes an event as it came, with its execution and hops, and
// without what only has a meaning inside of this server.
func appendEvent(b []byte, rec *weir.Record) []byte {
	e := rec.Event
	b = append(b, `{"specversion":"1.0"`...)
	for _, a := range attributes(e) {
		if a.Text != "" {
			b = appendText(appendName(b, a.Name), a.Text)
		}
	}
	if e.ContentType != "" {
		b = appendText(appendName(b, "datacontenttype"), e.ContentType)
	}
	if e.Hops > 0 {
		b = strconv.AppendInt(appendName(b, "hops"), int64(e.Hops), 10)
	}
	for _, x := range e.Extensions {
		b = appendName(b, x.Name)
		if x.Kind == weir.ExtensionString {
			b = appendText(b, x.Value)
		} else {
			b = append(b, x.Value...)
		}
	}
	if inBlob(e) {
		return append(appendText(appendName(b, "dataref"), dataref(rec)), '}')
	}
	return append(appendData(b, e), '}')
}

// attributes are those of an event that are text, "" where it has none. Its
// media type is not among them.
func attributes(e *weir.Event) [7]weir.NamedText {
	return [...]weir.NamedText{
		{Name: "id", Text: e.ID},
		{Name: "source", Text: e.Source},
		{Name: "type", Text: e.Type},
		{Name: "subject", Text: e.Subject},
		{Name: "time", Text: e.Time.String()},
		{Name: "dataschema", Text: e.Schema},
		{Name: "execution", Text: e.Execution},
	}
}

// appendData writes JSON as it is, text as a string, all else in base64.
func appendData(b []byte, e *weir.Event) []byte {
	switch {
	case len(e.Data) == 0:
		return b
	case e.IsJSON():
		return append(appendName(b, "data"), e.Data...)
	case strings.HasPrefix(e.ContentType, "text/") && utf8.Valid(e.Data):
		return appendText(appendName(b, "data"), string(e.Data))
	}
	b = append(appendName(b, "data_base64"), '"')
	return append(base64.StdEncoding.AppendEncode(b, e.Data), '"')
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...) // attribute names need no escapes
	return append(b, '"', ':')
}

func appendText(b []byte, s string) []byte {
	text, _ := json.Marshal(s) // a string: it cannot fail
	return append(b, text...)
}
