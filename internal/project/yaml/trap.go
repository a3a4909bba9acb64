package yaml

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// traps looks through the tokens for what YAML reads otherwise than people
// mean it, and for nesting that would cost the parser its stack. It reports all
// that it finds and whether there was any.
func (r *Reader) traps(tokens token.Tokens) bool {
	before := len(r.Problems)
	t := trapper{Reader: r, anchors: map[string]bool{}}
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
		if t.over || r.full() {
			break
		}
	}
	return len(r.Problems) > before
}

// trapper is what traps knows at one token.
type trapper struct {
	*Reader
	anchors map[string]bool
	flow    int     // open brackets
	blocks  []block // the open block collections
	cost    int     // of all mappings, for the parser: it is quadratic in the keys of one
	keys    []int   // the lengths of the keys that the open brackets stand behind
	key     int     // the length of the last key within brackets, until its value
	ways    int     // the lengths of the ways to all values, for the parser: it writes each out
	over    bool
	trapped int // the line of the last trap outside of brackets: the rest of it is not what it seems
}

func (t *trapper) token(tk, next *token.Token) {
	at := position(tk)
	if at.Line == t.trapped {
		return
	}
	before := len(t.Problems)
	defer func() {
		if len(t.Problems) > before && t.flow == 0 {
			t.trapped = at.Line
		}
	}()
	switch tk.Type {
	case token.TagType:
		raw := t.raw(at)
		t.Fail(at, quoteIt(raw), "%s is a YAML tag", raw)
	case token.AliasType:
		if next == nil || !t.anchors[next.Value] {
			raw := t.raw(at)
			t.Fail(at, quoteIt(raw), "%s is a YAML alias, and no anchor has that name", raw)
		}
	case token.AnchorType:
		if next == nil || tk.Prev != nil && tk.Prev.Prev != nil && tk.Prev.Prev.Type == token.AnchorType {
			t.Fail(at, quoteIt(t.raw(at)), "%s is a YAML anchor", t.raw(at))
			return
		}
		t.anchors[next.Value] = true
	case token.MergeKeyType:
		t.Fail(at, "write the keys out", "<< is not in YAML 1.2")
	case token.MappingKeyType:
		t.Fail(at, "write key: value", "a key may not begin with ?")
	case token.DirectiveType:
		t.Fail(at, "leave it out, or quote the text that begins with it", "%% begins a YAML directive")
	case token.MappingStartType:
		if p := tk.Prev; t.flow > 0 && p != nil && strings.HasSuffix(p.Value, "$") && p.Type == token.StringType {
			from := position(p)
			t.Fail(from, quoteIt(template(t.Rest(from.Line, from.Column))), "${…} inside of { } or [ ] must be quoted")
		}
	case token.InvalidType:
		t.notYAML(tk, tk.Error)
	default: // no trap
	}
}

// block is a collection that is written without brackets.
type block struct{ column, keys, key int }

// nest follows how deep collections lie in each other, by brackets and, outside
// of them, by columns.
func (t *trapper) nest(tk *token.Token) {
	switch tk.Type {
	case token.SequenceStartType, token.MappingStartType:
		t.flow++
		t.keys, t.key = append(t.keys, t.key), 0
	case token.SequenceEndType, token.MappingEndType:
		t.flow = max(0, t.flow-1)
		t.keys, t.key = t.keys[:min(t.flow, len(t.keys))], 0
	case token.SequenceEntryType:
		t.enclosing(tk.Position.Column)
	case token.MappingValueType:
		column, length := tk.Position.Column, 0
		if tk.Prev != nil && tk.Prev.Position != nil {
			column, length = tk.Prev.Position.Column, len(tk.Prev.Value)
		}
		if b := t.enclosing(column); b != nil {
			b.keys++
			t.cost += b.keys
			b.key, t.key = length, 0
		} else {
			t.key = length
		}
	default:
		t.ways += t.way()
	}
	switch {
	case t.flow+len(t.blocks) > maxNesting:
		t.over = true
		t.Fail(position(tk), "", "nested more than %d deep", maxNesting)
	case t.ways > maxWays:
		t.over = true
		t.Fail(position(tk), "make it several files", "too many values below long keys")
	case t.cost > maxKeyCost:
		t.over = true
		t.Fail(position(tk), "make it several files", "too many keys")
	}
}

// way returns how long the keys are that stand above the next value.
func (t *trapper) way() int {
	n := t.key
	for _, key := range t.keys {
		n += key
	}
	for _, b := range t.blocks {
		n += b.key
	}
	return n
}

// enclosing returns the block collection that what stands at a column belongs to,
// nil within brackets.
func (t *trapper) enclosing(column int) *block {
	if t.flow > 0 {
		return nil
	}
	last := len(t.blocks) - 1
	for last >= 0 && t.blocks[last].column > column {
		last--
	}
	t.blocks = t.blocks[:last+1]
	if last < 0 || t.blocks[last].column < column {
		t.blocks = append(t.blocks, block{column: column})
	}
	return &t.blocks[len(t.blocks)-1]
}

// raw returns the value that begins at a place as it is written: to the end of
// the line, or, within brackets, to the comma or bracket that ends it.
func (t *trapper) raw(at *Node) string {
	const most = 200
	rest := t.Rest(at.Line, at.Column)
	text := string(rest[:min(most, len(rest))])
	if i := strings.Index(text, " #"); i >= 0 {
		text = text[:i]
	}
	if t.flow > 0 {
		if i := strings.IndexAny(text, ",]}"); i >= 0 {
			text = text[:i]
		}
	}
	return Clip(strings.TrimSpace(text))
}

// template returns the ${…} that a text begins with, and what follows it up to
// the next comma or bracket.
func template(rest []rune) string {
	const most = 200
	text := string(rest[:min(most, len(rest))])
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

// exclusion finds a text that begins with ! within brackets.
var exclusion = regexp.MustCompile(`[\[{,:] *(![^\s,\[\]{}]+)`)

// syntaxHint guesses what led to a syntax error.
func (r *Reader) syntaxHint(tk *token.Token, message string) string {
	lead, prev := r.Line(tk.Position.Line), tk.Prev
	for i, c := range lead {
		if c != ' ' && c != '\t' {
			lead = lead[:i]
			break
		}
	}
	bang := exclusion.FindStringSubmatch(string(r.Line(tk.Position.Line)))
	switch {
	case slices.Contains(lead, '\t'):
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
	case bang != nil:
		return quoteIt(Clip(bang[1]))
	case strings.Contains(message, "must be specified"):
		return "a bracket or comma is missing, or a text with brackets in it is not quoted"
	case strings.Contains(message, "could not find end character"):
		return "the closing quote is missing"
	}
	return ""
}
