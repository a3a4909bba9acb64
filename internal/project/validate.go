package project

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/internal/expr"
	"weir/internal/project/yaml"
)

// Validate checks what one file alone does not show, against what stays in force
// beside the files: that the pipelines that triggers and pipelines name are there.
// The error is Problems, those of Parse among them; it is another only where what
// is in force cannot be read. The warnings are what is allowed and probably not
// meant.
func (s *Set) Validate(d *Difference) (warnings Problems, err error) {
	old, err := Decode(d.rest...)
	if err != nil {
		return nil, err
	}
	pipelines := map[string]*weir.Pipeline{}
	for _, parts := range []*Parts{&old, &s.Parts} {
		for i := range parts.Pipelines {
			pipelines[parts.Pipelines[i].Name] = &parts.Pipelines[i]
		}
	}
	problems := slices.Concat(s.problems, s.missing(pipelines), s.circles(pipelines), d.orphans(&old, pipelines))
	warnings = slices.Concat(s.warnings, s.severalEvents(pipelines), s.severalInForce(old.Triggers, pipelines))
	return warnings.Sorted(), problems.Sorted().Err()
}

// missing returns a problem for each pipeline that is named and not there.
func (s *Set) missing(pipelines map[string]*weir.Pipeline) Problems {
	var out Problems
	var names []string
	for text := range maps.Keys(pipelines) {
		if !strings.Contains(text, ".") {
			names = append(names, text)
		}
	}
	look := func(at place, text string) {
		if _, written := s.places[name{weir.KindPipeline, text}]; !written && pipelines[text] == nil {
			hint := yaml.Meant(text, names, "define it under pipelines")
			out = append(out, at.reader.Problem(at.node, hint, fmt.Sprintf("there is no pipeline %q", text)))
		}
	}
	for _, run := range s.runs {
		look(run.place, run.pipeline)
	}
	for _, f := range s.failures {
		look(f.place, f.pipeline)
	}
	return out
}

// circles returns a problem for each on_failure that leads back to its pipeline.
func (s *Set) circles(pipelines map[string]*weir.Pipeline) Problems {
	var out Problems
	for _, f := range s.failures {
		way := []string{f.of}
		for p := pipelines[f.pipeline]; p != nil && len(way) <= len(pipelines); p = pipelines[p.OnFailure] {
			way = append(way, p.Name)
			if p.Name == f.of {
				text := "on_failure leads back to its own pipeline: " + strings.Join(way, ", ")
				out = append(out, f.reader.Problem(f.node, "", text))
				break
			}
		}
	}
	return out
}

// orphans returns a problem for each definition that stays in force and names a
// pipeline that goes.
func (d *Difference) orphans(stay *Parts, pipelines map[string]*weir.Pipeline) Problems {
	goes := map[string]bool{}
	for _, c := range d.Changes {
		if c.Kind == weir.KindPipeline && c.Body == nil && pipelines[c.Name] == nil {
			goes[c.Name] = true
		}
	}
	var out Problems
	need := func(kind weir.DefinitionKind, of, pipeline string) {
		if goes[pipeline] {
			text := fmt.Sprintf("it would go, and the %s %q, which stays, runs it", kind, of)
			out = append(out, yaml.Problem{File: "pipeline " + pipeline, Message: text})
		}
	}
	for _, t := range stay.Triggers {
		need(weir.KindTrigger, t.Name, t.Run)
		need(weir.KindTrigger, t.Name, t.OnExpire)
	}
	for _, p := range stay.Pipelines {
		need(weir.KindPipeline, p.Name, p.OnFailure)
	}
	return out
}

// severalEvents warns of the files' triggers that run a pipeline which means
// the batch's only event on batches of several.
func (s *Set) severalEvents(pipelines map[string]*weir.Pipeline) Problems {
	var out Problems
	for _, run := range s.runs {
		if !run.many {
			continue
		}
		if of, field := onlyEvent(pipelines, run.pipeline); field != "" {
			text := fmt.Sprintf("the pipeline %q means the batch's only event in %s, and the groups of %q may have several",
				of, field, run.trigger)
			out = append(out, run.reader.Problem(run.node, eachHint, text))
		}
	}
	return out
}

const eachHint = "give the step each: true, or use events"

