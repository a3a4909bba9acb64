package schema

import (
	"encoding/json"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// costs is what is known of each schema of a document before any data comes.
type costs map[*jsonschema.Schema]cost

type cost struct {
	own   int   // of each value, whatever it is
	types types // that the schema takes; 0: all
	chain int   // the most schemas that a value meets from here on, this one included
}

// types is a set of the types of JSON.
type types uint8

const (
	null types = 1 << iota
	boolean
	number
	text
	array
	object
)

func typeOf(v any) types {
	switch v.(type) {
	case bool:
		return boolean
	case json.Number:
		return number
	case string:
		return text
	case []any:
		return array
	case map[string]any:
		return object
	default:
		return null
	}
}

// weigh walks over all schemas that data can meet. It refuses those that a value
// would meet for ever, or too many of.
func weigh(root *jsonschema.Schema) (costs, error) {
	all := costs{}
	todo := []*jsonschema.Schema{root}
	anchors := map[string]*jsonschema.Schema{}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, known := all[s]; known {
			continue
		}
		all[s] = cost{own: ownCost(s), types: typesOf(s)}
		if name := s.DynamicAnchor; name != "" {
			if other := anchors[name]; other != nil {
				return nil, invalid(placeOf(s.Location), "$dynamicAnchor %q stands at %s, too", clip(name), placeOf(other.Location))
			}
			anchors[name] = s
		}
		todo = append(todo, sameValue(s)...)
		todo = append(todo, otherValues(s)...)
	}
	for s := range all {
		if err := all.setChain(s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

const underWay = -1

// setChain finds the longest chain of schemas that hold for the same value.
func (c costs) setChain(s *jsonschema.Schema) error {
	known := c[s]
	switch known.chain {
	case 0:
	case underWay:
		return invalid(placeOf(s.Location), "refers to itself without going on to a part of the data: it would have no end")
	default:
		return nil
	}
	longest := 0
	known.chain = underWay
	c[s] = known
	for _, next := range sameValue(s) {
		if err := c.setChain(next); err != nil {
			return err
		}
		longest = max(longest, c[next].chain)
	}
	known.chain = longest + 1
	c[s] = known
	if known.chain > maxChain {
		return invalid(placeOf(s.Location), "leads through more than %d schemas for the same value", maxChain)
	}
	return nil
}

// sameValue returns the schemas that a schema holds the same value to.
func sameValue(s *jsonschema.Schema) (out []*jsonschema.Schema) {
	add := func(list ...*jsonschema.Schema) {
		for _, s := range list {
			if s != nil {
				out = append(out, s)
			}
		}
	}
	add(s.Ref, s.Not, s.If, s.Then, s.Else)
	add(s.AllOf...)
	add(s.AnyOf...)
	add(s.OneOf...)
	if s.DynamicRef != nil {
		add(s.DynamicRef.Ref)
	}
	for _, d := range s.Dependencies {
		if d, ok := d.(*jsonschema.Schema); ok {
			add(d)
		}
	}
	for _, d := range s.DependentSchemas {
		add(d)
	}
	return out
}

// otherValues returns the schemas of parts of the value.
func otherValues(s *jsonschema.Schema) (out []*jsonschema.Schema) {
	add := func(list ...any) {
		for _, v := range list {
			switch v := v.(type) {
			case *jsonschema.Schema:
				if v != nil {
					out = append(out, v)
				}
			case []*jsonschema.Schema:
				out = append(out, v...)
			}
		}
	}
	add(s.PropertyNames, s.AdditionalProperties, s.UnevaluatedProperties)
	add(s.Contains, s.Items, s.AdditionalItems, s.PrefixItems, s.Items2020, s.UnevaluatedItems)
	for _, p := range s.Properties {
		add(p)
	}
	for _, p := range s.PatternProperties {
		add(p)
	}
	return out
}

func ownCost(s *jsonschema.Schema) int {
	n := 1 + (len(s.Required)+len(s.Dependencies)+len(s.DependentRequired)+len(s.DependentSchemas))/8
	if s.Enum != nil {
		for _, v := range s.Enum.Values {
			n += parts(v)
		}
	}
	if s.Const != nil {
		n += parts(*s.Const)
	}
	if s.Minimum != nil || s.Maximum != nil || s.ExclusiveMinimum != nil || s.ExclusiveMaximum != nil || s.MultipleOf != nil {
		n += 3 // exact arithmetic
	}
	for _, list := range s.DependentRequired {
		n += len(list) / 8
	}
	return n
}

func typesOf(s *jsonschema.Schema) (t types) {
	if s.Types == nil {
		return 0
	}
	for _, name := range s.Types.ToStrings() {
		switch name {
		case "null":
			t |= null
		case "boolean":
			t |= boolean
		case "number", "integer":
			t |= number
		case "string":
			t |= text
		case "array":
			t |= array
		case "object":
			t |= object
		}
	}
	return t
}

// parts counts the values in a value.
func parts(v any) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			n += parts(child)
		}
	case map[string]any:
		for _, child := range v {
			n += parts(child)
		}
	}
	return n
}

