package fold

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/internal/pipeline"
	"weir/internal/trigger"
)

// scope is one project's definitions: those in force, compiled, and every
// version that something live may name.
type scope struct {
	project      weir.ProjectID
	versions     map[versionKey]Installed
	revisions    map[nameKey][]uint64 // that installed or removed a name, ascending
	triggers     map[string]*trigger.Compiled
	pipelines    map[string]*pipe
	destinations map[string]weir.Destination
	lent         bool         // others read destinations: a change makes another map
	set          *trigger.Set // nil when it must be made anew

	// Versions not in force, compiled when first asked for.
	oldTriggers  map[versionKey]*trigger.Compiled
	oldPipelines map[versionKey]*pipe
}

type versionKey struct {
	kind     weir.DefinitionKind
	name     string
	revision uint64
}

type nameKey struct {
	kind weir.DefinitionKind
	name string
}

// pipe is a pipeline with what the fold asks of it.
type pipe struct {
	def      *weir.Pipeline
	revision uint64
	origin   string       // of the first action step
	per      *trigger.Per // nil without a concurrency key
}

func newScope(project weir.ProjectID) *scope {
	return &scope{
		project:      project,
		versions:     make(map[versionKey]Installed),
		revisions:    make(map[nameKey][]uint64),
		triggers:     make(map[string]*trigger.Compiled),
		pipelines:    make(map[string]*pipe),
		destinations: make(map[string]weir.Destination),
		oldTriggers:  make(map[versionKey]*trigger.Compiled),
		oldPipelines: make(map[versionKey]*pipe),
	}
}

// install puts one version in force, or takes the name out of force where Body
// is nil.
func (s *scope) install(in Installed) error {
	name := nameKey{in.Kind, in.Name}
	s.revisions[name] = append(s.revisions[name], in.Revision)
	if in.Body == nil {
		s.remove(in.Kind, in.Name)
		return nil
	}
	s.versions[versionKey{in.Kind, in.Name, in.Revision}] = in
	switch in.Kind {
	case weir.KindTrigger:
		t, err := compileTrigger(in)
		if err != nil {
			return err
		}
		s.triggers[in.Name], s.set = t, nil
	case weir.KindPipeline:
		p, err := compilePipeline(in)
		if err != nil {
			return err
		}
		s.pipelines[in.Name] = p
	case weir.KindDestination:
		var d weir.Destination
		if err := json.Unmarshal(in.Body, &d); err != nil {
			return fmt.Errorf("destination %s: %w", in.Name, err)
		}
		s.own()
		s.destinations[in.Name] = d
	case weir.KindSource, weir.KindEventType, weir.KindSetting: // the doors read them, the fold does not
	}
	return nil
}

func (s *scope) remove(kind weir.DefinitionKind, name string) {
	switch kind {
	case weir.KindTrigger:
		delete(s.triggers, name)
		s.set = nil
	case weir.KindPipeline:
		delete(s.pipelines, name)
	case weir.KindDestination:
		s.own()
		delete(s.destinations, name)
	case weir.KindSource, weir.KindEventType, weir.KindSetting:
	}
}

// own makes destinations a map that nobody else reads.
func (s *scope) own() {
	if s.lent {
		s.destinations, s.lent = maps.Clone(s.destinations), false
	}
}

// matcher returns the set of the triggers in force.
func (s *scope) matcher() *trigger.Set {
	if s.set == nil {
		s.set = trigger.NewSet(s.project, slices.Collect(maps.Values(s.triggers)))
	}
	return s.set
}

// triggerAt returns a version of a trigger, or nil.
func (s *scope) triggerAt(name string, revision uint64) *trigger.Compiled {
	if t := s.triggers[name]; t != nil && t.Revision == revision {
		return t
	}
	key := versionKey{weir.KindTrigger, name, revision}
	if t := s.oldTriggers[key]; t != nil {
		return t
	}
	t, err := compileTrigger(s.versions[key])
	if err != nil {
		return nil
	}
	s.oldTriggers[key] = t
	return t
}

// pipelineOf returns the pipeline of a name that a version of a trigger runs, or
// nil: the one in force, but steps that stand in the trigger itself are those of
// that version, as they were when another took its place.
func (s *scope) pipelineOf(trigger string, revision uint64, name string) *pipe {
	if !strings.HasPrefix(name, trigger+".") {
		return s.pipelines[name]
	}
	versions := s.revisions[nameKey{weir.KindTrigger, trigger}]
	next, _ := slices.BinarySearch(versions, revision+1)
	if next == len(versions) {
		return s.pipelines[name]
	}
	steps := s.revisions[nameKey{weir.KindPipeline, name}]
	i, _ := slices.BinarySearch(steps, versions[next])
	if i == 0 {
		return nil
	}
	return s.pipelineAt(name, steps[i-1])
}

// pipelineAt returns a version of a pipeline, or nil.
func (s *scope) pipelineAt(name string, revision uint64) *pipe {
	if p := s.pipelines[name]; p != nil && p.revision == revision {
		return p
	}
	key := versionKey{weir.KindPipeline, name, revision}
	if p := s.oldPipelines[key]; p != nil {
		return p
	}
	p, err := compilePipeline(s.versions[key])
	if err != nil {
		return nil
	}
	s.oldPipelines[key] = p
	return p
}

func compileTrigger(in Installed) (*trigger.Compiled, error) {
	def := weir.Trigger{Name: in.Name}
	if err := json.Unmarshal(in.Body, &def); err != nil {
		return nil, fmt.Errorf("trigger %s: %w", in.Name, err)
	}
	return trigger.Compile(&def, in.Revision)
}

func compilePipeline(in Installed) (*pipe, error) {
	def := &weir.Pipeline{Name: in.Name}
	if err := json.Unmarshal(in.Body, def); err != nil {
		return nil, fmt.Errorf("pipeline %s: %w", in.Name, err)
	}
	p := &pipe{def: def, revision: in.Revision, origin: pipeline.Origin(def, nil)}
	if def.Concurrency != nil && def.Concurrency.Per != "" {
		per, err := trigger.CompilePer(def.Concurrency.Per)
		if err != nil {
			return nil, fmt.Errorf("pipeline %s: %w", in.Name, err)
		}
		p.per = per
	}
	return p, nil
}
