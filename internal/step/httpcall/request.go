package httpcall

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/step"
)

// call is one request with what it is made from.
type call struct {
	*Step
	in      *step.Input
	vars    *expr.Vars
	req     *http.Request
	timeout time.Duration
}

// prepare makes the request, or says which key of the step is at fault. What the
// step says goes before what its destination says, and that before what every
// request has.
func (c *call) prepare(ctx context.Context) (field string, err error) {
	target, err := c.renderURL(c.vars)
	if err != nil {
		return "url", err
	}
	body, field, err := c.content(ctx)
	if err != nil {
		return field, err
	}
	c.req, err = http.NewRequestWithContext(ctx, c.method, target.String(), reader(body.bytes))
	if err != nil {
		return "url", err
	}
	key := c.in.Key()
	c.set("User-Agent", c.caller.userAgent)
	c.set("Idempotency-Key", key)
	c.set("Webhook-Id", key)
	if body.mediaType != "" {
		c.set("Content-Type", body.mediaType)
	}
	destination := c.in.Destinations[pipeline.OriginOf(target)]
	c.timeout = cmp.Or(c.Step.timeout, destination.Timeout.Std(), c.caller.timeout)
	if field, err := c.setHeaders(destination.Headers); err != nil {
		return field, err
	}
	if c.binary {
		c.setAttributes(c.in.Events[0].Event)
	}
	if c.sign != nil {
		if err := c.setSignature(ctx, key, body); err != nil {
			return "sign", err
		}
	}
	if body.blob != nil {
		return "body", c.attach(ctx, body.blob)
	}
	return "", nil
}

func (c *call) set(name, value string) { c.req.Header[name] = []string{value} }

// setHeaders sets the destination's headers, then those of the step.
func (c *call) setHeaders(destination []weir.NamedText) (field string, err error) {
	headers := make([]header, 0, len(destination)+len(c.headers))
	for _, h := range destination {
		name := http.CanonicalHeaderKey(h.Name)
		if slices.ContainsFunc(c.headers, func(set header) bool { return set.name == name }) {
			continue
		}
		if !pipeline.CanSet(name) {
			return "header " + h.Name + " of the destination", weir.E("", weir.Invalid, "is none that can be set")
		}
		text, err := c.caller.template(h.Text)
		if err != nil {
			return "header " + h.Name + " of the destination", err
		}
		headers = append(headers, header{name, text})
	}
	for _, h := range append(headers, c.headers...) {
		text, err := h.text.Render(c.vars)
		if err == nil && hasControl(strings.ReplaceAll(text, "\t", "")) {
			err = weir.E("", weir.Invalid, "a value puts a control character into it")
		}
		if err != nil {
			return "header " + h.name, err
		}
		c.set(h.name, text)
	}
	return "", nil
}

// reader is nil where there is no content, so that no body is sent at all.
func reader(content []byte) io.Reader {
	if content == nil {
		return nil
	}
	return bytes.NewReader(content)
}
