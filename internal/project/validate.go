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

// Validate checks what one file alone does not show: that the pipelines that
// triggers name are in the files or in force. The error is Problems, those of
// Parse among them; it is another only where what is in force cannot be read.
// The warnings are what is allowed and probably not meant.
func (s *Set) Validate(inForce []weir.Definition) (warnings yaml.Problems, err error) {
	old, err := Decode(inForce...)
	if err != nil {
		return nil, err
	}
	pipelines := map[string]*weir.Pipeline{}
	for _, parts := range []*Parts{&old, &s.Parts} {
		for i := range parts.Pipelines {
			pipelines[parts.Pipelines[i].Name] = &parts.Pipelines[i]
		}
	}
	problems := slices.Concat(s.problems, s.missing(pipelines))
	warnings = slices.Concat(s.warnings, s.severalEvents(pipelines), s.severalInForce(old.Triggers))
	return warnings.Sorted(), problems.Sorted().Err()
}

// missing returns a problem for each pipeline that is named and not there.
func (s *Set) missing(pipelines map[string]*weir.Pipeline) yaml.Problems {
	var out yaml.Problems
	var names []string
	for text := range maps.Keys(pipelines) {
		if !strings.Contains(text, ".") {
			names = append(names, text)
		}
	}
	for _, run := range s.runs {
		if _, written := s.places[name{weir.KindPipeline, run.pipeline}]; written || pipelines[run.pipeline] != nil {
			continue
		}
		hint := yaml.Meant(run.pipeline, names, "define it under pipelines")
		out = append(out, run.reader.Problem(run.node, hint, fmt.Sprintf("there is no pipeline %q", run.pipeline)))
	}
	return out
}

// severalEvents warns of the files' triggers that run a pipeline which means
// the batch's only event on batches of several.
func (s *Set) severalEvents(pipelines map[string]*weir.Pipeline) yaml.Problems {
	var out yaml.Problems
	for _, run := range s.runs {
		p := pipelines[run.pipeline]
		if p == nil || !run.many {
			continue
		}
		if field := onlyEvent(p); field != "" {
			text := fmt.Sprintf("the pipeline %q means the batch's only event in %s, and the groups of %q may have several",
				p.Name, field, run.trigger)
			out = append(out, run.reader.Problem(run.node, eachHint, text))
		}
	}
	return out
}

const eachHint = "give the step each: true, or use events"

// severalInForce warns of the files' pipelines that a trigger in force, which
// the files do not replace, runs on batches of several events.
func (s *Set) severalInForce(triggers []weir.Trigger) yaml.Problems {
	var out yaml.Problems
	for i := range triggers {
		t := &triggers[i]
		if _, replaced := s.places[name{weir.KindTrigger, t.Name}]; replaced || !t.Grouped() {
			continue
		}
		for j := range s.Pipelines {
			p := &s.Pipelines[j]
			if p.Name != t.Run && p.Name != t.OnExpire {
				continue
			}
			at, field := s.places[name{weir.KindPipeline, p.Name}], onlyEvent(p)
			if at.node != nil && field != "" {
				text := fmt.Sprintf("%s means the batch's only event, and the groups of %q, which runs it, may have several", field, t.Name)
				out = append(out, at.reader.Problem(at.node, eachHint, text))
			}
		}
	}
	return out
}

// onlyEvent returns the first field of a pipeline that names event or data
// where that means the batch's only event; "" for none.
func onlyEvent(p *weir.Pipeline) string {
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
	case s.HTTP != nil:
		texts := []weir.NamedText{{Name: "http.url", Text: s.HTTP.URL}}
		for _, h := range s.HTTP.Headers {
			texts = append(texts, weir.NamedText{Name: "http.headers." + h.Name, Text: h.Text})
		}
		return firstOnlyEvent(texts)
	case s.Emit != nil && !s.Emit.Each && s.Emit.Data == nil:
		return "emit (it has no data of its own)"
	case s.Emit != nil && !s.Emit.Each:
		texts := []weir.NamedText{
			{Name: "emit.type", Text: s.Emit.Type},
			{Name: "emit.source", Text: s.Emit.Source},
			{Name: "emit.subject", Text: s.Emit.Subject},
		}
		var data any
		if err := json.Unmarshal(s.Emit.Data, &data); err != nil {
			return ""
		}
		for _, text := range textsIn(data, nil) {
			texts = append(texts, weir.NamedText{Name: "emit.data", Text: text})
		}
		return firstOnlyEvent(texts)
	case s.Log != nil:
		return firstOnlyEvent([]weir.NamedText{{Name: "log.message", Text: s.Log.Message}})
	}
	return ""
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
