package project

import (
	"errors"
	"fmt"
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
	at, message := &node{line: 1, column: 1}, err.Error()
	if e, ok := errors.AsType[yaml.Error](err); ok {
		message = e.GetMessage()
		if tk := e.GetToken(); tk != nil && tk.Position != nil {
			at = position(tk)
			r.fail(at, syntaxHint(r.line(at.line), tk, message), "not YAML: %s", message)
			return
		}
	}
	r.fail(at, "", "not YAML: %s", message)
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
