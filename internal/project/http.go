package project

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/project/yaml"
)

var (
	httpKeys = yaml.Keys{
		Of: "an http step",
		Known: []string{
			"method", "url", "headers", "body", "mode", "each", "timeout", "sign", "success", "response",
		},
		Example: "{url: https://hooks.example/weir}",
	}
	methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
)

func (r *reader) http(n *yaml.Node) *weir.HTTPStep {
	var h weir.HTTPStep
	var mode *yaml.Node
	before := len(r.Problems)
	for key, value := range r.Entries(n, httpKeys) {
		switch key.Text {
		case "url":
			if h.URL = r.Words(value, "https://hooks.example/weir"); h.URL != "" {
				r.template(value, expr.ScopeStep)
				r.url(value)
			}
		case "mode":
			mode = value
			if h.Mode = r.Choice(value, []string{"structured", "binary"}, nil); h.Mode == "structured" {
				h.Mode = ""
			}
		default:
			r.httpKey(&h, key.Text, value)
		}
	}
	if n.Kind == yaml.Mapping && !n.Has("url") {
		r.Fail(n, "such as url: https://hooks.example/weir", "the http step has no url")
	}
	if mode != nil && h.Body != nil {
		r.Fail(mode, "leave one of them out", "mode says how events are sent, and body sends something else")
	}
	if err, ok := errors.AsType[*weir.Error](pipeline.CheckHTTP(&h)); ok && len(r.Problems) == before {
		r.Fail(n.At(err.Field), "", "%s", err.Message)
	}
	return &h
}

func (r *reader) httpKey(h *weir.HTTPStep, key string, n *yaml.Node) {
	switch key {
	case "method":
		h.Method = r.Choice(n, methods, nil)
	case "headers":
		h.Headers = r.headers(n)
	case "body":
		h.Body = r.templates(n, func(text *yaml.Node) { r.template(text, expr.ScopeStep) })
	case "each":
		h.Each = r.Flag(n)
	case "timeout":
		h.Timeout = r.Duration(n, maxWait)
	case "sign":
		h.Sign = r.secret(n, expr.ScopeStep, "${secret.receiver}")
	case "success":
		h.Success = r.success(n)
	case "response":
		h.Response, h.EmitType = r.response(n)
	}
}

var statuses = regexp.MustCompile(`^([1-5]xx|[1-5][0-9]{2})$`)

// success reads the statuses that are no failure.
func (r *reader) success(n *yaml.Node) []string {
	const example = "2xx, or [2xx, 404]"
	if n.Kind == yaml.List && len(n.Items) == 0 {
		r.Fail(n, "such as "+example, "no status is a success: every request would fail")
	}
	var out []string
	for _, item := range yaml.OneOrMore(n) {
		switch {
		case item.Kind != yaml.Scalar || item.IsNull():
			r.Wrong(item, "a status", example)
		case !statuses.MatchString(item.Text):
			r.Fail(item, "such as "+example, "%q is no status", yaml.Clip(item.Text))
		default:
			out = append(out, item.Text)
		}
	}
	return out
}

// response reads what becomes of the answer: "ignore", "replace" or "emit TYPE".
func (r *reader) response(n *yaml.Node) (what, emitType string) {
	const example = "such as response: emit order.rated"
	text := r.Words(n, "emit order.rated")
	word, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case text == "" || text == "ignore":
	case text == "replace":
		return "replace", ""
	case word == "emit" && rest == "":
		r.Fail(n, example, "what is emitted needs a type")
	case word == "emit":
		r.kept(n, expr.ScopeStep)
		r.eventType(n, rest)
		return "emit", rest
	default:
		r.Fail(n, yaml.Meant(word, []string{"ignore", "replace", "emit"}, example), "%q is neither ignore, replace nor emit TYPE", yaml.Clip(text))
	}
	return "", ""
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
		case !pipeline.CanSet(lower):
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

// url checks what is literal in the URL of an http step: all up to the path
// where no ${…} stands in it.
func (r *reader) url(n *yaml.Node) {
	const hint = "such as https://hooks.example/weir"
	head, _, found := strings.Cut(n.Text, "${")
	if found && (!strings.Contains(head, "://") || pipeline.LiteralOrigin(n.Text) == "") {
		scheme, _, whole := strings.Cut(head, "://")
		if whole && scheme != "http" && scheme != "https" {
			r.Fail(n, hint, "the URL begins with neither http:// nor https://")
		}
		return
	}
	u, err := url.Parse(head)
	switch {
	case err != nil:
		r.Fail(n, hint, "%q is no URL", yaml.Clip(n.Text))
	case u.Scheme != "http" && u.Scheme != "https":
		r.Fail(n, hint, "the URL begins with neither http:// nor https://")
	case u.Host == "" || pipeline.OriginOf(u) == "":
		r.Fail(n, hint, "the URL names no host")
	case u.User != nil:
		r.Fail(n, "put it into a header, with ${secret.NAME}", "a password may not stand in a URL")
	case u.Fragment != "":
		r.Fail(n, "", "the part after # is never sent")
	}
}
