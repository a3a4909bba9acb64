package project

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The bounds of one file. Nodes count an alias as often as it is used.
const (
	maxNesting = 50
	maxNodes   = 200_000
	maxKeyCost = 10_000 * 10_000 / 2 // as for one mapping of 10,000 keys
)

// node is a place in a file with its value: what the decoders read, with the
// library behind it left in this file.
type node struct {
	kind   kind
	line   int // from 1
	column int // from 1, in characters
	path   string
	text   string  // of a scalar
	quoted bool    // a scalar in quotes or a block: text, whatever it looks like
	block  bool    // begins with | or > and stands below
	items  []*node // of a list
	fields []field // of a mapping, in order
	size   int     // nodes in it, itself too
}

// kind says what a node is.
type kind uint8

const (
	scalar kind = iota + 1
	list
	mapping
)

// field is one entry of a mapping.
type field struct {
	key   *node // a scalar
	value *node
}

// tree reads a file into nodes. It returns nil for an empty file and where the
// text is not YAML, which it has then reported.
func (r *reader) tree() (root *node) {
	// The text is a stranger's and the parser is a library: what panics there is a
	// file that cannot be read, not the end of the process.
	defer func() {
		if p := recover(); p != nil {
			r.report(Problem{File: r.name, Message: "not readable as YAML", Hint: fmt.Sprint(p)})
			root = nil
		}
	}()
	tokens := lexer.Tokenize(r.text)
	if r.traps(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	c := converter{reader: r, anchors: map[string]*node{}}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			r.fail(c.node(doc.Body, ""), "make it a file of its own", "a second document")
		default:
			root = c.node(doc.Body, "")
		}
	}
	if c.over != nil {
		r.fail(c.over, "", "more than %d values", maxNodes)
		return nil
	}
	return root
}

// syntax reports what the parser refused.
func (r *reader) syntax(err error) {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil || e.GetToken().Position == nil {
		r.fail(&node{line: 1, column: 1}, "", "not YAML")
		return
	}
	r.notYAML(e.GetToken(), e.GetMessage()) // not e.Error(), which prints the file around the place at great cost
}

// notYAML reports what cannot be read, and guesses why.
func (r *reader) notYAML(tk *token.Token, message string) {
	hint := r.syntaxHint(tk, message)
	r.fail(position(tk), hint, "not YAML: %s", strings.ReplaceAll(message, "\t", `\t`))
}

func position(tk *token.Token) *node {
	return &node{line: tk.Position.Line, column: tk.Position.Column}
}

// converter makes nodes of what the parser returns.
type converter struct {
	*reader
	anchors map[string]*node
	over    *node // where there were too many
}

// node converts one value. An alias is the node of its anchor, counted again.
func (c *converter) node(from ast.Node, path string) *node {
	n := &node{kind: scalar, path: path, size: 1}
	if tk := from.GetToken(); tk != nil && tk.Position != nil {
		n.line, n.column = tk.Position.Line, tk.Position.Column
	}
	switch v := from.(type) {
	case *ast.AnchorNode:
		held := c.node(v.Value, path)
		c.anchors[v.Name.GetToken().Value] = held
		return held
	case *ast.AliasNode:
		if held := c.anchors[v.Value.GetToken().Value]; held != nil {
			return held
		}
		c.fail(n, "", "the alias is not defined before its use")
	case *ast.SequenceNode:
		n.kind = list
		for i, item := range v.Values {
			c.count(n, c.node(item, path+"["+strconv.Itoa(i)+"]"))
		}
	case *ast.MappingNode:
		c.mapping(n, v.Values)
		if !v.IsFlowStyle && len(n.fields) > 0 {
			n.line, n.column = n.fields[0].key.line, n.fields[0].key.column
		}
	case *ast.MappingValueNode:
		c.mapping(n, []*ast.MappingValueNode{v})
		n.line, n.column = n.fields[0].key.line, n.fields[0].key.column
	case *ast.LiteralNode:
		n.text, n.quoted, n.block = v.Value.Value, true, true
	case *ast.StringNode:
		n.text = v.Value
		n.quoted = v.Token.Type == token.SingleQuoteType || v.Token.Type == token.DoubleQuoteType
	case *ast.NullNode:
		n.text = "null"
	default:
		n.text = from.GetToken().Value
	}
	return n
}

func (c *converter) mapping(n *node, values []*ast.MappingValueNode) {
	n.kind = mapping
	first := make(map[string]*node, len(values))
	for _, v := range values {
		key := c.node(v.Key, "")
		key.path = join(n.path, key.text)
		if before := first[key.text]; before != nil {
			c.fail(key, "", "%q is given twice: first in line %d", key.text, before.line)
			continue
		}
		first[key.text] = key
		value := c.node(v.Value, key.path)
		n.fields = append(n.fields, field{key, value})
		c.count(n, value)
	}
}

