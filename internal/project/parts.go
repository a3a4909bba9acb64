package project

import (
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
	EventTypes   []weir.EventType
	Strict       *bool // whether events of other types are refused; nil: not said
}

// Strict is the name of the setting that refuses events of undeclared types.
const Strict = "strict"

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
		err = read(&p.Sources, weir.Source{Name: d.Name}, d.Body)
	case weir.KindTrigger:
		err = read(&p.Triggers, weir.Trigger{Name: d.Name}, d.Body)
	case weir.KindPipeline:
		err = read(&p.Pipelines, weir.Pipeline{Name: d.Name}, d.Body)
	case weir.KindDestination:
		err = read(&p.Destinations, weir.Destination{Name: d.Name}, d.Body)
	case weir.KindEventType:
		err = read(&p.EventTypes, weir.EventType{Name: d.Name}, d.Body)
	case weir.KindSetting:
		if d.Name != Strict {
			return weir.E("", weir.Internal, "unknown setting")
		}
		err = json.Unmarshal(d.Body, &p.Strict)
	default:
		err = weir.E("", weir.Internal, "unknown kind")
	}
	return err
}

// read reads a body into v, which has its name, and appends it.
func read[T any](all *[]T, v T, body json.RawMessage) error {
	err := json.Unmarshal(body, &v)
	*all = append(*all, v)
	return err
}

// Definitions returns the parts as they are stored, by kind and name, with
// revision 0. Steps that stand in a trigger are the pipelines "{trigger}.run" and "{trigger}.on_expire".
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
	for i := range p.EventTypes {
		add(weir.KindEventType, p.EventTypes[i].Name, &p.EventTypes[i])
	}
	if p.Strict != nil {
		add(weir.KindSetting, Strict, p.Strict)
	}
	slices.SortFunc(out, compare)
	return out
}

func compare(a, b weir.Definition) int {
	if a.Kind != b.Kind {
		return strings.Compare(string(a.Kind), string(b.Kind))
	}
	return strings.Compare(a.Name, b.Name)
}
