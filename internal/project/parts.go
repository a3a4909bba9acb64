package project

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"weir"
	"weir/internal/project/yaml"
)

// Parts are definitions with their types.
type Parts struct {
	Sources      []weir.Source
	Triggers     []weir.Trigger
	Pipelines    []weir.Pipeline
	Destinations []weir.Destination
}

// Decode reads stored definitions, in their order. Its error is internal: what
// is stored was validated.
func Decode(definitions ...weir.Definition) (Parts, error) {
	var p Parts
	for _, d := range definitions {
		if err := p.add(d); err != nil {
			return Parts{}, weir.E("decode definition", weir.Internal, "%s %s: %w", d.Kind, d.Name, err)
		}
	}
	return p, nil
}

func (p *Parts) add(d weir.Definition) (err error) {
	switch d.Kind {
	case weir.KindSource:
		v := weir.Source{Name: d.Name}
		err = json.Unmarshal(d.Body, &v)
		p.Sources = append(p.Sources, v)
	case weir.KindTrigger:
		v := weir.Trigger{Name: d.Name}
		err = json.Unmarshal(d.Body, &v)
		p.Triggers = append(p.Triggers, v)
	case weir.KindPipeline:
		v := weir.Pipeline{Name: d.Name}
		err = json.Unmarshal(d.Body, &v)
		p.Pipelines = append(p.Pipelines, v)
	case weir.KindDestination:
		v := weir.Destination{Name: d.Name}
		err = json.Unmarshal(d.Body, &v)
		p.Destinations = append(p.Destinations, v)
	default:
		err = weir.E("", weir.Internal, "unknown kind")
	}
	return err
}

// Definitions returns the parts as they are stored: destinations, pipelines,
// sources, triggers, each by name, with revision 0. Steps that stand in a
// trigger are the pipelines "{trigger}.run" and "{trigger}.on_expire".
func (p *Parts) Definitions() []weir.Definition {
	var out []weir.Definition
	add := func(kind weir.DefinitionKind, name string, v any) {
		out = append(out, weir.Definition{Kind: kind, Name: name, Body: yaml.Encode(v)})
	}
	for i := range p.Sources {
		add(weir.KindSource, p.Sources[i].Name, &p.Sources[i])
	}
	for i := range p.Triggers {
		add(weir.KindTrigger, p.Triggers[i].Name, &p.Triggers[i])
	}
	for i := range p.Pipelines {
		add(weir.KindPipeline, p.Pipelines[i].Name, &p.Pipelines[i])
	}
	for i := range p.Destinations {
		add(weir.KindDestination, p.Destinations[i].Name, &p.Destinations[i])
	}
	slices.SortFunc(out, compare)
	return out
}

// Difference is what an apply changes: what an apply order puts and deletes.
type Difference struct {
	Put    []weir.Definition // new or changed
	Delete []weir.Definition // kind and name only
	added  map[name]bool     // of Put: not in force before
}

// Diff compares what is in force with what files define. What the files do not
// name stays, but for the steps that a trigger of theirs no longer has.
func Diff(inForce, want []weir.Definition) Difference {
	d := Difference{added: map[name]bool{}}
	old, wanted := byName(inForce), byName(want)
	for _, w := range want {
		before, found := old[nameOf(w)]
		if found && same(before, w) {
			continue
		}
		d.added[nameOf(w)] = !found
		d.Put = append(d.Put, w)
	}
	for _, f := range inForce {
		trigger, _, inline := strings.Cut(f.Name, ".")
		_, kept := wanted[nameOf(f)]
		_, named := wanted[name{weir.KindTrigger, trigger}]
		if f.Kind == weir.KindPipeline && inline && named && !kept {
			d.Delete = append(d.Delete, weir.Definition{Kind: f.Kind, Name: f.Name})
		}
	}
	slices.SortFunc(d.Put, compare)
	slices.SortFunc(d.Delete, compare)
	return d
}

// Empty reports whether an apply would change nothing.
func (d Difference) Empty() bool { return len(d.Put)+len(d.Delete) == 0 }

// String returns a line per definition: "+ trigger x" for a new one, "~" for a
// changed and "-" for a deleted one.
func (d Difference) String() string {
	var b strings.Builder
	line := func(sign string, f weir.Definition) {
		b.WriteString(sign + " " + string(f.Kind) + " " + f.Name + "\n")
	}
	for _, f := range d.Put {
		if d.added[nameOf(f)] {
			line("+", f)
		} else {
			line("~", f)
		}
	}
	for _, f := range d.Delete {
		line("-", f)
	}
	return b.String()
}

func nameOf(d weir.Definition) name { return name{d.Kind, d.Name} }

func byName(definitions []weir.Definition) map[name]weir.Definition {
	out := make(map[name]weir.Definition, len(definitions))
	for _, d := range definitions {
		out[nameOf(d)] = d
	}
	return out
}

func compare(a, b weir.Definition) int {
	if a.Kind != b.Kind {
		return strings.Compare(string(a.Kind), string(b.Kind))
	}
	return strings.Compare(a.Name, b.Name)
}

// same reports whether two definitions mean the same, however they are written.
func same(a, b weir.Definition) bool {
	if bytes.Equal(a.Body, b.Body) {
		return true
	}
	x, errX := Decode(a)
	y, errY := Decode(b)
	return errX == nil && errY == nil && bytes.Equal(x.Definitions()[0].Body, y.Definitions()[0].Body)
}
