package ingest

import (
	"encoding/base64"
	"slices"
	"strconv"

	"weir"
)

// decoder reads CloudEvents in JSON in one pass. Data is not copied: it is a
// part of the body.
type decoder struct {
	scanner
	limits Limits
	events []*weir.Event
	slab   []weir.Event

	// Of the event being read:
	seen   attribute
	data   span
	binary string // data_base64
}

// span is where a value stands in the body.
type span struct{ from, to int }

// attribute is a set of the names that an event in JSON has of its own.
type attribute uint16

const (
	attrVersion attribute = 1 << iota
	attrID
	attrSource
	attrType
	attrSubject
	attrTime
	attrContentType
	attrSchema
	attrExecution
	attrHops
	attrData
	attrBase64
)

func attributeOf(name []byte) attribute {
	switch string(name) {
	case "specversion":
		return attrVersion
	case "id":
		return attrID
	case "source":
		return attrSource
	case "type":
		return attrType
	case "subject":
		return attrSubject
	case "time":
		return attrTime
	case "datacontenttype":
		return attrContentType
	case "dataschema":
		return attrSchema
	case "execution":
		return attrExecution
	case "hops":
		return attrHops
	case "data":
		return attrData
	case "data_base64":
		return attrBase64
	}
	return 0
}

// batch reads an array of events. An error names the event's place.
func (d *decoder) batch() error {
	if err := d.take('[', "an array of events"); err != nil {
		return err
	}
	if d.space() == ']' {
		d.i++
		return d.end()
	}
	for n := 0; ; n++ {
		if n == d.limits.Events {
			return weir.E("", weir.TooLarge, "more than %d events in a batch", d.limits.Events).WithField("events")
		}
		if err := d.event(); err != nil {
			return withIndex(err, n)
		}
		more, err := d.more(']')
		if err != nil {
			return err
		}
		if !more {
			return d.end()
		}
	}
}

// next returns a new event, the last of events.
func (d *decoder) next() *weir.Event {
	if len(d.slab) == 0 {
		d.slab = make([]weir.Event, min(max(1, 2*len(d.events)), 128))
	}
	e := &d.slab[0]
	d.slab = d.slab[1:]
	d.events = append(d.events, e)
	return e
}

// event reads one object.
func (d *decoder) event() error {
	e := d.next()
	d.seen, d.data, d.binary = 0, span{}, ""
	if err := d.take('{', "an event, which is an object,"); err != nil {
		return err
	}
	if d.space() == '}' {
		d.i++
		return weir.E("", weir.Invalid, "is required").WithField("specversion")
	}
	for {
		if err := d.member(e); err != nil {
			return err
		}
		more, err := d.more('}')
		if err != nil {
			return err
		}
		if !more {
			return d.finish(e)
		}
	}
}

// finish does what needs the whole event.
func (d *decoder) finish(e *weir.Event) error {
	if d.seen&attrVersion == 0 {
		return weir.E("", weir.Invalid, "is required").WithField("specversion")
	}
	if len(e.Extensions) > 1 {
		slices.SortFunc(e.Extensions, byName)
	}
	return d.setData(e)
}

// member reads a name and its value.
func (d *decoder) member(e *weir.Event) error {
	if d.space() != '"' {
		return d.fail("a name")
	}
	name, err := d.text()
	if err != nil {
		return err
	}
	if name, err = unescaped(name); err != nil {
		return err
	}
	if err := d.take(':', "a colon"); err != nil {
		return err
	}
	a := attributeOf(name)
	if a == 0 {
		return d.extension(e, string(name))
	}
	if d.seen&a != 0 {
		return weir.E("", weir.Invalid, "given twice").WithField(string(name))
	}
	d.seen |= a
	if a == attrData {
		d.space()
		d.data.from = d.i
		err := d.value(MaxDepth)
		d.data.to = d.i
		return err
	}
	return d.attribute(e, a, name)
}

// attribute reads the value of one of the attributes that are no extensions. A
// null is an attribute that is not there.
func (d *decoder) attribute(e *weir.Event, a attribute, name []byte) error {
	switch c := d.space(); {
	case c == 'n':
		d.seen &^= a
		return d.literal("null")
	case a == attrHops:
		return d.hops(e)
	case c != '"':
		return weir.E("", weir.Invalid, "is not a string").WithField(string(name))
	}
	raw, err := d.text()
	if err != nil {
		return err
	}
	if raw, err = unescaped(raw); err != nil {
		return withField(err, string(name))
	}
	if len(raw) == 0 && a != attrBase64 {
		return weir.E("", weir.Invalid, "may not be empty").WithField(string(name))
	}
	switch a {
	case attrVersion:
		if string(raw) != "1.0" {
			return weir.E("", weir.Invalid, "%q is not taken: use 1.0", raw).WithField("specversion")
		}
	case attrTime:
		return setTime(e, string(raw))
	case attrBase64:
		d.binary = string(raw)
	default:
		*d.field(e, a) = d.share(a, raw)
	}
	return nil
}