// count adds a child to a list or mapping and its nodes to the parent's.
func (c *converter) count(n, child *node) {
	if n.kind == list {
		n.items = append(n.items, child)
	}
	n.size += child.size
	if n.size > maxNodes && c.over == nil {
		c.over = n
	}
}

// join returns the path of a key.
func join(path, key string) string {
	if path == "" {
		return key
	}
	if strings.ContainsAny(key, ".[]: /") {
		return path + "[" + strconv.Quote(key) + "]"
	}
	return path + "." + key
}

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
		if t.over || r.full() {
			break
		}
	}
	return len(r.problems) > before
}

// trapper is what traps knows at one token.
type trapper struct {
	*reader
	anchors map[string]bool
	flow    int     // open brackets
	blocks  []block // the open block collections
	cost    int     // of all mappings, for the parser: it is quadratic in the keys of one
	over    bool
	trapped int // the line of the last trap outside of brackets: the rest of it is not what it seems
}

func (t *trapper) token(tk, next *token.Token) {
	at := position(tk)
	if at.line == t.trapped {
		return
	}
	before := len(t.problems)
	defer func() {
		if len(t.problems) > before && t.flow == 0 {
			t.trapped = at.line
		}
	}()
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
		if next == nil || tk.Prev != nil && tk.Prev.Prev != nil && tk.Prev.Prev.Type == token.AnchorType {
			t.fail(at, quoteIt(t.raw(at)), "%s is a YAML anchor", t.raw(at))
			return
		}
		t.anchors[next.Value] = true
	case token.MergeKeyType:
		t.fail(at, "write the keys out", "<< is not in YAML 1.2")
	case token.MappingKeyType:
		t.fail(at, "write key: value", "a key may not begin with ?")
	case token.DirectiveType:
		t.fail(at, "leave it out, or quote the text that begins with it", "%% begins a YAML directive")
	case token.MappingStartType:
		if p := tk.Prev; t.flow > 0 && p != nil && strings.HasSuffix(p.Value, "$") && p.Type == token.StringType {
			from := position(p)
			t.fail(from, quoteIt(template(t.rest(from.line, from.column))), "${…} inside of { } or [ ] must be quoted")
		}
	case token.InvalidType:
		t.notYAML(tk, tk.Error)
	default: // no trap
	}
}

// block is a collection that is written without brackets.
type block struct{ column, keys int }

// nest follows how deep collections lie in each other, by brackets and, outside
// of them, by columns.
func (t *trapper) nest(tk *token.Token) {
	switch tk.Type {
	case token.SequenceStartType, token.MappingStartType:
		t.flow++
	case token.SequenceEndType, token.MappingEndType:
		t.flow = max(0, t.flow-1)
	case token.SequenceEntryType:
		t.enclosing(tk.Position.Column)
	case token.MappingValueType:
		column := tk.Position.Column
		if tk.Prev != nil && tk.Prev.Position != nil {
			column = tk.Prev.Position.Column
		}
		if b := t.enclosing(column); b != nil {
			b.keys++
			t.cost += b.keys
		}
	default:
		return
	}
	switch {
	case t.flow+len(t.blocks) > maxNesting:
		t.over = true
		t.fail(position(tk), "", "nested more than %d deep", maxNesting)
	case t.cost > maxKeyCost:
		t.over = true
		t.fail(position(tk), "make it several files", "too many keys")
	}
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
func (t *trapper) raw(at *node) string {
	const most = 200
	rest := t.rest(at.line, at.column)
	text := string(rest[:min(most, len(rest))])
	if i := strings.Index(text, " #"); i >= 0 {
		text = text[:i]
	}
	if t.flow > 0 {
		if i := strings.IndexAny(text, ",]}"); i >= 0 {
			text = text[:i]
		}
	}
	return clip(strings.TrimSpace(text))
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
func (r *reader) syntaxHint(tk *token.Token, message string) string {
	lead, prev := r.line(tk.Position.Line), tk.Prev
	for i, c := range lead {
		if c != ' ' && c != '\t' {
			lead = lead[:i]
			break
		}
	}
	bang := exclusion.FindStringSubmatch(string(r.line(tk.Position.Line)))
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
		return quoteIt(clip(bang[1]))
	case strings.Contains(message, "must be specified"):
		return "a bracket or comma is missing, or a text with brackets in it is not quoted"
	case strings.Contains(message, "could not find end character"):
		return "the closing quote is missing"
	}
	return ""
}
