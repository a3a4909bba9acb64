package project

import (
	"strconv"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
)

// The bounds of a pipeline.
const (
	maxSteps       = 100
	maxWait        = 24 * time.Hour
	maxAttempts    = 1000
	maxConcurrency = 100_000
)

var (
	pipelineKeys = keys{
		of:      "a pipeline",
		known:   []string{"steps", "retry", "timeout", "concurrency"},
		later:   []string{"rate", "on_failure"},
		example: "{steps: [{log: {message: hello}}]}",
	}
	retryKeys = keys{
		of:      "retry",
		known:   []string{"attempts", "backoff", "factor", "max", "on"},
		example: "{attempts: 8, backoff: 1s, factor: 2, max: 10m}, or none",
	}
	concurrencyKeys = keys{
		of:      "concurrency",
		known:   []string{"limit", "per"},
		later:   []string{"ordered", "when_full"},
		example: "{limit: 20, per: group.key.user}",
	}
)

func (r *reader) pipeline(text string, n *node) {
	p := weir.Pipeline{Name: text}
	key, steps := r.set.places[name{weir.KindPipeline, text}].node, false
	for key, value := range r.entries(n, pipelineKeys) {
		switch key.text {
		case "steps":
			steps = true
			p.Steps = r.steps(value)
		case "retry":
			p.Retry = r.retry(value)
		case "timeout":
			p.Timeout = r.duration(value, maxWait)
		case "concurrency":
			p.Concurrency = r.concurrency(value)
		}
	}
	if n.kind == mapping && !steps {
		r.fail(key, "such as steps: [{log: {message: hello}}]", "the pipeline %q has no steps", text)
	}
	if !p.Retry.None {
		p.Retry = pipeline.WithDefaults(p.Retry)
		p.Retry.Max = max(p.Retry.Max, p.Retry.Backoff)
	}
	r.set.Pipelines = append(r.set.Pipelines, p)
}

// inline makes a pipeline of the steps that stand in a trigger.
func (r *reader) inline(text string, n *node) weir.Pipeline {
	return weir.Pipeline{Name: text, Steps: r.steps(n), Retry: pipeline.DefaultRetry()}
}

// retry reads retry; what is left out is zero.
func (r *reader) retry(n *node) weir.Retry {
	var out weir.Retry
	if n.isText() && n.text == "none" {
		return weir.Retry{Attempts: 1, None: true}
	}
	for key, value := range r.entries(n, retryKeys) {
		switch key.text {
		case "attempts":
			out.Attempts = r.whole(value, 1, maxAttempts)
		case "backoff":
			out.Backoff = r.duration(value, maxWait)
		case "factor":
			out.Factor = r.factor(value, 1, 100)
		case "max":
			out.Max = r.duration(value, 30*maxWait)
			if out.Max != 0 && out.Backoff > out.Max {
				r.fail(value, "", "max %s is less than the backoff %s", out.Max, out.Backoff)
			}
		case "on":
			out.On = r.retryOn(value)
		}
	}
	return out
}

func (r *reader) retryOn(n *node) []string {
	const example = "[connect, timeout, 5xx, 429]"
	if n.kind != list {
		r.wrong(n, "a list", example)
		return nil
	}
	if len(n.items) == 0 {
		r.fail(n, "use attempts: 1, or retry: none", "on is empty")
	}
	var out []string
	for _, item := range n.items {
		status, err := strconv.Atoi(item.text)
		switch {
		case item.kind != scalar:
			r.wrong(item, "a failure that is retried", example)
		case oneOf(item.text, "connect", "timeout", "4xx", "5xx"), err == nil && status >= 300 && status <= 599:
			out = append(out, item.text)
		default:
			r.fail(item, meant(item.text, []string{"connect", "timeout", "4xx", "5xx"}, "use connect, timeout, 4xx, 5xx or a status"),
				"%q is no failure that is retried", clip(item.text))
		}
	}
	return out
}

func (r *reader) concurrency(n *node) *weir.Concurrency {
	var c weir.Concurrency
	for key, value := range r.entries(n, concurrencyKeys) {
		switch key.text {
		case "limit":
			c.Limit = r.whole(value, 1, maxConcurrency)
		case "per":
			c.Per = r.expression(value, expr.ScopeKey, "group.key.user")
		}
	}
	if n.kind == mapping && c.Limit == 0 {
		r.fail(n, "such as limit: 20", "concurrency has no limit")
	}
	return &c
}

// steps reads the steps of a pipeline.
func (r *reader) steps(n *node) []weir.Step {
	if n.kind != list {
		r.wrong(n, "a list of steps", "[{log: {message: hello}}]")
		return nil
	}
	if len(n.items) > maxSteps {
		r.fail(n, "", "%d steps, and %d are the most", len(n.items), maxSteps)
		return nil
	}
	if len(n.items) == 0 {
		r.fail(n, "such as [{log: {message: hello}}]", "there are no steps")
	}
	out := make([]weir.Step, 0, len(n.items))
	for _, item := range n.items {
		out = append(out, r.step(item))
	}
	return out
}
