package project

import (
	"bytes"
	"encoding/json"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// YAML 1.2's core schema: what a scalar without quotes is. The parser's own
// answer is that of YAML 1.1 in places (010, 1_000).
var (
	intPattern   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	basedPattern = regexp.MustCompile(`^0o[0-7]+$|^0x[0-9a-fA-F]+$`)
	floatPattern = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	notFinite    = regexp.MustCompile(`^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$`)
)

func (n *node) isText() bool {
	return n.kind == scalar && (n.quoted || !n.isNull() && !n.isBool() && !n.isNumber())
}

func (n *node) isNull() bool {
	return n.kind == scalar && !n.quoted && oneOf(n.text, "", "~", "null", "Null", "NULL")
}

func (n *node) isBool() bool { return n.isTrue() || n.isFalse() }

func (n *node) isTrue() bool {
	return n.kind == scalar && !n.quoted && oneOf(n.text, "true", "True", "TRUE")
}

func (n *node) isFalse() bool {
	return n.kind == scalar && !n.quoted && oneOf(n.text, "false", "False", "FALSE")
}

func (n *node) isNumber() bool {
	return n.kind == scalar && !n.quoted && (floatPattern.MatchString(n.text) || basedPattern.MatchString(n.text) ||
		notFinite.MatchString(n.text))
}

func oneOf(s string, words ...string) bool {
	for _, w := range words {
		if s == w {
			return true
		}
	}
	return false
}

// what says what a node is, for messages.
func (n *node) what() string {
	switch {
	case n.kind == list:
		return "a list"
	case n.kind == mapping && len(n.fields) == 0:
		return "an empty mapping"
	case n.kind == mapping:
		return "a mapping"
	case n.isNull():
		return "an empty value"
	case n.isBool():
		return "the boolean " + n.text
	case n.isNumber():
		return "the number " + clip(n.text)
	}
	return "the text " + strconv.Quote(clip(n.text))
}

// clip bounds a text that is quoted in a message.
func clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// json writes a node as JSON. Numbers keep their digits; keys keep their order.
func (r *reader) json(n *node) json.RawMessage {
	var b bytes.Buffer
	r.writeJSON(&b, n)
	return b.Bytes()
}

func (r *reader) writeJSON(b *bytes.Buffer, n *node) {
	switch {
	case n.kind == list:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			r.writeJSON(b, item)
		}
		b.WriteByte(']')
	case n.kind == mapping:
		b.WriteByte('{')
		for i, f := range n.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(encode(f.key.text))
			b.WriteByte(':')
			r.writeJSON(b, f.value)
		}
		b.WriteByte('}')
	case n.isNull():
		b.WriteString("null")
	case n.isBool():
		b.WriteString(strings.ToLower(n.text))
	case n.isNumber():
		b.WriteString(r.jsonNumber(n))
	default:
		b.Write(encode(n.text))
	}
}

// jsonNumber writes a YAML number as a JSON number of the same digits.
func (r *reader) jsonNumber(n *node) string {
	if notFinite.MatchString(n.text) {
		r.fail(n, quoteIt(n.text), "JSON has no number %s", n.text)
		return "null"
	}
	if basedPattern.MatchString(n.text) {
		v, _ := new(big.Int).SetString(n.text, 0)
		return v.String()
	}
	if _, err := strconv.ParseFloat(n.text, 64); err != nil {
		r.fail(n, quoteIt(clip(n.text)), "the number %s is out of range", clip(n.text))
		return "null"
	}
	sign, digits := "", strings.TrimPrefix(n.text, "+")
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		sign, digits = "-", rest
	}
	whole, rest := digits, ""
	if i := strings.IndexAny(digits, ".eE"); i >= 0 {
		whole, rest = digits[:i], digits[i:]
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction, exponent := rest, ""; strings.HasPrefix(rest, ".") {
		if i := strings.IndexAny(rest, "eE"); i >= 0 {
			fraction, exponent = rest[:i], rest[i:]
		}
		if fraction == "." {
			rest = exponent
		}
	}
	return sign + whole + rest
}

// encode writes a value as JSON without escaping < > &, which are common in
// expressions.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // the vocabulary's structs have nothing that JSON cannot hold
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
