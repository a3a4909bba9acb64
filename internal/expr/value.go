package expr

import (
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// fields is what stands behind a mapping: an object of JSON, an event, or named
// values.
type fields interface {
	find(name string) (ref.Val, bool)
	names() []string // in a fixed order, each once
}

// mapping is a CEL map over fields. Selecting a field asks the fields directly;
// what is rare is left to CEL's own map of the same entries.
type mapping struct {
	fields fields
}

var _ traits.Mapper = (*mapping)(nil)

// FindStringKey is how CEL selects a field.
func (m *mapping) FindStringKey(name string) (any, bool) {
	v, ok := m.fields.find(name)
	return v, ok
}

// Find returns the value under a key.
func (m *mapping) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	return m.fields.find(string(name))
}

// Get returns the value under a key, or an error.
func (m *mapping) Get(key ref.Val) ref.Val {
	v, ok := m.Find(key)
	if !ok {
		return types.NewErr("no such key: %v", key)
	}
	return v
}

// Contains reports whether there is such a key.
func (m *mapping) Contains(key ref.Val) ref.Val {
	_, ok := m.Find(key)
	return types.Bool(ok)
}

// Size returns the number of keys.
func (m *mapping) Size() ref.Val { return types.Int(len(m.fields.names())) }

// Iterator walks the keys in their fixed order.
func (m *mapping) Iterator() traits.Iterator {
	names := m.fields.names()
	keys := make([]ref.Val, len(names))
	for i, name := range names {
		keys[i] = types.String(name)
	}
	return types.NewRefValList(adapter{}, keys).Iterator()
}

// full is CEL's own map of the same entries.
func (m *mapping) full() traits.Mapper {
	entries := make(map[ref.Val]ref.Val)
	for _, name := range m.fields.names() {
		v, _ := m.fields.find(name)
		entries[types.String(name)] = v
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, entries)
}

// ConvertToNative converts to a Go type.
func (m *mapping) ConvertToNative(t reflect.Type) (any, error) { return m.full().ConvertToNative(t) }

// ConvertToType converts to another CEL type.
func (m *mapping) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return m
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("type conversion error from 'map' to '%s'", t)
}

// Equal compares entry by entry.
func (m *mapping) Equal(other ref.Val) ref.Val {
	o, ok := other.(traits.Mapper)
	if !ok || o.Size() != m.Size() {
		return types.False
	}
	for _, name := range m.fields.names() {
		mine, _ := m.fields.find(name)
		theirs, ok := o.Find(types.String(name))
		if !ok {
			return types.False
		}
		if eq := types.Equal(mine, theirs); eq != types.True {
			return eq
		}
	}
	return types.True
}

// Type returns CEL's map type.
func (m *mapping) Type() ref.Type { return types.MapType }

// Value returns the value itself: it has no other form.
func (m *mapping) Value() any { return m }

// object is a JSON object, scanned when a member is first asked for.
type object struct {
	raw     []byte
	depth   int
	members []member
	index   map[string]int // of large objects, and of those whose names were asked for
	order   []string
	scanned bool
}

// small is how many members are searched one by one.
const small = 16

func (o *object) scan() {
	o.scanned = true
	members, ok := scanObject(o.raw, o.members[:0])
	if !ok {
		members = members[:0]
	}
	o.members = members
	if len(members) > small {
		o.names()
	}
}

func (o *object) key(m *member) string {
	if m.name != "" {
		return m.name
	}
	return string(o.raw[m.key.from:m.key.to])
}

// find takes the last of several members of one name, as encoding/json does.
func (o *object) find(name string) (ref.Val, bool) {
	if !o.scanned {
		o.scan()
	}
	if o.index != nil {
		i, ok := o.index[name]
		if !ok {
			return nil, false
		}
		return o.value(i), true
	}
	for i := len(o.members) - 1; i >= 0; i-- {
		m := &o.members[i]
		if m.name == name || m.name == "" && string(o.raw[m.key.from:m.key.to]) == name {
			return o.value(i), true
		}
	}
	return nil, false
}

func (o *object) value(i int) ref.Val {
	m := &o.members[i]
	if m.known == nil {
		m.known = decode(o.raw[m.value.from:m.value.to], o.depth+1)
	}
	return m.known
}

func (o *object) names() []string {
	if !o.scanned {
		o.scan()
	}
	if o.index != nil {
		return o.order
	}
	o.index = make(map[string]int, len(o.members))
	for i := range o.members {
		name := o.key(&o.members[i])
		if _, ok := o.index[name]; !ok {
			o.order = append(o.order, name)
		}
		o.index[name] = i
	}
	return o.order
}

// array is a JSON array, read when it is first looked into, as CEL's own list.
type array struct {
	raw   []byte
	depth int
	known traits.Lister
}

var _ traits.Lister = (*array)(nil)

func (a *array) list() traits.Lister {
	if a.known == nil {
		places, ok := scanArray(a.raw, nil)
		if !ok {
			places = nil
		}
		all := make([]ref.Val, len(places))
		for i, p := range places {
			all[i] = decode(a.raw[p.from:p.to], a.depth+1)
		}
		a.known = types.NewRefValList(adapter{}, all)
	}
	return a.known
}

// Get returns the element at an index, or an error.
func (a *array) Get(index ref.Val) ref.Val { return a.list().Get(index) }

// Size returns the number of elements.
func (a *array) Size() ref.Val { return a.list().Size() }

// Iterator walks the elements.
func (a *array) Iterator() traits.Iterator { return a.list().Iterator() }

// Contains reports whether an element equals v.
func (a *array) Contains(v ref.Val) ref.Val { return a.list().Contains(v) }

// Add returns the elements followed by those of another list.
func (a *array) Add(other ref.Val) ref.Val { return a.list().Add(other) }

// Equal compares element by element.
func (a *array) Equal(other ref.Val) ref.Val { return a.list().Equal(other) }

// ConvertToNative converts to a Go type.
func (a *array) ConvertToNative(t reflect.Type) (any, error) { return a.list().ConvertToNative(t) }

// ConvertToType converts to another CEL type.
func (a *array) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.ListType:
		return a
	case types.TypeType:
		return types.ListType
	}
	return types.NewErr("type conversion error from 'list' to '%s'", t)
}

// Type returns CEL's list type.
func (a *array) Type() ref.Type { return types.ListType }

// Value returns the value itself: it has no other form.
func (a *array) Value() any { return a }

// ordered is a map that an expression wrote, with its keys in a fixed order, so
// that walking it gives the same on every machine.
type ordered struct {
	traits.Mapper
}

// orderMaps makes map literals ordered, for CEL's planner.
func orderMaps(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if c, ok := i.(interpreter.InterpretableConstructor); ok && c.Type() == types.MapType {
		return mapLiteral{c}, nil
	}
	return i, nil
}

type mapLiteral struct {
	interpreter.InterpretableConstructor
}

// Exec makes the map.
func (m mapLiteral) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	out := m.InterpretableConstructor.Exec(frame)
	if made, ok := out.(traits.Mapper); ok {
		return ordered{made}
	}
	return out
}

// Eval makes the map.
func (m mapLiteral) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, m.Exec)
}

// Iterator walks the keys, by type and then by value.
func (o ordered) Iterator() traits.Iterator {
	var keys []ref.Val
	for it := o.Mapper.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, func(a, b ref.Val) int {
		if c := strings.Compare(a.Type().TypeName(), b.Type().TypeName()); c != 0 {
			return c
		}
		c, _ := a.(traits.Comparer).Compare(b).(types.Int)
		return int(c)
	})
	return types.NewRefValList(adapter{}, keys).Iterator()
}
