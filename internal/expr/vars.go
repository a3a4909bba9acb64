package expr

import (
	"reflect"
	"slices"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"weir"
)

// Fields are named values that a caller gives to expressions: strings, bools,
// ints, floats, weir.Time, JSON, and maps and slices of those.
type Fields map[string]any

// JSON is a value that is given as JSON text, and read only where it is used.
type JSON []byte

// Vars are what the expressions about one event, batch or request see. All
// programs evaluated with the same Vars share what was read of the data. A Vars
// may be used again after Reset; it is not for several goroutines at once, and
// what it was given may not change meanwhile.
type Vars struct {
	Event  *weir.Record   // event and data
	Events []*weir.Record // events; with exactly one, event and data mean that one where Event is nil
	Group  Fields         // "key" is the group's key, as JSON
	Run    Fields
	Result JSON // output of the step before; nil is none
	Header Fields
	Query  Fields
	Body   JSON // nil is none
	Topic  string
	// Secret returns the value of a secret.
	Secret func(name string) (string, error)

	cache [cached]ref.Val
	data  object // the event's data, reused
}

// slot is a variable that is made once per Vars.
type slot int

const (
	slotEvent slot = iota
	slotData
	slotEvents
	slotGroup
	slotRun
	slotResult
	slotHeader
	slotQuery
	slotBody
	slotSecret
	cached
)

// Reset forgets everything but memory that can be used again, and sets the
// event.
func (v *Vars) Reset(event *weir.Record) {
	members := v.data.members[:0]
	if cap(members) > 1024 {
		members = nil
	}
	*v = Vars{Event: event, data: object{members: members}}
}

// Parent makes Vars an activation of CEL: it has none.
func (v *Vars) Parent() cel.Activation { return nil }

// ResolveName returns a variable, for CEL.
func (v *Vars) ResolveName(name string) (any, bool) {
	s, ok := slotOf(name)
	if !ok {
		return types.String(v.Topic), name == "topic"
	}
	if v.cache[s] == nil {
		v.cache[s] = v.make(s)
	}
	return v.cache[s], true
}

func slotOf(name string) (slot, bool) {
	switch name {
	case "event":
		return slotEvent, true
	case "data":
		return slotData, true
	case "events":
		return slotEvents, true
	case "group":
		return slotGroup, true
	case "run":
		return slotRun, true
	case "result":
		return slotResult, true
	case "header":
		return slotHeader, true
	case "query":
		return slotQuery, true
	case "body":
		return slotBody, true
	case "secret":
		return slotSecret, true
	}
	return 0, false
}

func (v *Vars) make(s slot) ref.Val {
	switch s {
	case slotEvent, slotData:
		return v.makeEvent(s)
	case slotEvents:
		list := make([]ref.Val, len(v.Events))
		for i, rec := range v.Events {
			list[i] = &mapping{fields: &event{rec: rec, data: dataOf(rec, &object{})}}
		}
		return types.NewRefValList(adapter{}, list)
	case slotGroup:
		return &mapping{fields: v.Group}
	case slotRun:
		return &mapping{fields: v.Run}
	case slotHeader:
		return &mapping{fields: v.Header}
	case slotQuery:
		return &mapping{fields: v.Query}
	case slotResult:
		return decodeOrAbsent("result", v.Result)
	case slotBody:
		return decodeOrAbsent("body", v.Body)
	default:
		return &mapping{fields: (*secrets)(v)}
	}
}

func (v *Vars) makeEvent(s slot) ref.Val {
	rec := v.Event
	if rec == nil {
		if len(v.Events) > 1 {
			return types.WrapErr(ErrSeveral)
		}
		if len(v.Events) == 0 {
			return absent("event")
		}
		rec = v.Events[0]
	}
	data := v.cache[slotData]
	if data == nil {
		data = dataOf(rec, &v.data)
		v.cache[slotData] = data
	}
	if s == slotData {
		return data
	}
	return &mapping{fields: &event{rec: rec, data: data}}
}

