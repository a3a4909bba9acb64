package export

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"weir/internal/project/yaml"
)

// A value is a string, a mapping, a list, or what JSON has besides: a
// json.Number, a bool or nil.
type (
	mapping []entry
	list    []any
	entry   struct {
		key   string
		value any
	}
)

// set adds a key, unless its value is the zero one of the type.
func set[T comparable](m *mapping, key string, v T) {
	var zero T
	if v != zero {
		*m = append(*m, entry{key, v})
	}
}

// add adds a key with a list or mapping, unless that is nil.
func add(m *mapping, key string, v any) {
	if v != nil {
		*m = append(*m, entry{key, v})
	}
}

// fromJSON reads JSON into values, with numbers as they are written and keys in
// their order.
func fromJSON(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return next(d)
}

// next reads one value. What is stored was validated: it is JSON.
func next(d *json.Decoder) any {
	token, _ := d.Token()
	switch token {
	case json.Delim('{'):
		m := mapping{}
		for d.More() {
			key, _ := d.Token()
			m = append(m, entry{key.(string), next(d)}) //nolint:forcetypeassert // keys of JSON are strings
		}
		_, _ = d.Token()
		return m
	case json.Delim('['):
		l := list{}
		for d.More() {
			l = append(l, next(d))
		}
		_, _ = d.Token()
		return l
	}
	return token
}

const (
	width = 110 // of a line that is written in one
	wide  = 2   // the depth from which on that is tried
)

// writer writes values as YAML.
type writer struct{ bytes.Buffer }

// block writes what stands behind a key or dash at a depth: on its line where it
// is short, else below it.
func (w *writer) block(v any, depth int) {
	if w.short(v, depth) {
		return
	}
	switch v := v.(type) {
	case mapping:
		w.WriteByte('\n')
		w.mapping(v, depth, false)
	case list:
		w.WriteByte('\n')
		for _, item := range v {
			w.indent(depth)
			w.WriteByte('-')
			if m, ok := item.(mapping); ok && !w.short(m, depth+1) {
				w.WriteByte(' ')
				w.mapping(m, depth+1, true)
			} else if !ok {
				w.block(item, depth+1)
			}
		}
	case string:
		w.text(v, depth)
	}
}

// short writes a value on one line, if it fits and is not better read below.
func (w *writer) short(v any, depth int) bool {
	text, ok := inline(v)
	fits := 2*depth+utf8.RuneCountInString(text) <= width
	switch v := v.(type) {
	case mapping:
		ok = ok && (len(v) == 0 || depth >= wide && fits)
	case list:
		ok = ok && (len(v) <= 1 && fits || isLeaf(v) && fits || len(v) == 0)
	}
	if ok {
		w.WriteString(" " + text + "\n")
	}
	return ok
}

// mapping writes the entries of a mapping, the first of them behind what already
// stands on its line, if begun.
func (w *writer) mapping(m mapping, depth int, begun bool) {
	for i, e := range m {
		if i > 0 || !begun {
			w.indent(depth)
		}
		w.WriteString(scalar(e.key) + ":")
		w.block(e.value, depth+1)
	}
}

// text writes a string of several lines as they are, if that is possible.
func (w *writer) text(s string, depth int) {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		blank := strings.TrimSpace(line) == "" && (i == 0 || i == len(lines)-1 || line != "")
		if blank || strings.HasPrefix(lines[0], " ") || strings.ContainsFunc(line, isControl) {
			w.WriteString(" " + scalar(s) + "\n")
			return
		}
	}
	w.WriteString(" |-\n")
	for _, line := range lines {
		if line != "" {
			w.indent(depth)
		}
		w.WriteString(line + "\n")
	}
}

func isControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff
}

func (w *writer) indent(depth int) { w.WriteString(strings.Repeat("  ", depth)) }

// isLeaf reports whether a value is no mapping, nor has one in it.
func isLeaf(v any) bool {
	switch v := v.(type) {
	case mapping:
		return false
	case list:
		for _, item := range v {
			if !isLeaf(item) {
				return false
			}
		}
	}
	return true
}

// inline writes a value on one line. It is false for texts of several lines.
func inline(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "null", true
	case bool:
		return map[bool]string{true: "true", false: "false"}[v], true
	case json.Number:
		return v.String(), true
	case string:
		return scalar(v), !strings.Contains(v, "\n")
	case list:
		parts := make([]string, len(v))
		for i, item := range v {
			short, ok := inline(item)
			if !ok {
				return "", false
			}
			parts[i] = short
		}
		return "[" + strings.Join(parts, ", ") + "]", true
	case mapping:
		parts := make([]string, len(v))
		for i, e := range v {
			short, ok := inline(e.value)
			if !ok {
				return "", false
			}
			parts[i] = scalar(e.key) + ": " + short
		}
		return "{" + strings.Join(parts, ", ") + "}", true
	}
	return "", false
}

// scalar writes a string: plain where it reads the same, else in the quotes that
// need fewer escapes.
func scalar(s string) string {
	switch {
	case yaml.Plain(s):
		return s
	case strings.ContainsAny(s, `"\`) && !strings.ContainsFunc(s, isControl):
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return string(yaml.Encode(s))
}

// asJSON writes a value as JSON, with keys in their order.
func asJSON(v any) json.RawMessage {
	var b bytes.Buffer
	switch v := v.(type) {
	case mapping:
		b.WriteByte('{')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(yaml.Encode(e.key))
			b.WriteByte(':')
			b.Write(asJSON(e.value))
		}
		b.WriteByte('}')
	case list:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(asJSON(item))
		}
		b.WriteByte(']')
	default:
		b.Write(yaml.Encode(v))
	}
	return b.Bytes()
}
