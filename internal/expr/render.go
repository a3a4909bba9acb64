package expr

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"weir"
)

// native converts a value to Go.
func native(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		return string(v), nil
	case types.Bytes:
		return []byte(v), nil
	case types.Timestamp:
		return v.Time, nil
	case types.Duration:
		return v.Duration, nil
	case *types.Err:
		return nil, &EvalError{Err: v}
	case traits.Lister:
		return nativeList(v)
	case traits.Mapper:
		return nativeMap(v)
	}
	return nil, &EvalError{Err: fmt.Errorf("a value of type %s cannot be shown", typeName(v))}
}

func nativeList(v traits.Lister) (any, error) {
	out := []any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		e, err := native(it.Next())
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func nativeMap(v traits.Mapper) (any, error) {
	out := map[string]any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, err := appendText(nil, key)
		if err != nil {
			return nil, err
		}
		if out[string(name)], err = native(v.Get(key)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendText writes a value as text: strings as they are, null as nothing, maps
// and lists as JSON, all else in its canonical form.
func appendText(b []byte, v ref.Val) ([]byte, error) {
	switch v := v.(type) {
	case types.String:
		return append(b, v...), nil
	case types.Bytes:
		return append(b, v...), nil
	case types.Null:
		return b, nil
	case types.Timestamp:
		return append(b, weir.TimeOf(v.Time).String()...), nil
	case types.Duration:
		return append(b, weir.Duration(v.Duration).String()...), nil
	}
	return appendJSON(b, v)
}

// appendJSON writes a value as canonical JSON: a double always has a fraction
// or an exponent, the names of a map are sorted.
func appendJSON(b []byte, v ref.Val) ([]byte, error) {
	switch v := v.(type) {
	case types.Null:
		return append(b, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(b, bool(v)), nil
	case types.Int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(b, uint64(v), 10), nil
	case types.Double:
		return appendDouble(b, float64(v))
	case types.String:
		return appendString(b, string(v)), nil
	case types.Bytes:
		return appendString(b, base64.StdEncoding.EncodeToString(v)), nil
	case types.Timestamp:
		return appendString(b, weir.TimeOf(v.Time).String()), nil
	case types.Duration:
		return appendString(b, weir.Duration(v.Duration).String()), nil
	case *types.Err:
		return nil, &EvalError{Err: v}
	}
	tree, err := native(v)
	if err != nil {
		return nil, err
	}
	return appendTree(b, tree)
}

// appendTree writes what native made of a map or list.
func appendTree(b []byte, tree any) ([]byte, error) {
	var err error
	switch v := tree.(type) {
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendTree(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		b = append(b, '{')
		for i, name := range Fields(v).names() {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, name), ':')
			if b, err = appendTree(b, v[name]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case float64:
		return appendDouble(b, v)
	case string:
		return appendString(b, v), nil
	case time.Time:
		return appendString(b, weir.TimeOf(v).String()), nil
	case time.Duration:
		return appendString(b, weir.Duration(v).String()), nil
	}
	plain, err := json.Marshal(tree)
	return append(b, plain...), err
}

// appendDouble writes the shortest text that reads back as the same double, and
// never as an int.
func appendDouble(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, &EvalError{Err: fmt.Errorf("%v is no number of JSON", f)}
	}
	from := len(b)
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, f, format, -1, 64)
	if !strings.ContainsAny(string(b[from:]), ".e") {
		b = append(b, '.', '0')
	}
	return b, nil
}

// appendString writes a JSON string, with no escapes but those that JSON
// needs.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

func appendEscaped(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
