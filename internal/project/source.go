package project

import (
	"net/url"
	"strings"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
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
		Of:      "a webhook",
		Known:   []string{"verify", "secret", "type", "id"},
		Later:   []string{"function", "respond", "timeout"},
		Example: `{verify: github, secret: "${secret.github}", type: push}`,
	}
	destinationKeys = yaml.Keys{
		Of:      "a destination",
		Known:   []string{"limit"},
		Later:   []string{"rate", "timeout", "headers"},
		Example: "{limit: 10}",
	}
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
	for key, value := range r.Entries(n, webhookKeys) {
		switch key.Text {
		case "verify":
			w.Verify = r.Choice(value, []string{"github"}, []string{"token", "stripe", "slack", "standard", "hmac"})
		case "secret":
			w.Secrets = []string{r.secret(value)}
		case "type":
			if w.Type = r.Words(value, "github.${header['x-github-event']}"); w.Type != "" {
				r.kept(value)
				r.eventType(value)
			}
		case "id":
			if w.ID = r.Words(value, "${header['x-github-delivery']}"); w.ID != "" {
				r.kept(value)
			}
		}
	}
	if n.Has("verify") && w.Verify == "" {
		return &w // what else it needs is not known
	}
	for _, key := range []string{"verify", "secret", "type"} {
		if n.Kind == yaml.Mapping && !n.Has(key) {
			r.Fail(n, "such as "+webhookKeys.Example, "the webhook has no %s", key)
		}
	}
	return &w
}

// kept checks a template whose text stands in the event, and so in the journal
// and in answers, where no secret may be.
func (r *reader) kept(n *yaml.Node) {
	if t := r.template(n, expr.ScopeSource); t != nil && len(t.Secrets()) > 0 {
		r.Fail(n, "", "a secret cannot stand here: it would be kept with each event")
	}
}

// secret reads what a signature is checked with, which may not stand in the
// file: definitions are kept in the journal and shown to people.
func (r *reader) secret(n *yaml.Node) string {
	text := r.Words(n, "${secret.github}")
	if text == "" {
		return ""
	}
	if t := r.template(n, expr.ScopeSource); t != nil && len(t.Secrets()) == 0 {
		r.Fail(n, "store it with weir secret set, and write ${secret.NAME}", "a secret may not stand in a project file")
	}
	return text
}

// eventType checks the type of an event where it is not a template.
func (r *reader) eventType(n *yaml.Node) {
	if strings.Contains(n.Text, "${") {
		return
	}
	e := weir.Event{ID: "x", Source: "/x", Type: n.Text}
	if err := e.Validate(); err != nil {
		r.Fail(n, "", "%v", err)
	}
}

func (r *reader) destination(text string, n *yaml.Node) {
	d := weir.Destination{Name: text}
	for _, value := range r.Entries(n, destinationKeys) {
		d.Limit = r.Whole(value, 1, maxConcurrency)
	}
	r.set.Destinations = append(r.set.Destinations, d)
}

// origin reads the name of a destination, and returns the origin as pipelines
// write it.
func (r *reader) origin(key *yaml.Node) string {
	u, err := url.Parse(key.Text)
	if err != nil || pipeline.OriginOf(u) == "" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		r.Fail(key, "such as https://billing.example or http://10.0.0.7:8080", "%q is no origin", yaml.Clip(key.Text))
		return ""
	}
	return pipeline.OriginOf(u)
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
