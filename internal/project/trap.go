package project

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// traps looks through the tokens for what YAML reads otherwise than people
// mean it, and for nesting that would cost the parser its stack. It reports all
// that it finds and whether there was any.
func (r *reader) traps(tokens token.Tokens) bool {
	before := len(r.problems)
	t := trapper{reader: r, anchors: map[string]bool{}}
	for i, tk := range tokens {
		if tk.Position == nil {
			continue
		}
		var next *token.Token
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		t.token(tk, next)
		t.nest(tk)
		if t.tooDeep {
			break
		}
	}
	return len(r.problems) > before
}

// trapper is what traps knows at one token.
type trapper struct {
	*reader
	anchors map[string]bool
	flow    int   // open brackets
	columns []int // of the open block collections
	tooDeep bool
}

func (t *trapper) token(tk, next *token.Token) {
	at := position(tk)
	switch tk.Type {
	case token.TagType:
		raw := t.raw(at)
		t.fail(at, quoteIt(raw), "%s is a YAML tag", raw)
	case token.AliasType:
		if next == nil || !t.anchors[next.Value] {
			raw := t.raw(at)
			t.fail(at, quoteIt(raw), "%s is a YAML alias, and no anchor has that name", raw)
		}
	case token.AnchorType:
		if next == nil || next.Type == token.AnchorType {
			t.fail(at, quoteIt(t.raw(at)), "%s is a YAML anchor", t.raw(at))
			return
		}
		t.anchors[next.Value] = true
	case token.MergeKeyType:
		t.fail(at, "write the keys out", "<< is not in YAML 1.2")
	case token.MappingKeyType:
		t.fail(at, "write key: value", "a key may not begin with ?")
	case token.DirectiveType:
		t.fail(at, quoteIt(t.raw(at)), "%% begins a YAML directive")
	case token.MappingStartType:
		if p := tk.Prev; t.flow > 0 && p != nil && strings.HasSuffix(p.Value, "$") && p.Type == token.StringType {
			from := position(p)
			t.fail(from, quoteIt(template(t.line(from.line), from.column)), "${…} inside of { } or [ ] must be quoted")
		}
	case token.InvalidType:
		message := tk.Error
		t.fail(at, syntaxHint(t.line(at.line), tk, message), "not YAML: %s", message)
	}
}

// nest follows how deep collections lie in each other, by brackets and, outside
// of them, by columns.
func (t *trapper) nest(tk *token.Token) {
	switch tk.Type {
	case token.SequenceStartType, token.MappingStartType:
		t.flow++
	case token.SequenceEndType, token.MappingEndType:
		t.flow = max(0, t.flow-1)
	case token.SequenceEntryType, token.MappingValueType:
		column := tk.Position.Column
		if tk.Type == token.MappingValueType && tk.Prev != nil && tk.Prev.Position != nil {
			column = tk.Prev.Position.Column
		}
		for t.flow == 0 && len(t.columns) > 0 && t.columns[len(t.columns)-1] >= column {
			t.columns = t.columns[:len(t.columns)-1]
		}
		if t.flow == 0 {
			t.columns = append(t.columns, column)
		}
	default:
		return
	}
	if t.flow+len(t.columns) > maxNesting {
		t.tooDeep = true
		t.fail(position(tk), "", "nested more than %d deep", maxNesting)
	}
}

// raw returns the value that begins at a place as it is written: to the end of
// the line, or, within brackets, to the comma or bracket that ends it.
func (t *trapper) raw(at *node) string {
	rest := []rune(t.line(at.line))
	rest = rest[min(max(at.column-1, 0), len(rest)):]
	text := string(rest)
	if i := strings.Index(text, " #"); i >= 0 {
		text = text[:i]
	}
	if t.flow > 0 {
		if i := strings.IndexAny(text, ",]}"); i >= 0 {
			text = text[:i]
		}
	}
	return strings.TrimSpace(text)
}

// template returns the ${…} that begins at a column, with what stands around it
// up to the next comma or bracket.
func template(line string, column int) string {
	runes := []rune(line)
	text := string(runes[min(column-1, len(runes)):])
	end := strings.IndexByte(text, '}')
	if end < 0 {
		return strings.TrimSpace(text)
	}
	end++
	if i := strings.IndexAny(text[end:], ",]}"); i >= 0 {
		return strings.TrimSpace(text[:end+i])
	}
	return text[:end]
}

// quoteIt returns the hint to quote a text, in the quotes that need no escapes.
func quoteIt(text string) string {
	if strings.ContainsAny(text, `"\`) {
		return "quote it: '" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return fmt.Sprintf("quote it: \"%s\"", text)
}

// syntaxHint guesses what led to a syntax error.
func syntaxHint(line string, tk *token.Token, message string) string {
	lead := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	prev := tk.Prev
	switch {
	case strings.Contains(lead, "\t"):
		return "a tab cannot indent: use spaces"
	case strings.Contains(message, "reserved character"):
		return "quote the text that begins with it"
	case strings.Contains(message, "mapping value is not allowed"):
		return `a text with ": " in it must be quoted`
	case prev != nil && prev.Position != nil && prev.Position.Line == tk.Position.Line &&
		(prev.Type == token.SingleQuoteType || prev.Type == token.DoubleQuoteType):
		return "a text that begins with a quote ends with it: put the whole into the other kind of quotes"
	case strings.Contains(message, "value is not allowed in this context"):
		return "is the line indented like its neighbours?"
	case strings.Contains(message, "could not find end character"):
		return "the closing quote is missing"
	}
	return ""
}
