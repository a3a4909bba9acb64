package project

import (
	"weir"
	"weir/internal/expr"
	"weir/internal/jq"
	"weir/internal/pipeline"
	"weir/internal/project/yaml"
)

var (
	stepKeys = yaml.Keys{
		Of:      "a step",
		Known:   []string{"filter", "transform", "jq", "http", "emit", "log"},
		Later:   []string{"function", "container", "exec", "wait", "usage", "notabene", "atompub"},
		Example: "{log: {message: hello}}",
	}
	transformKeys = yaml.Keys{
		Of:      "a transform step",
		Known:   []string{"set", "remove"},
		Example: "{set: {total: data.price * data.count}, remove: [trace]}",
	}
	emitKeys = yaml.Keys{
		Of:      "an emit step",
		Known:   []string{"type", "source", "subject", "data", "each"},
		Example: "{type: order.late}",
	}
	logKeys = yaml.Keys{
		Of:      "a log step",
		Known:   []string{"message", "level", "each"},
		Example: "{message: hello}",
	}
)

func (r *reader) step(n *yaml.Node) weir.Step {
	var s weir.Step
	if r.misindented(n) {
		return s
	}
	kinds := 0
	for key, value := range r.Entries(n, stepKeys) {
		if kinds++; kinds > 1 {
			r.Fail(key, "begin another step with -", "a step has one kind")
			break
		}
		switch key.Text {
		case "filter":
			s.Filter = &weir.FilterStep{Where: r.condition(value, expr.ScopeBatch, `event.type != "order.test"`)}
		case "transform":
			s.Transform = r.transform(value)
		case "jq":
			s.JQ = r.jq(value)
		case "http":
			s.HTTP = r.http(value)
		case "emit":
			s.Emit = r.emit(value)
		case "log":
			s.Log = r.log(value)
		}
	}
	if n.Kind == yaml.Mapping && len(n.Fields) == 0 {
		r.Wrong(n, "a step", stepKeys.Example)
	}
	return s
}

// misindented reports a step whose keys stand beside its kind instead of below
// it.
func (r *reader) misindented(n *yaml.Node) bool {
	if n.Kind != yaml.Mapping || len(n.Fields) < 2 || !n.Fields[0].Value.IsNull() {
		return false
	}
	first, second := n.Fields[0].Key, n.Fields[1].Key
	r.Fail(second, "indent it further", "%s belongs below %s", yaml.Clip(second.Text), yaml.Clip(first.Text))
	return true
}

func (r *reader) transform(n *yaml.Node) *weir.TransformStep {
	var t weir.TransformStep
	for key, value := range r.Entries(n, transformKeys) {
		switch key.Text {
		case "set":
			t.Set = r.assignments(value)
		case "remove":
			for _, item := range yaml.OneOrMore(value) {
				if text := r.Words(item, "trace"); text != "" && r.isFieldPath(item) {
					t.Remove = append(t.Remove, text)
				}
			}
		}
	}
	if n.Kind == yaml.Mapping && !n.Has("set") && !n.Has("remove") {
		r.Fail(n, "such as "+transformKeys.Example, "the transform step changes nothing")
	}
	return &t
}

// assignments reads which fields a transform step sets.
func (r *reader) assignments(n *yaml.Node) []weir.NamedText {
	if !r.IsMapping(n, "set", "{total: data.price * data.count}") {
		return nil
	}
	var out []weir.NamedText
	for _, f := range n.Fields {
		if r.isFieldPath(f.Key) {
			code := r.expression(f.Value, expr.ScopeBatch, "data.price * data.count")
			out = append(out, weir.NamedText{Name: f.Key.Text, Text: code})
		}
	}
	return out
}

func (r *reader) isFieldPath(n *yaml.Node) bool {
	_, err := pipeline.FieldPath(n.Text)
	if err != nil {
		r.Fail(n, "such as region or meta.region", "%q is no path of fields", yaml.Clip(n.Text))
	}
	return err == nil
}

func (r *reader) jq(n *yaml.Node) *weir.JQStep {
	program := r.Code(n, "{id: .order_id, total: (.items | length)}")
	if program == "" {
		return &weir.JQStep{}
	}
	if _, err := jq.Compile(program); err != nil {
		r.Fail(n, "", "%v", err)
	}
	return &weir.JQStep{Program: program}
}

func (r *reader) emit(n *yaml.Node) *weir.EmitStep {
	var e weir.EmitStep
	for key, value := range r.Entries(n, emitKeys) {
		switch key.Text {
		case "type":
			if e.Type = r.Words(value, "order.late"); e.Type != "" {
				r.kept(value, expr.ScopeStep)
				r.eventType(value, value.Text)
			}
		case "source":
			if e.Source = r.Words(value, "/orders"); e.Source != "" {
				r.kept(value, expr.ScopeStep)
			}
		case "subject":
			if e.Subject = r.Words(value, "order 17"); e.Subject != "" {
				r.kept(value, expr.ScopeStep)
			}
		case "data":
			e.Data = r.templates(value, func(text *yaml.Node) { r.kept(text, expr.ScopeStep) })
		case "each":
			e.Each = r.Flag(value)
		}
	}
	if n.Kind == yaml.Mapping && !n.Has("type") {
		r.Fail(n, "such as type: order.late", "the emit step has no type")
	}
	return &e
}

func (r *reader) log(n *yaml.Node) *weir.LogStep {
	var l weir.LogStep
	for key, value := range r.Entries(n, logKeys) {
		switch key.Text {
		case "message":
			if l.Message = r.Words(value, "hello"); l.Message != "" {
				r.template(value, expr.ScopeStep)
			}
		case "level":
			l.Level = r.Choice(value, []string{"debug", "info", "warn", "error"}, nil)
		case "each":
			l.Each = r.Flag(value)
		}
	}
	if n.Kind == yaml.Mapping && !n.Has("message") {
		r.Fail(n, "such as message: hello", "the log step has no message")
	}
	return &l
}
