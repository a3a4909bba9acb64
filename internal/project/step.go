package project

import (
	"regexp"
	"slices"
	"strings"

	"weir"
	"weir/internal/expr"
	"weir/internal/project/yaml"
)

var (
	stepKeys = yaml.Keys{
		Of:    "a step",
		Known: []string{"filter", "http", "emit", "log"},
		Later: []string{
			"transform", "jq", "function", "container", "exec", "wait", "usage", "notabene", "atompub",
		},
		Example: "{log: {message: hello}}",
	}
	httpKeys = yaml.Keys{
		Of:      "an http step",
		Known:   []string{"method", "url", "headers", "timeout"},
		Later:   []string{"each", "body", "mode", "sign", "success", "response"},
		Example: "{url: https://hooks.example/weir}",
	}
	emitKeys = yaml.Keys{
		Of:      "an emit step",
		Known:   []string{"type", "source", "subject", "data", "each"},
		Example: "{type: order.late}",
	}
	logKeys = yaml.Keys{
		Of:      "a log step",
		Known:   []string{"message", "level"},
		Example: "{message: hello}",
	}
	methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
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

func (r *reader) http(n *yaml.Node) *weir.HTTPStep {
	var h weir.HTTPStep
	for key, value := range r.Entries(n, httpKeys) {
		switch key.Text {
		case "method":
			h.Method = r.Choice(value, methods, nil)
		case "url":
			if h.URL = r.Words(value, "https://hooks.example/weir"); h.URL != "" {
				r.template(value, expr.ScopeStep)
				r.url(value)
			}
		case "headers":
			h.Headers = r.headers(value)
		case "timeout":
			h.Timeout = r.Duration(value, maxWait)
		}
	}
	if n.Kind == yaml.Mapping && !n.Has("url") {
		r.Fail(n, "such as url: https://hooks.example/weir", "the http step has no url")
	}
	return &h
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func (r *reader) headers(n *yaml.Node) []weir.NamedText {
	if !r.IsMapping(n, "headers", "{x-team: usage}") {
		return nil
	}
	var out []weir.NamedText
	seen := map[string]string{}
	for _, f := range n.Fields {
		lower := strings.ToLower(f.Key.Text)
		switch {
		case !headerName.MatchString(f.Key.Text):
			r.Fail(f.Key, "", "%q is no name of a header", yaml.Clip(f.Key.Text))
		case seen[lower] != "":
			r.Fail(f.Key, "", "the header %s is given twice: also as %s", f.Key.Text, seen[lower])
		case slices.Contains([]string{"host", "content-length", "transfer-encoding", "connection"}, lower):
			r.Fail(f.Key, "", "the header %s follows from the request", f.Key.Text)
		}
		seen[lower] = f.Key.Text
		if text := r.Words(f.Value, "usage"); text != "" {
			r.template(f.Value, expr.ScopeStep)
			out = append(out, weir.NamedText{Name: f.Key.Text, Text: text})
		}
	}
	return out
}

func (r *reader) emit(n *yaml.Node) *weir.EmitStep {
	var e weir.EmitStep
	for key, value := range r.Entries(n, emitKeys) {
		switch key.Text {
		case "type":
			if e.Type = r.Words(value, "order.late"); e.Type != "" {
				r.template(value, expr.ScopeStep)
				r.eventType(value)
			}
		case "source":
			if e.Source = r.Words(value, "/orders"); e.Source != "" {
				r.template(value, expr.ScopeStep)
			}
		case "subject":
			if e.Subject = r.Words(value, "order 17"); e.Subject != "" {
				r.template(value, expr.ScopeStep)
			}
		case "data":
			e.Data = r.JSON(value)
			r.dataTemplates(value)
		case "each":
			e.Each = r.Flag(value)
		}
	}
	if n.Kind == yaml.Mapping && !n.Has("type") {
		r.Fail(n, "such as type: order.late", "the emit step has no type")
	}
	return &e
}

// dataTemplates compiles the strings inside of the data of an emit step.
func (r *reader) dataTemplates(n *yaml.Node) {
	for _, item := range n.Items {
		r.dataTemplates(item)
	}
	for _, f := range n.Fields {
		r.dataTemplates(f.Value)
	}
	if n.IsText() {
		r.template(n, expr.ScopeStep)
	}
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
		}
	}
	if n.Kind == yaml.Mapping && !n.Has("message") {
		r.Fail(n, "such as message: hello", "the log step has no message")
	}
	return &l
}
