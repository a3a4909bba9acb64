package project

import (
	"net/url"
	"strings"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
)

var (
	sourceKeys = keys{
		of:      "a source",
		known:   []string{"webhook"},
		later:   []string{"amqp", "distill"},
		example: `{webhook: {verify: github, secret: "${secret.github}", type: push}}`,
	}
	webhookKeys = keys{
		of:      "a webhook",
		known:   []string{"verify", "secret", "type", "id"},
		later:   []string{"function", "respond", "timeout"},
		example: `{verify: github, secret: "${secret.github}", type: push}`,
	}
	destinationKeys = keys{
		of:      "a destination",
		known:   []string{"limit"},
		later:   []string{"rate", "timeout", "headers"},
		example: "{limit: 10}",
	}
)

func (r *reader) source(text string, n *node) {
	s := weir.Source{Name: text}
	for _, value := range r.entries(n, sourceKeys) {
		s.Webhook = r.webhook(value)
	}
	if n.kind == mapping && len(n.fields) == 0 {
		r.wrong(n, "a source", sourceKeys.example)
	}
	r.set.Sources = append(r.set.Sources, s)
}

func (r *reader) webhook(n *node) *weir.Webhook {
	var w weir.Webhook
	for key, value := range r.entries(n, webhookKeys) {
		switch key.text {
		case "verify":
			w.Verify = r.choice(value, []string{"github"}, []string{"token", "stripe", "slack", "standard", "hmac"})
		case "secret":
			w.Secrets = []string{r.secret(value)}
		case "type":
			if w.Type = r.words(value, "github.${header['x-github-event']}"); w.Type != "" {
				r.kept(value)
				r.eventType(value)
			}
		case "id":
			if w.ID = r.words(value, "${header['x-github-delivery']}"); w.ID != "" {
				r.kept(value)
			}
		}
	}
	if n.has("verify") && w.Verify == "" {
		return &w // what else it needs is not known
	}
	for _, key := range []string{"verify", "secret", "type"} {
		if n.kind == mapping && !n.has(key) {
			r.fail(n, "such as "+webhookKeys.example, "the webhook has no %s", key)
		}
	}
	return &w
}

// kept checks a template whose text stands in the event, and so in the journal
// and in answers, where no secret may be.
func (r *reader) kept(n *node) {
	if t := r.template(n, expr.ScopeSource); t != nil && len(t.Secrets()) > 0 {
		r.fail(n, "", "a secret cannot stand here: it would be kept with each event")
	}
}

// secret reads what a signature is checked with, which may not stand in the
// file: definitions are kept in the journal and shown to people.
func (r *reader) secret(n *node) string {
	text := r.words(n, "${secret.github}")
	if text == "" {
		return ""
	}
	if t := r.template(n, expr.ScopeSource); t != nil && len(t.Secrets()) == 0 {
		r.fail(n, "store it with weir secret set, and write ${secret.NAME}", "a secret may not stand in a project file")
	}
	return text
}

// eventType checks the type of an event where it is not a template.
func (r *reader) eventType(n *node) {
	if strings.Contains(n.text, "${") {
		return
	}
	e := weir.Event{ID: "x", Source: "/x", Type: n.text}
	if err := e.Validate(); err != nil {
		r.fail(n, "", "%v", err)
	}
}

func (r *reader) destination(text string, n *node) {
	d := weir.Destination{Name: text}
	for _, value := range r.entries(n, destinationKeys) {
		d.Limit = r.whole(value, 1, maxConcurrency)
	}
	r.set.Destinations = append(r.set.Destinations, d)
}

// origin reads the name of a destination, and returns the origin as pipelines
// write it.
func (r *reader) origin(key *node) string {
	u, err := url.Parse(key.text)
	if err != nil || pipeline.OriginOf(u) == "" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		r.fail(key, "such as https://billing.example or http://10.0.0.7:8080", "%q is no origin", clip(key.text))
		return ""
	}
	return pipeline.OriginOf(u)
}

// url checks what is literal in the URL of an http step: all up to the path
// where no ${…} stands in it.
func (r *reader) url(n *node) {
	const hint = "such as https://hooks.example/weir"
	head, _, found := strings.Cut(n.text, "${")
	if found && (!strings.Contains(head, "://") || pipeline.LiteralOrigin(n.text) == "") {
		scheme, _, whole := strings.Cut(head, "://")
		if whole && scheme != "http" && scheme != "https" {
			r.fail(n, hint, "the URL begins with neither http:// nor https://")
		}
		return
	}
	u, err := url.Parse(head)
	switch {
	case err != nil:
		r.fail(n, hint, "%q is no URL", clip(n.text))
	case u.Scheme != "http" && u.Scheme != "https":
		r.fail(n, hint, "the URL begins with neither http:// nor https://")
	case u.Host == "" || pipeline.OriginOf(u) == "":
		r.fail(n, hint, "the URL names no host")
	case u.User != nil:
		r.fail(n, "put it into a header, with ${secret.NAME}", "a password may not stand in a URL")
	case u.Fragment != "":
		r.fail(n, "", "the part after # is never sent")
	}
}
