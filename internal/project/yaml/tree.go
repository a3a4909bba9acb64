// Package yaml reads YAML 1.2 into nodes that know their places, refuses with a
// hint what YAML reads otherwise than people mean it, and reads the scalars that
// project files are made of.
//
// It knows nothing of what project files mean. Its caller is package project.
package yaml

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
	maxBytes   = 4 << 20             // of all texts
	maxWays    = 64 << 20            // of the keys above each value
	maxKeyCost = 10_000 * 10_000 / 2 // as for one mapping of 10,000 keys
)

// Node is a place in a file with its value: what the decoders read, with the
// library behind it left in this file.
type Node struct {
	Kind   Kind
	Line   int     // from 1
	Column int     // from 1, in characters
	Text   string  // of a scalar
	Quoted bool    // a scalar in quotes or a block: text, whatever it looks like
	Block  bool    // begins with | or > and stands below
	Items  []*Node // of a list
	Fields []Field // of a mapping, in order
	size   int     // nodes in it, itself too
	bytes  int     // of all texts in it
	up     *Node   // that it stands in, where it was first
	step   string  // from there: a key, or the place in a list in brackets
}

// Kind says what a node is.
type Kind uint8

// The kinds of node.
const (
	Scalar Kind = iota + 1
	List
	Mapping
)

// Field is one entry of a mapping.
type Field struct {
	Key   *Node // a scalar
	Value *Node
}

// Tree reads a file into nodes. It returns nil for an empty file and where the
// text is not YAML, which it has then reported.
func (r *Reader) Tree() (root *Node) {
	// The text is a stranger's and the parser is a library: what panics there is a
	// file that cannot be read, not the end of the process.
	defer func() {
		if p := recover(); p != nil {
			r.Report(Problem{File: r.Name, Message: "not readable as YAML", Hint: fmt.Sprint(p)})
			root = nil
		}
	}()
	tokens := lexer.Tokenize(r.Text)
	if r.traps(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	c := converter{Reader: r, anchors: map[string]*Node{}}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			r.Fail(c.node(doc.Body, nil, ""), "make it a file of its own", "a second document")
		default:
			root = c.node(doc.Body, nil, "")
		}
	}
	if c.over != nil {
		r.Fail(c.over, "write aliases out to see it", "more than %d values, or %d bytes in them", maxNodes, maxBytes)
		return nil
	}
	return root
}

// syntax reports what the parser refused.
func (r *Reader) syntax(err error) {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil || e.GetToken().Position == nil {
		r.Fail(&Node{Line: 1, Column: 1}, "", "not YAML")
		return
	}
	r.notYAML(e.GetToken(), e.GetMessage()) // not e.Error(), which prints the file around the place at great cost
}

// notYAML reports what cannot be read, and guesses why.
func (r *Reader) notYAML(tk *token.Token, message string) {
	hint := r.syntaxHint(tk, message)
	r.Fail(position(tk), hint, "not YAML: %s", strings.ReplaceAll(message, "\t", `\t`))
}

func position(tk *token.Token) *Node {
	return &Node{Line: tk.Position.Line, Column: tk.Position.Column}
}

// converter makes nodes of what the parser returns.
type converter struct {
	*Reader
	anchors map[string]*Node
	over    *Node // where there were too many
}

// node converts one value. An alias is the node of its anchor, counted again.
func (c *converter) node(from ast.Node, up *Node, step string) *Node {
	n := &Node{Kind: Scalar, up: up, step: step, size: 1}
	if tk := from.GetToken(); tk != nil && tk.Position != nil {
		n.Line, n.Column = tk.Position.Line, tk.Position.Column
	}
	switch v := from.(type) {
	case *ast.AnchorNode:
		held := c.node(v.Value, up, step)
		c.anchors[v.Name.GetToken().Value] = held
		return held
	case *ast.AliasNode:
		if held := c.anchors[v.Value.GetToken().Value]; held != nil {
			return held
		}
		c.Fail(n, "", "the alias is not defined before its use")
	case *ast.SequenceNode:
		n.Kind = List
		for i, item := range v.Values {
			c.count(n, c.node(item, n, "["+strconv.Itoa(i)+"]"))
		}
	case *ast.MappingNode:
		c.mapping(n, v.Values)
		if !v.IsFlowStyle && len(n.Fields) > 0 {
			n.Line, n.Column = n.Fields[0].Key.Line, n.Fields[0].Key.Column
		}
	case *ast.MappingValueNode:
		c.mapping(n, []*ast.MappingValueNode{v})
		n.Line, n.Column = n.Fields[0].Key.Line, n.Fields[0].Key.Column
	case *ast.LiteralNode:
		n.Text, n.Quoted, n.Block = v.Value.Value, true, true
	case *ast.StringNode:
		n.Text = v.Value
		n.Quoted = v.Token.Type == token.SingleQuoteType || v.Token.Type == token.DoubleQuoteType
	case *ast.NullNode:
		n.Text = "null"
	default:
		n.Text = from.GetToken().Value
	}
	n.bytes += len(n.Text)
	return n
}

func (c *converter) mapping(n *Node, values []*ast.MappingValueNode) {
	n.Kind = Mapping
	first := make(map[string]*Node, len(values))
	for _, v := range values {
		key := c.node(v.Key, n, "")
		key.step = key.Text
		n.bytes += key.bytes
		if before := first[key.Text]; before != nil {
			c.Fail(key, "", "%q is given twice: first in line %d", Clip(key.Text), before.Line)
			continue
		}
		first[key.Text] = key
		value := c.node(v.Value, n, key.Text)
		n.Fields = append(n.Fields, Field{key, value})
		c.count(n, value)
	}
}

// count adds a child to a list or mapping and its nodes to the parent's.
func (c *converter) count(n, child *Node) {
	if n.Kind == List {
		n.Items = append(n.Items, child)
	}
	n.size += child.size
	n.bytes += child.bytes
	if (n.size > maxNodes || n.bytes > maxBytes) && c.over == nil {
		c.over = n
	}
}

// Key returns a node for a name that stands in no file.
func Key(text, path string) *Node {
	return &Node{Kind: Scalar, Text: text, Quoted: true, Line: 1, Column: 1, step: path}
}

// Path returns the way to a node, such as triggers.usage.fire[0].count, long keys
// cut. It is made when it is asked for: those of all nodes could be far longer
// than the file.
func (n *Node) Path() string {
	if n.up == nil {
		return n.step
	}
	way, step := n.up.Path(), Clip(n.step)
	switch {
	case n.up.Kind == List:
		return way + step
	case strings.ContainsAny(step, ".[]: /"):
		return way + "[" + strconv.Quote(step) + "]"
	case way == "":
		return step
	}
	return way + "." + step
}
