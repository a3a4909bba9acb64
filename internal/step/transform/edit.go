package transform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// edit is what becomes of one field: it is set to a value, removed, or has
// fields that are edited.
type edit struct {
	name   string
	value  int // place of the value it is set to; -1: none
	remove bool
	fields []*edit // in the order of the definition
}

// at returns the edit at a path below e, which it makes where it is not there.
func (e *edit) at(path []string) *edit {
	for _, name := range path {
		i := slices.IndexFunc(e.fields, func(f *edit) bool { return f.name == name })
		if i < 0 {
			i = len(e.fields)
			e.fields = append(e.fields, &edit{name: name, value: -1})
		}
		e = e.fields[i]
	}
	return e
}

// sets reports whether a field below e is set, so that e must be an object.
func (e *edit) sets() bool {
	return e.value >= 0 || slices.ContainsFunc(e.fields, (*edit).sets)
}

// object appends raw, an object, with the fields of e edited: those that are
// there in their place, new ones after them. What is not edited keeps its
// bytes.
func (e *edit) object(b, raw []byte, values [][]byte) ([]byte, error) {
	members, err := membersOf(raw)
	if err != nil {
		return nil, err
	}
	b = append(b, '{')
	empty := len(b)
	done := make([]bool, len(e.fields))
	for _, m := range members {
		i := slices.IndexFunc(e.fields, func(f *edit) bool { return f.name == m.name })
		if i >= 0 && done[i] {
			continue // a name given twice: the last counts, and stands where the first did
		}
		if i < 0 {
			b = append(separated(b, empty), m.key...)
			b = append(append(b, ':'), m.value...)
			continue
		}
		done[i] = true
		last := members[slices.IndexFunc(members, func(o member) bool { return o.last && o.name == m.name })]
		if b, err = e.fields[i].field(b, empty, last.value, values); err != nil {
			return nil, err
		}
	}
	for i, f := range e.fields {
		if !done[i] && f.sets() {
			if b, err = f.field(b, empty, nil, values); err != nil {
				return nil, err
			}
		}
	}
	return append(b, '}'), nil
}

// field appends the edited field, unless it is removed. Raw is its value now,
// nil where it is not there.
func (e *edit) field(b []byte, empty int, raw []byte, values [][]byte) ([]byte, error) {
	if e.remove {
		return b, nil
	}
	name, err := json.Marshal(e.name)
	if err != nil {
		return nil, err
	}
	b = append(append(separated(b, empty), name...), ':')
	isObject := bytes.HasPrefix(raw, []byte{'{'})
	switch {
	case e.value >= 0 && len(e.fields) == 0:
		return append(b, values[e.value]...), nil
	case e.value >= 0:
		raw, isObject = values[e.value], bytes.HasPrefix(values[e.value], []byte{'{'})
	case !isObject && !e.sets():
		return append(b, raw...), nil // nothing below it to remove
	case raw == nil || string(raw) == "null":
		raw, isObject = []byte("{}"), true
	}
	if !isObject {
		return nil, fmt.Errorf("%s is %s, and has no fields to set", e.name, clip(raw))
	}
	if b, err = e.object(b, raw, values); err != nil {
		return nil, fmt.Errorf("%s: %w", e.name, err)
	}
	return b, nil
}

// separated appends a comma where a member stands before.
func separated(b []byte, empty int) []byte {
	if len(b) > empty {
		return append(b, ',')
	}
	return b
}

func clip(raw []byte) []byte {
	if len(raw) > 40 {
		return append(bytes.ToValidUTF8(raw[:40:40], nil), "…"...)
	}
	return raw
}

// member is one entry of an object.
type member struct {
	name  string
	key   []byte // as it is written, with quotes
	value []byte
	last  bool // of this name
}

// membersOf reads the entries of an object.
func membersOf(raw []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("is %s, and not an object", clip(raw))
	}
	var all []member
	last := map[string]int{}
	for dec.More() {
		from := dec.InputOffset()
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{key: bytes.TrimLeft(raw[from:dec.InputOffset()], ", \t\r\n"), last: true}
		m.name, _ = name.(string)
		if err := dec.Decode((*json.RawMessage)(&m.value)); err != nil {
			return nil, err
		}
		if i, ok := last[m.name]; ok {
			all[i].last = false
		}
		last[m.name] = len(all)
		all = append(all, m)
	}
	return all, nil
}