// dataOf reads the data of an event; room is used for an object.
func dataOf(rec *weir.Record, room *object) ref.Val {
	if len(rec.Event.Data) == 0 || !rec.Event.IsJSON() {
		return absent("data")
	}
	first := skipSpace(rec.Event.Data, 0)
	if first < len(rec.Event.Data) && rec.Event.Data[first] == '{' {
		room.raw = rec.Event.Data[first:]
		return &mapping{fields: room}
	}
	return decode(rec.Event.Data, 0)
}

func decodeOrAbsent(name absent, raw JSON) ref.Val {
	if raw == nil {
		return name
	}
	return decode(raw, 0)
}

// secrets is the mapping behind the variable secret.
type secrets Vars

func (s *secrets) find(name string) (ref.Val, bool) {
	if s.Secret == nil {
		return nil, false
	}
	value, err := s.Secret(name)
	if err != nil {
		return types.WrapErr(err), true
	}
	return types.String(value), true
}

func (s *secrets) names() []string { return nil }

// event is what stands behind the variable event: the attributes under their
// CloudEvents names, the extensions, and data.
type event struct {
	rec  *weir.Record
	data ref.Val
}

// An event without a time has that of its acceptance.
func (e *event) find(name string) (ref.Val, bool) {
	ev := e.rec.Event
	switch name {
	case "id":
		return types.String(ev.ID), true
	case "source":
		return types.String(ev.Source), true
	case "type":
		return types.String(ev.Type), true
	case "time":
		return types.Timestamp{Time: ev.TimeOr(e.rec.At).Std()}, true
	case "subject":
		return text(ev.Subject)
	case "datacontenttype":
		return text(ev.ContentType)
	case "dataschema":
		return text(ev.Schema)
	case "execution":
		return text(ev.Execution)
	case "cause":
		return text(ev.Cause.String())
	case "hops":
		return types.Int(ev.Hops), true
	case "data":
		_, none := e.data.(absent)
		return e.data, !none
	}
	return extension(ev, name)
}

func text(s string) (ref.Val, bool) { return types.String(s), s != "" }

func extension(ev *weir.Event, name string) (ref.Val, bool) {
	for _, x := range ev.Extensions {
		if x.Name != name {
			continue
		}
		switch x.Kind {
		case weir.ExtensionInt:
			n, err := strconv.ParseInt(x.Value, 10, 64)
			if err != nil {
				return types.WrapErr(err), true
			}
			return types.Int(n), true
		case weir.ExtensionBool:
			return types.Bool(x.Value == "true"), true
		case weir.ExtensionString:
			return types.String(x.Value), true
		}
	}
	return nil, false
}

var attributes = []string{
	"id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "execution", "cause", "hops", "data",
}

func (e *event) names() []string {
	all := slices.Clone(attributes)
	for _, x := range e.rec.Event.Extensions {
		all = append(all, x.Name)
	}
	return slices.DeleteFunc(all, func(name string) bool {
		_, ok := e.find(name)
		return !ok
	})
}

func (f Fields) find(name string) (ref.Val, bool) {
	v, ok := f[name]
	if !ok {
		return nil, false
	}
	return adapter{}.NativeToValue(v), true
}

func (f Fields) names() []string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// adapter turns Go values into those of CEL.
type adapter struct{}

// NativeToValue converts what Fields may hold, and leaves the rest to CEL.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case ref.Val:
		return v
	case JSON:
		return decode(v, 0)
	case weir.Time:
		return types.Timestamp{Time: v.Std()}
	case Fields:
		return &mapping{fields: v}
	case map[string]any:
		return &mapping{fields: Fields(v)}
	case []any:
		return types.NewDynamicList(a, v)
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

// absent is the variable of that name without a value: it has no fields, and
// fails wherever a value is needed.
type absent string

func (a absent) err() *MissingField { return &MissingField{Name: string(a)} }

// ConvertToNative fails.
func (a absent) ConvertToNative(reflect.Type) (any, error) { return nil, a.err() }

// ConvertToType fails.
func (a absent) ConvertToType(ref.Type) ref.Val { return types.WrapErr(a.err()) }

// Equal fails.
func (a absent) Equal(ref.Val) ref.Val { return types.WrapErr(a.err()) }

// Type returns the type of errors, since nothing else takes it.
func (a absent) Type() ref.Type { return types.ErrType }

// Value returns nil.
func (a absent) Value() any { return nil }