// severalInForce warns of the files' pipelines that a trigger in force, which
// the files do not replace, runs on batches of several events.
func (s *Set) severalInForce(triggers []weir.Trigger, pipelines map[string]*weir.Pipeline) Problems {
	var out Problems
	for i := range triggers {
		t := &triggers[i]
		if !t.Grouped() {
			continue
		}
		for _, run := range []string{t.Run, t.OnExpire} {
			of, field := onlyEvent(pipelines, run)
			if at := s.places[name{weir.KindPipeline, of}]; field != "" && at.node != nil {
				text := fmt.Sprintf("%s means the batch's only event, and the groups of %q, which runs it, may have several", field, t.Name)
				out = append(out, at.reader.Problem(at.node, eachHint, text))
			}
		}
	}
	return out
}

// onlyEvent returns the first field of a pipeline, or of one that runs when it
// failed, that names event or data where that means the batch's only event.
func onlyEvent(pipelines map[string]*weir.Pipeline, run string) (of, field string) {
	for range len(pipelines) { // at most: on_failure may go in a circle, which circles tells
		p := pipelines[run]
		if p == nil {
			break
		}
		if field := onlyEventOf(p); field != "" {
			return p.Name, field
		}
		run = p.OnFailure
	}
	return "", ""
}

func onlyEventOf(p *weir.Pipeline) string {
	if c := p.Concurrency; c != nil {
		if per, err := expr.Compile(c.Per, expr.ScopeKey); err == nil && namesEvent(per) {
			return "concurrency.per"
		}
	}
	for i := range p.Steps {
		if field := onlyEventOfStep(&p.Steps[i]); field != "" {
			return fmt.Sprintf("steps[%d].%s", i, field)
		}
	}
	return ""
}

func onlyEventOfStep(s *weir.Step) string {
	switch {
	case s.HTTP != nil && !s.HTTP.Each && s.HTTP.Mode == "binary":
		return "http.mode (binary is of one event)"
	case s.HTTP != nil && !s.HTTP.Each:
		texts := []weir.NamedText{{Name: "http.url", Text: s.HTTP.URL}, {Name: "http.response", Text: s.HTTP.EmitType}}
		for _, h := range s.HTTP.Headers {
			texts = append(texts, weir.NamedText{Name: "http.headers." + h.Name, Text: h.Text})
		}
		return firstOnlyEvent(append(texts, textsOf("http.body", s.HTTP.Body)...))
	case s.Emit != nil && !s.Emit.Each && s.Emit.Data == nil:
		return "emit (it has no data of its own)"
	case s.Emit != nil && !s.Emit.Each:
		texts := []weir.NamedText{
			{Name: "emit.type", Text: s.Emit.Type},
			{Name: "emit.source", Text: s.Emit.Source},
			{Name: "emit.subject", Text: s.Emit.Subject},
		}
		return firstOnlyEvent(append(texts, textsOf("emit.data", s.Emit.Data)...))
	case s.Log != nil && !s.Log.Each:
		return firstOnlyEvent([]weir.NamedText{{Name: "log.message", Text: s.Log.Message}})
	}
	return ""
}

// textsOf returns the strings inside of JSON, under one name.
func textsOf(name string, raw json.RawMessage) []weir.NamedText {
	var v any
	if raw == nil || json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var out []weir.NamedText
	for _, text := range textsIn(v, nil) {
		out = append(out, weir.NamedText{Name: name, Text: text})
	}
	return out
}

// textsIn appends the strings inside of a JSON value.
func textsIn(v any, texts []string) []string {
	switch v := v.(type) {
	case string:
		texts = append(texts, v)
	case []any:
		for _, item := range v {
			texts = textsIn(item, texts)
		}
	case map[string]any:
		for _, item := range v {
			texts = textsIn(item, texts)
		}
	}
	return texts
}

func firstOnlyEvent(texts []weir.NamedText) string {
	for _, t := range texts {
		if compiled, err := expr.CompileTemplate(t.Text, expr.ScopeStep); err == nil && namesEvent(compiled) {
			return t.Name
		}
	}
	return ""
}

// namesEvent reports whether an expression or template names event or data.
func namesEvent(x interface{ Uses(name string) bool }) bool { return x.Uses("event") || x.Uses("data") }
