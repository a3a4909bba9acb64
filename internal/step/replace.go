package step

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"weir"
	"weir/internal/pipeline"
)

// IsJSON reports whether b is one JSON value that every reader takes: in valid
// UTF-8 (RFC 8259, section 8.1).
func IsJSON(b []byte) bool { return utf8.Valid(b) && json.Valid(b) }

// ReplaceEach gives each event the item of output, a JSON array, that is at its
// place as its data.
func ReplaceEach(events []*weir.Record, output []byte) ([]*weir.Record, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(output, &items); err != nil || len(items) != len(events) {
		return nil, weir.E("", weir.Invalid, "%d answers cannot replace %d events", len(items), len(events))
	}
	out := make([]*weir.Record, len(events))
	for i, rec := range events {
		out[i] = WithData(rec, items[i])
	}
	return out, nil
}

// Replace returns the batch that a JSON value makes of the batch of in: an array
// of CloudEvents is the new batch; an array of as many other objects as there
// are events is the data of each; any other value is the data of the batch's
// only event. The same value always makes the same batch.
func Replace(in *Input, output []byte) ([]*weir.Record, error) {
	var items []json.RawMessage
	if !bytes.HasPrefix(bytes.TrimSpace(output), []byte{'['}) {
		if len(in.Events) != 1 {
			return nil, weir.E("", weir.Invalid, "one value cannot replace %d events: answer an array, or say each: true", len(in.Events))
		}
		return []*weir.Record{WithData(in.Events[0], output)}, nil
	}
	if err := json.Unmarshal(output, &items); err != nil {
		return nil, weir.E("", weir.Invalid, "is not JSON: %w", err)
	}
	objects := make([]map[string]json.RawMessage, len(items))
	events := 0
	for i, item := range items {
		if err := json.Unmarshal(item, &objects[i]); err != nil || objects[i] == nil {
			return nil, weir.E("", weir.Invalid, "is not an object").WithIndex(i)
		}
		if _, ok := objects[i]["specversion"]; ok {
			events++
		}
	}
	switch {
	case events == len(items):
		return newBatch(in.Run, objects)
	case events > 0:
		return nil, weir.E("", weir.Invalid, "%d of %d items are CloudEvents: all or none must be", events, len(items))
	}
	return ReplaceEach(in.Events, output)
}

// WithData returns the event with other data, which is JSON: it is the same
// event, and only its data and what is said of it are new.
func WithData(rec *weir.Record, data []byte) *weir.Record {
	e := *rec.Event
	e.Data, e.Blob, e.Schema = data, nil, ""
	if !e.IsJSON() {
		e.ContentType = ""
	}
	r := *rec
	r.Event = &e
	return &r
}

// newBatch makes events that are in no journal: their seq is the place in their
// batch.
func newBatch(run *weir.Run, objects []map[string]json.RawMessage) ([]*weir.Record, error) {
	out := make([]*weir.Record, len(objects))
	for i, members := range objects {
		e, err := eventOf(members)
		if err != nil {
			return nil, weir.E("", weir.Invalid, "item %d: %w", i, err)
		}
		if e.Execution == "" {
			e.Execution = pipeline.Execution(run)
		}
		e.Cause, e.Hops = run.ID, run.Firing.Hops
		out[i] = &weir.Record{Seq: weir.Seq(i + 1), At: run.Firing.Made, Project: run.Project, Event: e}
	}
	return out, nil
}

// eventOf reads an event as CloudEvents JSON format 1.0.2 has it.
func eventOf(members map[string]json.RawMessage) (*weir.Event, error) {
	e := &weir.Event{}
	var version, at string
	attributes := map[string]*string{
		"specversion": &version, "id": &e.ID, "source": &e.Source, "type": &e.Type, "subject": &e.Subject, "time": &at,
		"datacontenttype": &e.ContentType, "dataschema": &e.Schema, "execution": &e.Execution,
	}
	for name, value := range members {
		switch into := attributes[name]; {
		case name == "data", name == "data_base64", name == "hops", string(value) == "null":
		case into == nil:
			x, err := extension(name, value)
			if err != nil {
				return nil, err
			}
			e.Extensions = append(e.Extensions, x)
		default:
			if json.Unmarshal(value, into) != nil {
				return nil, weir.E("", weir.Invalid, "is not a string").WithField(name)
			}
		}
	}
	slices.SortFunc(e.Extensions, func(a, b weir.Extension) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	if version != "1.0" {
		return nil, weir.E("", weir.Invalid, "%q is not 1.0", version).WithField("specversion")
	}
	var err error
	if at != "" {
		if e.Time, err = weir.ParseTime(at); err != nil {
			return nil, weir.E("", weir.Invalid, "%w", err).WithField("time")
		}
	}
	if e.Data, err = dataOf(members, e.IsJSON()); err != nil {
		return nil, err
	}
	return e, e.Validate()
}

// dataOf reads data and data_base64 (section 3.1): a string is the data itself
// where that is not JSON.
func dataOf(members map[string]json.RawMessage, isJSON bool) ([]byte, error) {
	data, plain := members["data"]
	encoded, binary := members["data_base64"]
	var text string
	switch {
	case plain && binary:
		return nil, weir.E("", weir.Invalid, "is given beside data").WithField("data_base64")
	case binary:
		if json.Unmarshal(encoded, &text) != nil {
			return nil, weir.E("", weir.Invalid, "is not a string").WithField("data_base64")
		}
		out, err := base64.StdEncoding.DecodeString(text)
		if err != nil || isJSON && !IsJSON(out) {
			return nil, weir.E("", weir.Invalid, "is not what datacontenttype says, in base64").WithField("data_base64")
		}
		return out, nil
	case plain && !isJSON && json.Unmarshal(data, &text) == nil:
		return []byte(text), nil
	}
	return data, nil
}

func extension(name string, value json.RawMessage) (weir.Extension, error) {
	x := weir.Extension{Name: name}
	_, err := strconv.ParseInt(string(value), 10, 32)
	switch {
	case json.Unmarshal(value, &x.Value) == nil:
	case string(value) == "true" || string(value) == "false":
		x.Kind, x.Value = weir.ExtensionBool, string(value)
	case err == nil:
		x.Kind, x.Value = weir.ExtensionInt, string(value)
	default:
		return x, weir.E("", weir.Invalid, "is no string, bool or 32-bit integer").WithField(name)
	}
	return x, nil
}