// meter counts what a check may cost before it is made, since that cannot be
// interrupted: the visits of values by schemas, heavier ones more. It goes where
// the library would, and at worst counts what that leaves out.
type meter struct {
	costs costs
	left  int
}

// visit counts the visit of a value by a schema, behind a chain of others.
func (m *meter) visit(s *jsonschema.Schema, v any, chain int) {
	c := m.costs[s]
	m.left -= c.own + chain/8
	if m.left < 0 || s.Bool != nil || c.types != 0 && c.types&typeOf(v) == 0 {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		m.left -= len(v) / 4
		m.visitObject(s, v)
	case []any:
		m.left -= len(v) / 4
		m.visitArray(s, v)
	case string:
		m.left -= len(v) / 256
		if s.Format != nil && s.Format.Name == "regex" {
			m.left -= 100 * len(v) // it is compiled, and a{1000} is long then
		}
		m.match(s.Pattern, v)
	}
	if c.chain > 1 {
		for _, next := range sameValue(s) {
			m.visit(next, v, chain+1)
		}
	}
}

func (m *meter) visitObject(s *jsonschema.Schema, v map[string]any) {
	if s.Properties == nil && s.PatternProperties == nil && s.PropertyNames == nil && s.UnevaluatedProperties == nil &&
		s.AdditionalProperties == nil {
		return
	}
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	for name, child := range v {
		if m.left < 0 {
			return
		}
		known := false
		if p := s.Properties[name]; p != nil {
			known = true
			m.visit(p, child, 0)
		}
		for re, p := range s.PatternProperties {
			if m.match(re, name); re.MatchString(name) {
				known = true
				m.visit(p, child, 0)
			}
		}
		if additional != nil && !known {
			m.visit(additional, child, 0)
		}
		if s.PropertyNames != nil {
			m.visit(s.PropertyNames, name, 0)
		}
		if s.UnevaluatedProperties != nil {
			m.visit(s.UnevaluatedProperties, child, 0)
		}
	}
}

func (m *meter) visitArray(s *jsonschema.Schema, v []any) {
	if s.UniqueItems {
		m.left -= parts(v) * min(len(v), 20)
	}
	rest, _ := s.Items.(*jsonschema.Schema)
	list, _ := s.Items.([]*jsonschema.Schema)
	if list != nil {
		rest, _ = s.AdditionalItems.(*jsonschema.Schema)
	}
	if s.DraftVersion >= 2020 {
		list, rest = s.PrefixItems, s.Items2020
	}
	for i, child := range v {
		if m.left < 0 {
			return
		}
		switch {
		case i < len(list):
			m.visit(list[i], child, 0)
		case rest != nil:
			m.visit(rest, child, 0)
		}
		if s.Contains != nil {
			m.visit(s.Contains, child, 0)
		}
		if s.UnevaluatedItems != nil {
			m.visit(s.UnevaluatedItems, child, 0)
		}
	}
}

// match counts what matching a text costs.
func (m *meter) match(re jsonschema.Regexp, s string) {
	if p, ok := re.(pattern); ok {
		m.left -= 1 + p.size*len(s)/16
	}
}