// field returns where an attribute that is plain text stands in an event.
func (d *decoder) field(e *weir.Event, a attribute) *string {
	switch a {
	case attrID:
		return &e.ID
	case attrSource:
		return &e.Source
	case attrType:
		return &e.Type
	case attrSubject:
		return &e.Subject
	case attrContentType:
		return &e.ContentType
	case attrSchema:
		return &e.Schema
	default:
		return &e.Execution
	}
}

// share makes text a string: the one of the event before where it is the same,
// as it mostly is in a batch.
func (d *decoder) share(a attribute, text []byte) string {
	if n := len(d.events); n > 1 && a != attrID {
		if before := *d.field(d.events[n-2], a); before == string(text) {
			return before
		}
	}
	return string(text)
}

func (d *decoder) hops(e *weir.Event) error {
	from := d.i
	if err := d.value(0); err != nil {
		return err
	}
	n, err := strconv.ParseInt(string(d.b[from:d.i]), 10, 32)
	if err != nil {
		return weir.E("", weir.Invalid, "%s is not a 32-bit integer", clip(string(d.b[from:d.i]), 40)).WithField("hops")
	}
	e.Hops = int(n)
	return nil
}

// extension reads an extension's value: a string, an integer or a boolean.
func (d *decoder) extension(e *weir.Event, name string) error {
	c := d.space()
	from := d.i
	if err := d.value(MaxDepth); err != nil {
		return err
	}
	raw := d.b[from:d.i]
	x := weir.Extension{Name: name}
	switch c {
	case 'n':
		return nil
	case '"':
		text, err := unescaped(raw[1 : len(raw)-1])
		if err != nil {
			return withField(err, name)
		}
		x.Value = string(text)
	case 't', 'f':
		x.Kind, x.Value = weir.ExtensionBool, string(raw)
	case '{', '[':
		return weir.E("", weir.Invalid, "is not a string, an integer or a boolean").WithField(name)
	default:
		n, err := strconv.ParseInt(string(raw), 10, 32)
		if err != nil {
			return weir.E("", weir.Invalid, "%s is not a 32-bit integer", clip(string(raw), 40)).WithField(name)
		}
		x.Kind, x.Value = weir.ExtensionInt, strconv.FormatInt(n, 10)
	}
	if len(e.Extensions) == weir.MaxExtensions {
		return weir.E("", weir.Invalid, "more than %d extensions", weir.MaxExtensions).WithField("extensions")
	}
	e.Extensions = append(e.Extensions, x)
	return nil
}

// setData gives the event its data, by its content type: JSON as it stands in
// the body, anything else from a string or from base64 (JSON format, 3.1).
func (d *decoder) setData(e *weir.Event) error {
	switch {
	case d.seen&attrData != 0 && d.seen&attrBase64 != 0:
		return weir.E("", weir.Invalid, "data and data_base64 are both given").WithField("data_base64")
	case d.seen&attrBase64 != 0:
		return d.setBinary(e)
	case d.seen&attrData == 0:
		return nil
	}
	raw := d.b[d.data.from:d.data.to:d.data.to]
	if e.IsJSON() {
		e.Data = raw
		return nil
	}
	if raw[0] != '"' {
		return weir.E("", weir.Invalid, "is JSON, and %s is not: give a string or data_base64", e.ContentType).WithField("data")
	}
	text, err := unescaped(raw[1 : len(raw)-1])
	e.Data = text
	return withField(err, "data")
}

func (d *decoder) setBinary(e *weir.Event) error {
	bytes, err := base64.StdEncoding.DecodeString(d.binary)
	if err != nil {
		return weir.E("", weir.Invalid, "is not base64").WithField("data_base64")
	}
	e.Data = bytes
	if e.IsJSON() && CheckJSON(bytes) != nil {
		return weir.E("", weir.Invalid, "is not JSON, which it is said to be: give its datacontenttype").WithField("data_base64")
	}
	return nil
}

// CheckJSON fails where b is not one JSON value in UTF-8 that Weir takes as
// data.
func CheckJSON(b []byte) error {
	if err := checkUTF8(b); err != nil {
		return err
	}
	s := scanner{b: b}
	if err := s.value(MaxDepth); err != nil {
		return err
	}
	return s.end()
}
