// Package export writes definitions as project files that mean the same.
//
// It is the way back of package project and does no I/O. The command line calls
// it with what is in force.
package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/internal/pipeline"
)

// sections are the kinds of definition in the order in which a file has them.
var sections = []struct {
	kind weir.DefinitionKind
	name string
}{
	{weir.KindSetting, "strict"},
	{weir.KindEventType, "events"},
	{weir.KindSource, "sources"},
	{weir.KindTrigger, "triggers"},
	{weir.KindPipeline, "pipelines"},
	{weir.KindDestination, "destinations"},
}

// YAML returns one project file. Steps that stand in a trigger are written
// there.
func YAML(definitions []weir.Definition) ([]byte, error) {
	file, err := fileOf(definitions)
	var w writer
	w.mapping(file, 0, false)
	return w.Bytes(), err
}

// JSON returns one project file as JSON, which is YAML too.
func JSON(definitions []weir.Definition) ([]byte, error) {
	file, err := fileOf(definitions)
	var b bytes.Buffer
	_ = json.Indent(&b, asJSON(file), "", "  ") // it was made by asJSON
	b.WriteByte('\n')
	return b.Bytes(), err
}

// Directory returns project files by name: one per kind of definition, with the
// setting strict beside the events, and each schema as a file that they name.
func Directory(definitions []weir.Definition) (map[string][]byte, error) {
	file, err := fileOf(definitions)
	out := map[string][]byte{}
	for _, section := range file {
		name := section.key + ".yaml"
		if section.key == "strict" {
			name = "events.yaml"
		}
		if section.key == "events" {
			schemas(section.value.(mapping), out) //nolint:forcetypeassert // a section is a mapping
		}
		w := writer{}
		w.Write(out[name])
		w.mapping(mapping{section}, 0, false)
		out[name] = w.Bytes()
	}
	return out, err
}

// schemas moves the schemas of declared events to files of their own, where their
// names are fit for a file's: not hidden, not too long, and not taken.
func schemas(events mapping, out map[string][]byte) {
	for i, e := range events {
		body := e.value.(mapping) //nolint:forcetypeassert // a definition is a mapping
		name := "schemas/" + strings.Map(fileRune, e.key) + ".json"
		if _, taken := out[name]; taken || len(body) == 0 || e.key[0] == '.' || len(e.key) > 200 {
			continue
		}
		var b bytes.Buffer
		_ = json.Indent(&b, asJSON(body[0].value), "", "  ") // it was made by asJSON
		b.WriteByte('\n')
		out[name] = b.Bytes()
		events[i].value = mapping{{"schema", name}}
	}
}

// fileRune returns what stands for a character of a name in a name of a file.
func fileRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
		return r
	}
	return '_'
}

// fileOf returns the mapping that a project file is.
func fileOf(definitions []weir.Definition) (mapping, error) {
	x := exporter{steps: map[string]list{}}
	for _, d := range definitions {
		if d.Kind == weir.KindPipeline && strings.Contains(d.Name, ".") {
			var p weir.Pipeline
			if err := json.Unmarshal(d.Body, &p); err != nil {
				return nil, fmt.Errorf("%s %s: %w", d.Kind, d.Name, err)
			}
			x.steps[d.Name] = steps(p.Steps)
		}
	}
	var file mapping
	for _, section := range sections {
		var all mapping
		for _, d := range definitions {
			if _, inline := x.steps[d.Name]; d.Kind != section.kind || inline && d.Kind == weir.KindPipeline {
				continue
			}
			v, err := x.definition(d)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", d.Kind, d.Name, err)
			}
			all = append(all, entry{d.Name, v})
		}
		switch {
		case section.kind == weir.KindSetting:
			file = append(file, all...)
		case all != nil:
			file = append(file, entry{section.name, all})
		}
	}
	return file, nil
}

// exporter knows the steps that stand in triggers, by the name of their
// pipeline.
type exporter struct{ steps map[string]list }

func (x *exporter) definition(d weir.Definition) (any, error) {
	switch d.Kind {
	case weir.KindSetting:
		return fromJSON(d.Body), nil
	case weir.KindEventType:
		return decoded(d, eventType)
	case weir.KindSource:
		return decoded(d, source)
	case weir.KindTrigger:
		return decoded(d, x.trigger)
	case weir.KindPipeline:
		return decoded(d, pipelineOf)
	case weir.KindDestination:
		return decoded(d, destination)
	}
	return nil, weir.E("", weir.Invalid, "is of a kind that is not known here: the server is newer")
}

func decoded[T any](d weir.Definition, write func(*T) mapping) (any, error) {
	var v T
	if err := json.Unmarshal(d.Body, &v); err != nil {
		return nil, err
	}
	return write(&v), nil
}

func eventType(e *weir.EventType) mapping {
	m := mapping{}
	if e.Schema != nil {
		add(&m, "schema", fromJSON(e.Schema))
	}
	return m
}

