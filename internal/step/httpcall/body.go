package httpcall

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir"
)

// The media types of what is sent: CloudEvents JSON format 1.0.2, sections 3
// and 4.
const (
	oneEvent   = "application/cloudevents+json"
	manyEvents = "application/cloudevents-batch+json"
)

// body returns a batch as structured JSON and its media type: the event alone,
// or an array where there is not exactly one.
func body(events []*weir.Record) ([]byte, string) {
	if len(events) == 1 {
		return appendEvent(nil, events[0].Event), oneEvent
	}
	b := []byte{'['}
	for i, rec := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEvent(b, rec.Event)
	}
	return append(b, ']'), manyEvents
}

// appendEvent writes an event as it came, with its execution and hops, and
// without what only has a meaning inside of this server.
func appendEvent(b []byte, e *weir.Event) []byte {
	b = append(b, `{"specversion":"1.0"`...)
	for _, a := range []struct{ name, value string }{
		{"id", e.ID},
		{"source", e.Source},
		{"type", e.Type},
		{"subject", e.Subject},
		{"time", e.Time.String()},
		{"datacontenttype", e.ContentType},
		{"dataschema", e.Schema},
		{"execution", e.Execution},
	} {
		if a.value != "" {
			b = appendText(appendName(b, a.name), a.value)
		}
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
	return append(appendData(b, e), '}')
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
