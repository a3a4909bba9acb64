package ingest

import (
	"cmp"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir"
)

// Limits bound what one request may bring. A zero stands for what DefaultLimits
// says.
type Limits struct {
	Data   int   // bytes of one event's data
	Inline int   // bytes of data that stand in the journal; what is longer is kept as a blob
	Body   int64 // bytes of a body, of a line, and of the lines that are taken together
	Events int   // of a batch
	Lines  int   // of an upload that are taken together
	File   int64 // bytes of an uploaded file
	Files  int   // of one form
	Fields int64 // bytes of the other fields of a form, with their names
}

// DefaultLimits returns the limits that hold where nothing else is set.
func DefaultLimits() Limits {
	return Limits{
		Data: 1 << 20, Inline: 256 << 10, Body: 8 << 20, Events: 1000, Lines: 1000, File: 100 << 20, Files: 100, Fields: 64 << 10,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	return Limits{
		Data: cmp.Or(l.Data, d.Data), Inline: cmp.Or(l.Inline, d.Inline), Body: cmp.Or(l.Body, d.Body),
		Events: cmp.Or(l.Events, d.Events), Lines: cmp.Or(l.Lines, d.Lines), File: cmp.Or(l.File, d.File),
		Files: cmp.Or(l.Files, d.Files), Fields: cmp.Or(l.Fields, d.Fields),
	}
}

// Form is how a request brings its events.
type Form uint8

// The forms.
const (
	Whole   Form = iota + 1 // a body that is read before it is decoded: an event or a batch
	InLines                 // one event a line, for Door.TakeLines
	InFiles                 // one event a file, for Door.TakeFiles
)

// FormOf returns the form that a request's headers tell, of which those that
// matter here may not be there twice.
func FormOf(h http.Header) (Form, error) {
	for _, name := range []string{"Content-Type", "Content-Encoding", "Idempotency-Key"} {
		if len(h[name]) > 1 {
			return 0, weir.E("", weir.Invalid, "given twice").WithField(strings.ToLower(name))
		}
	}
	header := h.Get("Content-Type")
	if isStructured(header) || isBinary(h) || header == jsonType {
		return Whole, nil
	}
	switch kind, _, _ := mime.ParseMediaType(header); kind {
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return InLines, nil
	case "multipart/form-data":
		if compressed, err := isCompressed(h); err != nil || compressed {
			return 0, withField(notTaken("a form is not taken with an encoding"), "content-encoding")
		}
		return InFiles, nil
	}
	return Whole, nil
}

// Body is what a request brought. Bytes belongs to the events decoded from it.
type Body struct {
	Header http.Header // Content-Type, and the attributes of an event in binary mode
	Bytes  []byte

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
	d := decoder{scanner: scanner{b: b.Bytes}, limits: l}
	contentType := b.Header.Get("Content-Type")
	if isBinary(b.Header) && !isStructured(contentType) {
		err := d.headers(b.Header, contentType)
		return Decoded{Events: d.events}, err
	}
	kind, err := mediaType(contentType)
	if err != nil {
		return Decoded{}, err
	}
	if kind != eventType && kind != batchType && kind != jsonType {
		return Decoded{}, wrongType("content type %q is not taken", kind)
	}
	if err := checkUTF8(b.Bytes); err != nil {
		return Decoded{}, err
	}
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

func notTaken(format string, args ...any) error {
	e := weir.E("", weir.Invalid, format, args...)
	e.Err = ErrContentType
	return e
}

// wrongType is notTaken of a media type, with those to use.
func wrongType(format string, args ...any) error {
	args = append(args, eventType, batchType, jsonType)
	return withField(notTaken(format+": use %s, %s, %s, application/x-ndjson or multipart/form-data, or the header ce-specversion", args...),
		"content-type")
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
	return weir.E("", weir.TooLarge, "longer than %d bytes, which are the most", l.Body).WithField("body")
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
	if header == "" {
		return "", wrongType("there is no content type")
	}
	kind, params, err := mime.ParseMediaType(header)
	if err != nil {
		return "", wrongType("content type %q is no media type", clip(header, maxRepeated))
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", withField(notTaken("charset %q is not taken: JSON is UTF-8", clip(charset, maxRepeated)), "content-type")
	}
	return kind, nil
}

// plain reads one event whose data is the body and whose attributes are the
// query's.
func (d *decoder) plain(b Body) error {
	e := d.next()
	e.ID, e.Source, e.ContentType = b.Key, b.Source, jsonType
	if err := setValues(e, b.Query); err != nil {
		return err
	}
	if e.ID == "" {
		e.ID = NewID(time.Now())
	}
	return d.plainData(e)
}

// plainData reads data that has nothing around it.
func (d *decoder) plainData(e *weir.Event) error {
	d.space()
	from := d.i
	if err := d.value(MaxDepth); err != nil {
		return err
	}
	e.Data = d.b[from:d.i:d.i]
	return d.end()
}

// setValues sets the attributes that a query or a form tells.
func setValues(e *weir.Event, values url.Values) error {
	for name, all := range values {
		if len(all) > 1 {
			return weir.E("", weir.Invalid, "given twice").WithField(name)
		}
		if all[0] == "" {
			return weir.E("", weir.Invalid, "may not be empty").WithField(name)
		}
		if name == "specversion" || name == "datacontenttype" || name == "hops" {
			return weir.E("", weir.Invalid, "is not taken here: use %s", eventType).WithField(name)
		}
		if err := setText(e, name, all[0]); err != nil {
			return err
		}
	}
	slices.SortFunc(e.Extensions, byName)
	return nil
}

// setText sets an attribute whose value is text.
func setText(e *weir.Event, name, value string) error {
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
