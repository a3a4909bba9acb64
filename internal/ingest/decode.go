package ingest

import (
	"errors"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir"
)

// Limits bound what one request may bring.
type Limits struct {
	Data   int   // bytes of one event's data
	Body   int64 // bytes of a body
	Events int   // of a batch
}

// DefaultLimits returns the limits that hold where nothing else is set.
func DefaultLimits() Limits {
	return Limits{Data: 1 << 20, Body: 8 << 20, Events: 1000}
}

// Body is what a request brought. Bytes belongs to the events decoded from it.
type Body struct {
	ContentType string
	Bytes       []byte

	// For plain JSON, where the body is the data of one event:
	Query  url.Values // its attributes
	Key    string     // its id where Query has none; "" makes one
	Source string     // where Query has none
}

// ErrContentType is the cause of the error about a media type that no decoder
// takes.
var ErrContentType = errors.New("content type not taken")

// Decode reads the events of a body. Where it fails, the last event returned is
// the one at fault, as far as it was read. Attributes are not validated: the
// door does that.
func (l Limits) Decode(b Body) (Decoded, error) {
	if int64(len(b.Bytes)) > l.Body {
		return Decoded{}, l.tooLarge()
	}
	kind, err := mediaType(b.ContentType)
	if err != nil {
		return Decoded{}, err
	}
	switch kind {
	case eventType, batchType, jsonType:
	default:
		e := weir.E("", weir.Invalid, "content type %q is not taken: use %s, %s or %s", kind, eventType, batchType, jsonType)
		e.Err = ErrContentType
		return Decoded{}, e
	}
	if err := checkUTF8(b.Bytes); err != nil {
		return Decoded{}, err
	}
	d := decoder{scanner: scanner{b: b.Bytes}, limits: l}
	switch kind {
	case batchType:
		err = d.batch()
		return Decoded{Events: d.events, Batch: true}, err
	case eventType:
		if err = d.event(); err == nil {
			err = d.end()
		}
	default:
		err = d.plain(b)
	}
	return Decoded{Events: d.events}, err
}

// Decoded are the events of one body. In a batch, errors name their place.
type Decoded struct {
	Events []*weir.Event
	Batch  bool
}

// The media types that are taken.
const (
	eventType = "application/cloudevents+json"
	batchType = "application/cloudevents-batch+json"
	jsonType  = "application/json"
)

func (l Limits) tooLarge() *weir.Error {
	return weir.E("", weir.TooLarge, "the body is longer than %d bytes", l.Body)
}

func (l Limits) dataTooLarge(n int) *weir.Error {
	return weir.E("", weir.TooLarge, "%d bytes long, and %d are the most", n, l.Data).WithField("data")
}

// mediaType returns the type of a Content-Type header without its parameters,
// of which only charset=utf-8 means something.
func mediaType(header string) (string, error) {
	switch header {
	case eventType, batchType, jsonType:
		return header, nil
	}
	kind, params, err := mime.ParseMediaType(header)
	if err != nil {
		e := weir.E("", weir.Invalid, "content type %q is no media type", header)
		e.Err = ErrContentType
		return "", e
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		e := weir.E("", weir.Invalid, "charset %q is not taken: JSON is UTF-8", charset)
		e.Err = ErrContentType
		return "", e
	}
	return kind, nil
}

// plain reads one event whose data is the body and whose attributes are the
// query's.
func (d *decoder) plain(b Body) error {
	e := d.next()
	e.ID, e.Source, e.ContentType = b.Key, b.Source, jsonType
	if err := plainAttributes(e, b.Query); err != nil {
		return err
	}
	if e.ID == "" {
		e.ID = NewID(time.Now())
	}
	d.space()
	from := d.i
	if err := d.value(MaxDepth); err != nil {
		return err
	}
	e.Data = d.b[from:d.i:d.i]
	return d.end()
}

func plainAttributes(e *weir.Event, query url.Values) error {
	for name, values := range query {
		if len(values) > 1 {
			return weir.E("", weir.Invalid, "given twice").WithField(name)
		}
		value := values[0]
		if value == "" {
			return weir.E("", weir.Invalid, "may not be empty").WithField(name)
		}
		if err := setPlain(e, name, value); err != nil {
			return err
		}
	}
	slices.SortFunc(e.Extensions, byName)
	return nil
}

func setPlain(e *weir.Event, name, value string) error {
	switch name {
	case "id":
		e.ID = value
	case "source":
		e.Source = value
	case "type":
		e.Type = value
	case "subject":
		e.Subject = value
	case "dataschema":
		e.Schema = value
	case "execution":
		e.Execution = value
	case "time":
		return setTime(e, value)
	case "specversion", "datacontenttype", "hops":
		return weir.E("", weir.Invalid, "is not taken with plain JSON: use %s", eventType).WithField(name)
	default:
		e.Extensions = append(e.Extensions, weir.Extension{Name: name, Value: value})
	}
	return nil
}

func setTime(e *weir.Event, text string) error {
	t, err := weir.ParseTime(text)
	if err != nil {
		return weir.E("", weir.Invalid, "%q is not an RFC 3339 time such as 2026-01-31T09:30:00Z", text).WithField("time")
	}
	e.Time = t
	return nil
}

func byName(a, b weir.Extension) int { return strings.Compare(a.Name, b.Name) }
