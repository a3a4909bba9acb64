package project

import (
	"slices"
	"strconv"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/project/yaml"
)

// The bounds of a pipeline.
const (
	maxSteps       = 100
	maxWait        = 24 * time.Hour
	maxAttempts    = 1000
	maxConcurrency = 100_000
)

var (
	pipelineKeys = yaml.Keys{
		Of:      "a pipeline",
		Known:   []string{"steps", "retry", "timeout", "concurrency", "rate", "on_failure"},
		Example: "{steps: [{log: {message: hello}}]}",
	}
	retryKeys = yaml.Keys{
		Of:      "retry",
		Known:   []string{"attempts", "backoff", "factor", "max", "on"},
		Example: "{attempts: 8, backoff: 1s, factor: 2, max: 10m}, or none",
	}
	concurrencyKeys = yaml.Keys{
		Of:      "concurrency",
		Known:   []string{"limit", "per", "ordered", "when_full"},
		Example: "{limit: 20, per: group.key.user}",
	}
)

func (r *reader) pipeline(text string, n *yaml.Node) {
	p := weir.Pipeline{Name: text}
	key, steps := r.set.places[name{weir.KindPipeline, text}].node, false
	for key, value := range r.Entries(n, pipelineKeys) {
		switch key.Text {
		case "steps":
			steps = true
			p.Steps = r.steps(value)
		case "retry":
			p.Retry = r.retry(value)
		case "timeout":
			p.Timeout = r.Duration(value, maxWait)
		case "concurrency":
			p.Concurrency = r.concurrency(value)
		case "rate":
			p.Rate = r.Rate(value)
		case "on_failure":
			p.OnFailure = r.onFailure(text, value)
		}
	}
	if n.Kind == yaml.Mapping && !steps {
		r.Fail(key, "such as steps: [{log: {message: hello}}]", "the pipeline %q has no steps", text)
	}
	if !p.Retry.None {
		p.Retry = pipeline.WithDefaults(p.Retry)
		p.Retry.Max = max(p.Retry.Max, p.Retry.Backoff)
	}
	r.set.Pipelines = append(r.set.Pipelines, p)
}

// inline makes a pipeline of the steps that stand in a trigger.
func (r *reader) inline(text string, n *yaml.Node) weir.Pipeline {
	return weir.Pipeline{Name: text, Steps: r.steps(n), Retry: pipeline.DefaultRetry()}
}

// retry reads retry; what is left out is zero.
func (r *reader) retry(n *yaml.Node) weir.Retry {
	var out weir.Retry
	if n.IsText() && n.Text == "none" {
		return weir.Retry{Attempts: 1, None: true}
	}
	for key, value := range r.Entries(n, retryKeys) {
		switch key.Text {
		case "attempts":
			out.Attempts = r.Whole(value, 1, maxAttempts)
		case "backoff":
			out.Backoff = r.Duration(value, maxWait)
		case "factor":
			out.Factor = r.Factor(value, 1, 100)
		case "max":
			out.Max = r.Duration(value, 30*maxWait)
			if out.Max != 0 && out.Backoff > out.Max {
				r.Fail(value, "", "max %s is less than the backoff %s", out.Max, out.Backoff)
			}
		case "on":
			out.On = r.retryOn(value)
		}
	}
	return out
}

func (r *reader) retryOn(n *yaml.Node) []string {
	const example = "[connect, timeout, 5xx, 429]"
	if n.Kind != yaml.List {
		r.Wrong(n, "a list", example)
		return nil
	}
	if len(n.Items) == 0 {
		r.Fail(n, "use attempts: 1, or retry: none", "on is empty")
	}
	var out []string
	for _, item := range n.Items {
		status, err := strconv.Atoi(item.Text)
		switch {
		case item.Kind != yaml.Scalar:
			r.Wrong(item, "a failure that is retried", example)
		case slices.Contains([]string{"connect", "timeout", "4xx", "5xx"}, item.Text), err == nil && status >= 300 && status <= 599:
			out = append(out, item.Text)
		default:
			r.Fail(item, yaml.Meant(item.Text, []string{"connect", "timeout", "4xx", "5xx"}, "use connect, timeout, 4xx, 5xx or a status"),
				"%q is no failure that is retried", yaml.Clip(item.Text))
		}
	}
	return out
}

func (r *reader) concurrency(n *yaml.Node) *weir.Concurrency {
	var c weir.Concurrency
	var limit *yaml.Node
	for key, value := range r.Entries(n, concurrencyKeys) {
		switch key.Text {
		case "limit":
			limit, c.Limit = value, r.Whole(value, 1, maxConcurrency)
		case "per":
			c.Per = r.expression(value, expr.ScopeKey, "group.key.user")
		case "ordered":
			c.Ordered = r.Flag(value)
		case "when_full":
			if c.WhenFull = r.Choice(value, []string{"queue", "skip"}, nil); c.WhenFull == "queue" {
				c.WhenFull = ""
			}
		}
	}
	switch {
	case c.Ordered && c.Limit > 1:
		r.Fail(limit, "leave limit out, or use 1", "ordered runs of a key act one after another, so %d at once cannot be", c.Limit)
	case c.Ordered:
		c.Limit = 1
	case n.Kind == yaml.Mapping && limit == nil:
		r.Fail(n, "such as limit: 20", "concurrency has no limit")
	}
	return &c
}

// onFailure reads the name of the pipeline that runs when a run of another died.
func (r *reader) onFailure(of string, n *yaml.Node) string {
	text := r.pipelineName(n, "alert", "name a pipeline")
	if text != "" {
		r.set.failures = append(r.set.failures, failureRef{place{r, n}, of, text})
	}
	return text
}

// pipelineName reads the name of a pipeline.
func (r *reader) pipelineName(n *yaml.Node, example, hint string) string {
	text := r.Words(n, example)
	if text != "" && !validName(text) {
		r.Fail(n, hint, "%q is no name of a pipeline", yaml.Clip(text))
		return ""
	}
	return text
}

// steps reads the steps of a pipeline.
func (r *reader) steps(n *yaml.Node) []weir.Step {
	if n.Kind != yaml.List {
		r.Wrong(n, "a list of steps", "[{log: {message: hello}}]")
		return nil
	}
	if len(n.Items) > maxSteps {
		r.Fail(n, "", "%d steps, and %d are the most", len(n.Items), maxSteps)
		return nil
	}
	if len(n.Items) == 0 {
		r.Fail(n, "such as [{log: {message: hello}}]", "there are no steps")
	}
	out := make([]weir.Step, 0, len(n.Items))
	for _, item := range n.Items {
		out = append(out, r.step(item))
	}
	return out
}
