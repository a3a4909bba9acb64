package project

import (
	"regexp"
	"strings"

	"weir"
	"weir/internal/expr"
)

var (
	stepKeys = keys{
		of:    "a step",
		known: []string{"filter", "http", "emit", "log"},
		later: []string{
			"transform", "jq", "function", "container", "exec", "wait", "usage", "notabene", "atompub",
		},
		example: "{log: {message: hello}}",
	}
	httpKeys = keys{
		of:      "an http step",
		known:   []string{"method", "url", "headers", "timeout"},
		later:   []string{"each", "body", "mode", "sign", "success", "response"},
		example: "{url: https://hooks.example/weir}",
	}
	emitKeys = keys{
		of:      "an emit step",
		known:   []string{"type", "source", "subject", "data", "each"},
		example: "{type: order.late}",
	}
	logKeys = keys{
		of:      "a log step",
		known:   []string{"message", "level"},
		example: "{message: hello}",
	}
	methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
)

func (r *reader) step(n *node) weir.Step {
	var s weir.Step
	if r.misindented(n) {
		return s
	}
	kinds := 0
	for key, value := range r.entries(n, stepKeys) {
		if kinds++; kinds > 1 {
			r.fail(key, "begin another step with -", "a step has one kind")
			break
		}
		switch key.text {
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
	if n.kind == mapping && len(n.fields) == 0 {
		r.wrong(n, "a step", stepKeys.example)
	}
	return s
}

// misindented reports a step whose keys stand beside its kind instead of below
// it.
func (r *reader) misindented(n *node) bool {
	if n.kind != mapping || len(n.fields) < 2 || !n.fields[0].value.isNull() {
		return false
	}
	first, second := n.fields[0].key, n.fields[1].key
	r.fail(second, "indent it further", "%s belongs below %s", clip(second.text), clip(first.text))
	return true
}

func (r *reader) http(n *node) *weir.HTTPStep {
	var h weir.HTTPStep
	for key, value := range r.entries(n, httpKeys) {
		switch key.text {
		case "method":
			h.Method = r.choice(value, methods, nil)
		case "url":
			if h.URL = r.words(value, "https://hooks.example/weir"); h.URL != "" {
				r.template(value, expr.ScopeStep)
				r.url(value)
			}
		case "headers":
			h.Headers = r.headers(value)
		case "timeout":
			h.Timeout = r.duration(value, maxWait)
		}
	}
	if n.kind == mapping && !n.has("url") {
		r.fail(n, "such as url: https://hooks.example/weir", "the http step has no url")
	}
	return &h
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func (r *reader) headers(n *node) []weir.NamedText {
	if !r.isMapping(n, "headers", "{x-team: usage}") {
		return nil
	}
	var out []weir.NamedText
	seen := map[string]string{}
	for _, f := range n.fields {
		lower := strings.ToLower(f.key.text)
		switch {
		case !headerName.MatchString(f.key.text):
			r.fail(f.key, "", "%q is no name of a header", clip(f.key.text))
		case seen[lower] != "":
			r.fail(f.key, "", "the header %s is given twice: also as %s", f.key.text, seen[lower])
		case oneOf(lower, "host", "content-length", "transfer-encoding", "connection"):
			r.fail(f.key, "", "the header %s follows from the request", f.key.text)
		}
		seen[lower] = f.key.text
		if text := r.words(f.value, "usage"); text != "" {
			r.template(f.value, expr.ScopeStep)
			out = append(out, weir.NamedText{Name: f.key.text, Text: text})
		}
	}
	return out
}

func (r *reader) emit(n *node) *weir.EmitStep {
	var e weir.EmitStep
	for key, value := range r.entries(n, emitKeys) {
		switch key.text {
		case "type":
			if e.Type = r.words(value, "order.late"); e.Type != "" {
				r.template(value, expr.ScopeStep)
				r.eventType(value)
			}
		case "source":
			if e.Source = r.words(value, "/orders"); e.Source != "" {
				r.template(value, expr.ScopeStep)
			}
		case "subject":
			if e.Subject = r.words(value, "order 17"); e.Subject != "" {
				r.template(value, expr.ScopeStep)
			}
		case "data":
			e.Data = r.json(value)
			r.dataTemplates(value)
		case "each":
			e.Each = r.flag(value)
		}
	}
	if n.kind == mapping && !n.has("type") {
		r.fail(n, "such as type: order.late", "the emit step has no type")
	}
	return &e
}

// dataTemplates compiles the strings inside of the data of an emit step.
func (r *reader) dataTemplates(n *node) {
	for _, item := range n.items {
		r.dataTemplates(item)
	}
	for _, f := range n.fields {
		r.dataTemplates(f.value)
	}
	if n.isText() {
		r.template(n, expr.ScopeStep)
	}
}

func (r *reader) log(n *node) *weir.LogStep {
	var l weir.LogStep
	for key, value := range r.entries(n, logKeys) {
		switch key.text {
		case "message":
			if l.Message = r.words(value, "hello"); l.Message != "" {
				r.template(value, expr.ScopeStep)
			}
		case "level":
			l.Level = r.choice(value, []string{"debug", "info", "warn", "error"}, nil)
		}
	}
	if n.kind == mapping && !n.has("message") {
		r.fail(n, "such as message: hello", "the log step has no message")
	}
	return &l
}
