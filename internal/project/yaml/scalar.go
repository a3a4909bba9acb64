package yaml

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

// IsText reports whether a node is text: quoted, or like nothing else.
func (n *Node) IsText() bool {
	return n.Kind == Scalar && (n.Quoted || !n.IsNull() && !n.isBool() && !n.isNumber())
}

// IsNull reports whether a node is null, or nothing at all.
func (n *Node) IsNull() bool {
	return n.Kind == Scalar && !n.Quoted && oneOf(n.Text, "", "~", "null", "Null", "NULL")
}

func (n *Node) isBool() bool { return n.isTrue() || n.isFalse() }

func (n *Node) isTrue() bool {
	return n.Kind == Scalar && !n.Quoted && oneOf(n.Text, "true", "True", "TRUE")
}

func (n *Node) isFalse() bool {
	return n.Kind == Scalar && !n.Quoted && oneOf(n.Text, "false", "False", "FALSE")
}

func (n *Node) isNumber() bool {
	return n.Kind == Scalar && !n.Quoted && (floatPattern.MatchString(n.Text) || basedPattern.MatchString(n.Text) ||
		notFinite.MatchString(n.Text))
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
func (n *Node) what() string {
	switch {
	case n.Kind == List:
		return "a list"
	case n.Kind == Mapping && len(n.Fields) == 0:
		return "an empty mapping"
	case n.Kind == Mapping:
		return "a mapping"
	case n.IsNull():
		return "an empty value"
	case n.isBool():
		return "the boolean " + n.Text
	case n.isNumber():
		return "the number " + Clip(n.Text)
	}
	return "the text " + strconv.Quote(Clip(n.Text))
}

// Clip bounds a text that is quoted in a message.
func Clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// JSON writes a node as JSON. Numbers keep their digits; keys keep their order.
func (r *Reader) JSON(n *Node) json.RawMessage {
	var b bytes.Buffer
	r.writeJSON(&b, n)
	return b.Bytes()
}

func (r *Reader) writeJSON(b *bytes.Buffer, n *Node) {
	switch {
	case n.Kind == List:
		b.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			r.writeJSON(b, item)
		}
		b.WriteByte(']')
	case n.Kind == Mapping:
		b.WriteByte('{')
		for i, f := range n.Fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(Encode(f.Key.Text))
			b.WriteByte(':')
			r.writeJSON(b, f.Value)
		}
		b.WriteByte('}')
	case n.IsNull():
		b.WriteString("null")
	case n.isBool():
		b.WriteString(strings.ToLower(n.Text))
	case n.isNumber():
		b.WriteString(r.jsonNumber(n))
	default:
		b.Write(Encode(n.Text))
	}
}

// jsonNumber writes a YAML number as a JSON number of the same digits.
func (r *Reader) jsonNumber(n *Node) string {
	if notFinite.MatchString(n.Text) {
		r.Fail(n, quoteIt(n.Text), "JSON has no number %s", n.Text)
		return "null"
	}
	if basedPattern.MatchString(n.Text) {
		v, _ := new(big.Int).SetString(n.Text, 0)
		return v.String()
	}
	if _, err := strconv.ParseFloat(n.Text, 64); err != nil {
		r.Fail(n, quoteIt(Clip(n.Text)), "the number %s is out of range", Clip(n.Text))
		return "null"
	}
	sign, digits := "", strings.TrimPrefix(n.Text, "+")
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

// Encode writes a value as JSON without escaping < > &, which are common in
// expressions.
func Encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // the vocabulary's structs have nothing that JSON cannot hold
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// plainText is what reads as the same text wherever it stands.
var plainText = regexp.MustCompile(`^[A-Za-z0-9_/]([A-Za-z0-9_./*+=<>()@$'-]| [A-Za-z0-9_./*+=<>()@$'-])*$`)

// Plain reports whether a text needs no quotes.
func Plain(text string) bool {
	n := Node{Kind: Scalar, Text: text}
	return n.IsText() && plainText.MatchString(text)
}
