package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"weir"
)

// file sets what a YAML file says, and notes where.
func (c *Config) file(path string, content []byte) error {
	doc, err := parser.ParseBytes(content, 0)
	if err != nil {
		return syntax(path, err)
	}
	r := reader{path: path, settings: c.settings(), set: c.set}
	for i, d := range doc.Docs {
		if d.Body == nil {
			continue
		}
		if i > 0 {
			return r.fault(d.Body.GetToken(), "", "a configuration is one document, and here begins another")
		}
		if err := r.section("", d.Body); err != nil {
			return err
		}
	}
	return nil
}

// syntax says where a file is no YAML.
func syntax(path string, err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		return weir.E(place(path, e.GetToken()), weir.Invalid, "%s", e.GetMessage())
	}
	return weir.E(path, weir.Invalid, "%w", err)
}

func place(path string, t *token.Token) string {
	return fmt.Sprintf("%s:%d:%d", path, t.Position.Line, t.Position.Column)
}

// reader walks through a file.
type reader struct {
	path     string
	settings []setting
	set      func(s setting, text, place string) error
}

func (r *reader) fault(t *token.Token, key, format string, args ...any) error {
	e := invalid(key, format, args...)
	e.Op = place(r.path, t)
	return e
}

// section reads the settings below a prefix such as "limits.".
func (r *reader) section(prefix string, n ast.Node) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return r.fault(n.GetToken(), strings.TrimSuffix(prefix, "."), "has settings below it, as in \"name: value\"")
	}
	for entries := m.MapRange(); entries.Next(); {
		at := entries.Key().GetToken()
		key := prefix + at.Value
		if r.isSection(key) {
			if err := r.section(key+".", entries.Value()); err != nil {
				return err
			}
			continue
		}
		i := slices.IndexFunc(r.settings, func(s setting) bool { return s.key == key })
		if i < 0 {
			return r.fault(at, key, "is not known%s", r.hint(prefix, at.Value))
		}
		if err := r.value(r.settings[i], entries.Value()); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) isSection(key string) bool {
	return slices.ContainsFunc(r.settings, func(s setting) bool { return strings.HasPrefix(s.key, key+".") })
}

// value sets one setting; a list is for the setting that is one.
func (r *reader) value(s setting, n ast.Node) error {
	t := n.GetToken()
	var text string
	_, isList := s.value.(list)
	items, ok := n.(*ast.SequenceNode)
	switch {
	case isList && ok:
		texts := make([]string, len(items.Values))
		for i, v := range items.Values {
			if texts[i], ok = scalar(v); !ok {
				return r.fault(v.GetToken(), s.key, "takes a list of texts")
			}
		}
		text = strings.Join(texts, ",")
	default:
		if text, ok = scalar(n); !ok {
			return r.fault(t, s.key, "needs one value")
		}
	}
	return r.set(s, text, place(r.path, t))
}

func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return v.GetToken().Value, true
	}
	return "", false
}

// hint names what was probably meant by a name that is not known.
func (r *reader) hint(prefix, name string) string {
	best, least := "", 1+len(name)/3
	for _, s := range r.settings {
		rest, ok := strings.CutPrefix(s.key, prefix)
		here, _, _ := strings.Cut(rest, ".")
		if d := distance(name, here); ok && d <= least {
			best, least = prefix+here, d-1
		}
		if strings.HasSuffix(s.key, "."+name) && best == "" {
			best = s.key
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance counts the letters to put, drop or change to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
