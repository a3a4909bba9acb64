package client

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir"
)

// AppendEvent appends the event's CloudEvents JSON to dst. Data that is JSON
// stands there as it is, other data as a string or, where it is not text, in
// base64.
func AppendEvent(dst []byte, e *weir.Event) []byte {
	dst = append(dst, '{')
	dst = appendAttributes(dst, e)
	return append(dst, '}')
}

// MarshalJSON writes the event's CloudEvents JSON with uid, seq and at.
func (e Event) MarshalJSON() ([]byte, error) {
	dst := append(make([]byte, 0, 512+len(e.Data)), '{')
	dst = appendAttributes(dst, &e.Event)
	dst = appendMember(dst, "uid", e.UID)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
	dst = appendMember(dst, "at", e.At.String())
	return append(dst, '}'), nil
}

// AppendReceipts appends the JSON of Receipts with these events: encoding/json
// would take a tenth of what it costs to take events in batches.
func AppendReceipts(dst []byte, events []Receipt) []byte {
	dst = append(dst, `{"events":[`...)
	for i := range events {
		r := &events[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"id":`...), r.ID)
		dst = appendString(append(dst, `,"uid":`...), r.UID)
		dst = strconv.AppendUint(append(dst, `,"seq":`...), uint64(r.Seq), 10)
		dst = strconv.AppendBool(append(dst, `,"duplicate":`...), r.Duplicate)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

func appendAttributes(dst []byte, e *weir.Event) []byte {
	dst = append(dst, `"specversion":"1.0"`...)
	dst = appendMember(dst, "id", e.ID)
	dst = appendMember(dst, "source", e.Source)
	dst = appendMember(dst, "type", e.Type)
	dst = appendMember(dst, "subject", e.Subject)
	dst = appendMember(dst, "time", e.Time.String())
	dst = appendMember(dst, "datacontenttype", e.ContentType)
	dst = appendMember(dst, "dataschema", e.Schema)
	dst = appendMember(dst, "execution", e.Execution)
	dst = appendMember(dst, "cause", e.Cause.String())
	if e.Hops > 0 {
		dst = append(dst, `,"hops":`...)
		dst = strconv.AppendInt(dst, int64(e.Hops), 10)
	}
	for _, x := range e.Extensions {
		if x.Kind == weir.ExtensionString {
			dst = appendName(dst, x.Name)
			dst = appendString(dst, x.Value)
			continue
		}
		dst = appendName(dst, x.Name)
		dst = append(dst, x.Value...)
	}
	return appendData(dst, e)
}

func appendData(dst []byte, e *weir.Event) []byte {
	switch {
	case e.Data == nil:
		return dst
	case e.IsJSON():
		dst = append(dst, `,"data":`...)
		return append(dst, e.Data...)
	case utf8.Valid(e.Data):
		dst = append(dst, `,"data":`...)
		return appendString(dst, string(e.Data))
	}
	dst = append(dst, `,"data_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, e.Data)
	return append(dst, '"')
}

func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(appendName(dst, name), value)
}

func appendName(dst []byte, name string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

// appendString writes s as a JSON string, by hand where nothing in it needs an
// escape.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(s) // a string always has a JSON form
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// eventJSON are the members of an event that are no extensions.
type eventJSON struct {
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject"`
	Time        weir.Time       `json:"time"`
	ContentType string          `json:"datacontenttype"`
	Schema      string          `json:"dataschema"`
	Execution   string          `json:"execution"`
	Cause       string          `json:"cause"`
	Hops        int             `json:"hops"`
	UID         string          `json:"uid"`
	Seq         weir.Seq        `json:"seq"`
	At          weir.Time       `json:"at"`
	Data        json.RawMessage `json:"data"`
	Base64      []byte          `json:"data_base64"`
}

// members are the names in eventJSON, and specversion, which is always 1.0.
var members = []string{
	"at", "cause", "data", "data_base64", "datacontenttype", "dataschema", "execution", "hops", "id", "seq", "source",
	"specversion", "subject", "time", "type", "uid",
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Event) UnmarshalJSON(b []byte) error {
	var j eventJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*e = Event{UID: j.UID, Seq: j.Seq, At: j.At, Event: weir.Event{
		ID: j.ID, Source: j.Source, Type: j.Type, Subject: j.Subject, Time: j.Time, ContentType: j.ContentType,
		Schema: j.Schema, Execution: j.Execution, Hops: j.Hops,
	}}
	if j.Cause != "" {
		cause, err := weir.ParseRunID(j.Cause)
		if err != nil {
			return err
		}
		e.Cause = cause
	}
	for name, value := range all {
		if _, found := slices.BinarySearch(members, name); !found {
			e.Extensions = append(e.Extensions, extension(name, value))
		}
	}
	slices.SortFunc(e.Extensions, func(a, b weir.Extension) int { return strings.Compare(a.Name, b.Name) })
	return e.setData(j.Data, j.Base64)
}

func (e *Event) setData(data json.RawMessage, binary []byte) error {
	switch {
	case binary != nil:
		e.Data = binary
	case data == nil || e.IsJSON():
		e.Data = data
	default:
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		e.Data = []byte(text)
	}
	return nil
}

func extension(name string, value json.RawMessage) weir.Extension {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return weir.Extension{Name: name, Value: text}
	}
	if s := string(value); s == "true" || s == "false" {
		return weir.Extension{Name: name, Kind: weir.ExtensionBool, Value: s}
	}
	return weir.Extension{Name: name, Kind: weir.ExtensionInt, Value: string(value)}
}