func source(s *weir.Source) mapping {
	var m mapping
	w := s.Webhook
	if w == nil {
		return m
	}
	set(&m, "verify", w.Verify)
	add(&m, "secret", oneOrMore(w.Secrets))
	set(&m, "type", w.Type)
	set(&m, "id", w.ID)
	set(&m, "subject", w.Subject)
	set(&m, "tolerance", duration(w.Tolerance))
	set(&m, "verify_token", w.VerifyToken)
	if s := w.Signature; s != nil {
		var sign mapping
		set(&sign, "header", s.Header)
		set(&sign, "algorithm", s.Algorithm)
		set(&sign, "encoding", s.Encoding)
		set(&sign, "prefix", s.Prefix)
		set(&sign, "timestamp", s.Timestamp)
		set(&sign, "signed", s.Signed)
		add(&m, "signature", sign)
	}
	if t := w.Token; t != nil {
		var token mapping
		set(&token, "header", t.Header)
		set(&token, "query", t.Query)
		add(&m, "token", token)
	}
	return mapping{{"webhook", m}}
}

func (x *exporter) trigger(t *weir.Trigger) mapping {
	m := mapping{}
	bare := slices.Clone(t.Fire)
	for i := range bare {
		bare[i].Count = 0
	}
	if len(bare) == 0 || !reflect.DeepEqual(bare, t.Match) {
		all := criteria(t.Match)
		if len(all) == 1 {
			add(&m, "match", all[0])
		} else {
			add(&m, "match", all)
		}
	}
	if t.GroupBy != nil {
		var parts mapping
		for _, p := range t.GroupBy {
			parts = append(parts, entry{p.Name, p.Of})
		}
		add(&m, "group_by", parts)
	}
	if t.Fire != nil {
		add(&m, "fire", criteria(t.Fire))
	}
	set(&m, "expire", t.Expire)
	if t.MaxEvents > 0 {
		add(&m, "max_events", mapping{{"limit", number(t.MaxEvents)}})
	}
	add(&m, "run", x.runs(t.Run))
	add(&m, "on_expire", x.runs(t.OnExpire))
	return m
}

// runs returns the name of a pipeline, or the steps that stand in place of it.
func (x *exporter) runs(pipeline string) any {
	if inline, ok := x.steps[pipeline]; ok {
		return inline
	}
	if pipeline == "" {
		return nil
	}
	return pipeline
}

func criteria(all []weir.Criterion) list {
	out := list{}
	for _, c := range all {
		m := mapping{}
		switch {
		case len(c.Types) == 1:
			add(&m, "type", c.Types[0])
		case c.Types != nil:
			add(&m, "type", texts(c.Types))
		}
		set(&m, "where", c.Where)
		set(&m, "count", numberOrNone(c.Count))
		out = append(out, m)
	}
	return out
}

func destination(d *weir.Destination) mapping {
	m := mapping{}
	set(&m, "limit", numberOrNone(d.Limit))
	set(&m, "rate", d.Rate.String())
	set(&m, "timeout", duration(d.Timeout))
	add(&m, "headers", named(d.Headers))
	return m
}

func pipelineOf(p *weir.Pipeline) mapping {
	m := mapping{{"steps", steps(p.Steps)}}
	add(&m, "retry", retry(p.Retry))
	set(&m, "timeout", duration(p.Timeout))
	if c := p.Concurrency; c != nil {
		var limits mapping
		if !c.Ordered {
			set(&limits, "limit", numberOrNone(c.Limit))
		}
		set(&limits, "per", c.Per)
		set(&limits, "ordered", c.Ordered)
		set(&limits, "when_full", c.WhenFull)
		add(&m, "concurrency", limits)
	}
	set(&m, "rate", p.Rate.String())
	set(&m, "on_failure", p.OnFailure)
	return m
}

// retry returns what differs from the default, nil where nothing does.
func retry(r weir.Retry) any {
	if r.None {
		return "none"
	}
	var m mapping
	d := pipeline.DefaultRetry()
	if r.Attempts != d.Attempts {
		add(&m, "attempts", number(r.Attempts))
	}
	if r.Backoff != d.Backoff {
		add(&m, "backoff", duration(r.Backoff))
	}
	if r.Factor != d.Factor {
		add(&m, "factor", json.Number(strconv.FormatFloat(r.Factor, 'g', -1, 64)))
	}
	if r.Max != d.Max {
		add(&m, "max", duration(r.Max))
	}
	if !slices.Equal(r.On, d.On) {
		add(&m, "on", texts(r.On))
	}
	if m == nil {
		return nil
	}
	return m
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

func numberOrNone(n int) json.Number {
	if n == 0 {
		return ""
	}
	return number(n)
}

func duration(d weir.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func texts(all []string) list {
	out := list{}
	for _, text := range all {
		out = append(out, text)
	}
	return out
}

// oneOrMore returns a text alone, or several as a list; nil for none.
func oneOrMore(all []string) any {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return texts(all)
}

// named returns names with their texts as a mapping, nil for none.
func named(all []weir.NamedText) any {
	if all == nil {
		return nil
	}
	m := mapping{}
	for _, t := range all {
		m = append(m, entry{t.Name, t.Text})
	}
	return m
}
