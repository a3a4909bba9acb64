package expr

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// JSON is read lazily, level by level: an object or array is scanned once, when
// one of its members is first asked for, into the places of its members. What
// no expression looks into is only skipped over.

// maxNesting bounds how deep expressions look into JSON. Every level is scanned
// on its own, so it bounds time as well as the stack.
const maxNesting = 128

// span is a value's place in its document.
type span struct{ from, to int }

// member is one entry of an object: the place of its key, without quotes, and
// of its value.
type member struct {
	key   span
	value span
	name  string  // of a key with escapes
	known ref.Val // the value once it was decoded
}

// decode reads one JSON value. Containers stay unread.
func decode(raw []byte, depth int) ref.Val {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return types.NewErr("empty JSON")
	}
	switch raw[0] {
	case '{':
		if depth > maxNesting {
			return types.NewErr("JSON nested more than %d levels", maxNesting)
		}
		return &mapping{fields: &object{raw: raw, depth: depth}}
	case '[':
		if depth > maxNesting {
			return types.NewErr("JSON nested more than %d levels", maxNesting)
		}
		return &array{raw: raw, depth: depth}
	case '"':
		s, ok := unquote(raw)
		if !ok {
			return types.NewErr("broken JSON string")
		}
		return types.String(s)
	case 't':
		return types.True
	case 'f':
		return types.False
	case 'n':
		return types.NullValue
	}
	return decodeNumber(raw)
}

// decodeNumber makes an int of a number that is written without fraction or
// exponent and fits 64 bits, else a double.
func decodeNumber(raw []byte) ref.Val {
	if bytes.IndexByte(raw, '.') < 0 && bytes.IndexByte(raw, 'e') < 0 && bytes.IndexByte(raw, 'E') < 0 {
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return types.Int(n)
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return types.NewErr("%s is no number that fits 64 bits", clip(raw))
	}
	return types.Double(f)
}

func clip(raw []byte) []byte { return raw[:min(len(raw), 32)] }

// unquote reads a JSON string with its quotes.
func unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[len(raw)-1] != '"' {
		return "", false
	}
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner), true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// scanObject appends the members of raw, an object. It reports false where raw
// is broken.
func scanObject(raw []byte, into []member) ([]member, bool) {
	i := skipSpace(raw, 1)
	if i < len(raw) && raw[i] == '}' {
		return into, true
	}
	for {
		if i >= len(raw) || raw[i] != '"' {
			return into, false
		}
		end, escaped := skipString(raw, i)
		m := member{key: span{i + 1, end - 1}}
		if escaped {
			m.name, _ = unquote(raw[i:end])
		}
		i = skipSpace(raw, end)
		if i >= len(raw) || raw[i] != ':' {
			return into, false
		}
		i = skipSpace(raw, i+1)
		end = skipValue(raw, i)
		if end <= i {
			return into, false
		}
		m.value = span{i, end}
		into = append(into, m)
		i = skipSpace(raw, end)
		if i >= len(raw) || raw[i] != ',' {
			return into, i < len(raw) && raw[i] == '}'
		}
		i = skipSpace(raw, i+1)
	}
}

// scanArray appends the places of the elements of raw, an array.
func scanArray(raw []byte, into []span) ([]span, bool) {
	i := skipSpace(raw, 1)
	if i < len(raw) && raw[i] == ']' {
		return into, true
	}
	for {
		end := skipValue(raw, i)
		if end <= i {
			return into, false
		}
		into = append(into, span{i, end})
		i = skipSpace(raw, end)
		if i >= len(raw) || raw[i] != ',' {
			return into, i < len(raw) && raw[i] == ']'
		}
		i = skipSpace(raw, i+1)
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the place after the string that begins at i.
func skipString(b []byte, i int) (end int, escaped bool) {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return len(b), escaped
}

// skipValue returns the place after the value that begins at i.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '"':
		end, _ := skipString(b, i)
		return end
	case '{', '[':
		return skipContainer(b, i)
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\t', '\r', ':', '"':
			return i
		}
		i++
	}
	return i
}

func skipContainer(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i, _ = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}
