package project

import (
	"errors"
	"strings"

	"weir"
	"weir/internal/expr"
	"weir/internal/project/yaml"
)

var (
	sourceKeys = yaml.Keys{
		Of:      "a source",
		Known:   []string{"webhook"},
		Later:   []string{"amqp", "distill"},
		Example: `{webhook: {verify: github, secret: "${secret.github}", type: push}}`,
	}
	webhookKeys = yaml.Keys{
		Of: "a webhook",
		Known: []string{
			"verify", "secret", "type", "id", "subject", "tolerance", "verify_token", "signature", "token",
		},
		Later:   []string{"function", "respond", "timeout"},
		Example: `{verify: github, secret: "${secret.github}", type: push}`,
	}
	signatureKeys = yaml.Keys{
		Of:      "a signature",
		Known:   []string{"header", "algorithm", "encoding", "prefix", "timestamp", "signed"},
		Example: "{header: X-Signature}",
	}
	tokenKeys = yaml.Keys{
		Of:      "a token",
		Known:   []string{"header", "query"},
		Example: "{header: X-Token}, or {query: token}",
	}
	verifies = []string{"github", "standard", "stripe", "slack", "hmac", "token", "basic"}
)

func (r *reader) source(text string, n *yaml.Node) {
	s := weir.Source{Name: text}
	for _, value := range r.Entries(n, sourceKeys) {
		s.Webhook = r.webhook(value)
	}
	if n.Kind == yaml.Mapping && len(n.Fields) == 0 {
		r.Wrong(n, "a source", sourceKeys.Example)
	}
	r.set.Sources = append(r.set.Sources, s)
}

func (r *reader) webhook(n *yaml.Node) *weir.Webhook {
	var w weir.Webhook
	before := len(r.Problems)
	for key, value := range r.Entries(n, webhookKeys) {
		switch key.Text {
		case "verify":
			w.Verify = r.Choice(value, verifies, nil)
		case "secret":
			for _, item := range yaml.OneOrMore(value) {
				w.Secrets = append(w.Secrets, r.secret(item, expr.ScopeSource, "${secret.github}"))
			}
		case "tolerance":
			w.Tolerance = r.Duration(value, maxWait)
		case "verify_token":
			w.VerifyToken = r.secret(value, expr.ScopeSource, "${secret.verify}")
		case "signature":
			w.Signature = r.signature(value)
		case "token":
			w.Token = r.hookToken(value)
		default:
			r.attribute(&w, key.Text, value)
		}
	}
	good := len(r.Problems) == before // else what is missing may follow from it
	for _, key := range []string{"verify", "secret", "type"} {
		if good && n.Kind == yaml.Mapping && !n.Has(key) {
			r.Fail(n, "such as "+webhookKeys.Example, "the webhook has no %s", key)
		}
	}
	if e, wrong := errors.AsType[*weir.Error](w.Validate()); wrong && len(r.Problems) == before {
		r.Fail(n.At(strings.Split(e.Field, ".")...), "", "%s %s", e.Field, e.Message)
	}
	return &w
}

// attribute reads a template that an attribute of the event is made by.
func (r *reader) attribute(w *weir.Webhook, key string, n *yaml.Node) {
	to := map[string]*string{"type": &w.Type, "id": &w.ID, "subject": &w.Subject}[key]
	if *to = r.Words(n, "${header['x-github-event']}"); *to == "" {
		return
	}
	r.kept(n, expr.ScopeSource)
	if key == "type" {
		r.eventType(n, n.Text)
	}
}

func (r *reader) signature(n *yaml.Node) *weir.Signature {
	var s weir.Signature
	for key, value := range r.Entries(n, signatureKeys) {
		switch key.Text {
		case "header":
			s.Header = r.header(value)
		case "algorithm":
			s.Algorithm = r.Choice(value, []string{"sha1", "sha256", "sha512"}, nil)
		case "encoding":
			s.Encoding = r.Choice(value, []string{"hex", "base64"}, nil)
		case "prefix":
			s.Prefix = r.Words(value, "sha256=")
		case "timestamp":
			s.Timestamp = r.header(value)
		case "signed":
			s.Signed = r.Words(value, "{timestamp}.{body}")
		}
	}
	return &s
}

func (r *reader) hookToken(n *yaml.Node) *weir.HookToken {
	var t weir.HookToken
	for key, value := range r.Entries(n, tokenKeys) {
		switch key.Text {
		case "header":
			t.Header = r.header(value)
		case "query":
			t.Query = r.Words(value, "token")
		}
	}
	return &t
}

// header reads the name of a header.
func (r *reader) header(n *yaml.Node) string {
	text := r.Words(n, "X-Signature")
	if text != "" && !headerName.MatchString(text) {
		r.Fail(n, "", "%q is no name of a header", yaml.Clip(text))
	}
	return text
}

// kept checks a template whose text stands in the event, and so in the journal
// and in answers, where no secret may be.
func (r *reader) kept(n *yaml.Node, scope expr.Scope) {
	if t := r.template(n, scope); t != nil && len(t.Secrets()) > 0 {
		r.Fail(n, "", "a secret cannot stand here: it would be kept with each event")
	}
}

// secret reads what a signature is made or checked with, which may not stand in the
// file: definitions are kept in the journal and shown to people.
func (r *reader) secret(n *yaml.Node, scope expr.Scope, example string) string {
	text := r.Words(n, example)
	if text == "" {
		return ""
	}
	if t := r.template(n, scope); t != nil && len(t.Secrets()) == 0 {
		r.Fail(n, "store it with weir secret set, and write ${secret.NAME}", "a secret may not stand in a project file")
	}
	return text
}

// eventType checks the type of an event where it is not a template.
func (r *reader) eventType(n *yaml.Node, text string) {
	if strings.Contains(text, "${") {
		return
	}
	e := weir.Event{ID: "x", Source: "/x", Type: text}
	if err := e.Validate(); err != nil {
		r.Fail(n, "", "%v", err)
	}
}
