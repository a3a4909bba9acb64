package project

import (
	"slices"

	"weir"
	"weir/internal/expr"
	"weir/internal/project/yaml"
	"weir/internal/timex"
)

const (
	maxCriteria  = 1000
	maxKeyParts  = 16
	maxGroupSize = 1_000_000
)

var (
	triggerKeys = yaml.Keys{
		Of:      "a trigger",
		Known:   []string{"match", "group_by", "fire", "expire", "late", "skew", "max_events", "run", "on_expire"},
		Later:   []string{"unless", "delay", "cooldown"},
		Example: "{match: {type: order.*}, run: notify}",
	}
	matchKeys = yaml.Keys{
		Of:      "a criterion of match",
		Known:   []string{"type", "where"},
		Later:   []string{"key", "at"},
		Example: "{type: order.*}",
	}
	fireKeys = yaml.Keys{
		Of:      "a criterion of fire",
		Known:   []string{"type", "where", "count"},
		Later:   []string{"within", "distinct", "at"},
		Example: "{type: order.*, count: 5}",
	}
	maxEventsKeys = yaml.Keys{
		Of:      "max_events",
		Known:   []string{"limit", "then"},
		Example: "{limit: 10000, then: fire}",
	}
)

// triggerReader reads one trigger. Its nodes are nil where the trigger does not
// have the key.
type triggerReader struct {
	*reader
	trigger weir.Trigger
	key     *yaml.Node
	at      map[string]*yaml.Node // key -> value
	never   bool
}

func (r *reader) trigger(text string, n *yaml.Node) {
	t := triggerReader{reader: r, trigger: weir.Trigger{Name: text}, key: r.set.places[name{weir.KindTrigger, text}].node}
	t.at = map[string]*yaml.Node{}
	before := len(r.Problems)
	for key, value := range r.Entries(n, triggerKeys) {
		t.at[key.Text] = value
		t.read(key.Text, value)
	}
	if len(r.Problems) == before {
		t.check()
	}
	t.pipelines()
	r.set.Triggers = append(r.set.Triggers, t.trigger)
}

func (t *triggerReader) read(key string, n *yaml.Node) {
	switch key {
	case "match":
		t.trigger.Match = t.criteria(n, matchKeys)
		if n.Kind == yaml.List && len(n.Items) == 0 {
			t.Fail(n, "such as {type: order.*}", "match has no criterion")
		}
	case "group_by":
		t.trigger.GroupBy = t.groupBy(n)
	case "fire":
		t.trigger.Fire = t.fire(n)
	case "expire":
		t.trigger.Expire = t.expire(n)
	case "late":
		t.Choice(n, []string{"join"}, []string{"fire", "drop"})
	case "skew":
		t.skew(n)
	case "max_events":
		t.trigger.MaxEvents = t.maxEvents(n)
	case "run", "on_expire": // read when the rest is known
	}
}

// criteria reads a list of criteria or one alone. The result is not nil.
func (r *reader) criteria(n *yaml.Node, k yaml.Keys) []weir.Criterion {
	out := []weir.Criterion{}
	if n.Kind != yaml.List && n.Kind != yaml.Mapping {
		r.Wrong(n, "a list of criteria", "["+k.Example+"]")
		return out
	}
	for i, item := range yaml.OneOrMore(n) {
		if i == maxCriteria {
			r.Fail(item, "", "more than %d criteria", maxCriteria)
			break
		}
		out = append(out, r.criterion(item, k))
	}
	return out
}

func (r *reader) criterion(n *yaml.Node, k yaml.Keys) weir.Criterion {
	var c weir.Criterion
	for key, value := range r.Entries(n, k) {
		switch key.Text {
		case "type":
			c.Types = r.types(value)
		case "where":
			c.Where = r.condition(value, expr.ScopeEvent, "data.amount > 100")
		case "count":
			c.Count = r.Whole(value, 1, maxGroupSize)
		}
	}
	return c
}

// types reads one glob or a list of them. The result is not nil: no glob is
// something else than none given.
func (r *reader) types(n *yaml.Node) []string {
	out := []string{}
	if n.Kind == yaml.Mapping {
		r.Wrong(n, "a type or a list of types", `[order.*, "!order.test"]`)
		return out
	}
	for _, item := range yaml.OneOrMore(n) {
		glob := r.Words(item, "order.*")
		if _, err := expr.CompileGlobs([]string{glob}); glob != "" && err != nil {
			r.wrongCode(item, err)
		}
		out = append(out, glob)
	}
	return out
}

func (t *triggerReader) fire(n *yaml.Node) []weir.Criterion {
	if n.Kind == yaml.Mapping {
		for _, f := range n.Fields {
			if f.Key.Text == "sequence" {
				t.NotBuilt(f.Key, "sequence")
				return nil
			}
		}
	}
	return t.criteria(n, fireKeys)
}

// groupBy reads the parts of the key, in their order.
func (t *triggerReader) groupBy(n *yaml.Node) []weir.KeyPart {
	if !t.IsMapping(n, "group_by", "{order: data.order_id}") {
		return nil
	}
	if len(n.Fields) == 0 {
		t.Fail(n, "such as {order: data.order_id}", "group_by is empty: leave it out for one group of all events")
	}
	if len(n.Fields) > maxKeyParts {
		t.Fail(n, "", "group_by has %d parts, and %d are the most", len(n.Fields), maxKeyParts)
		return nil
	}
	var out []weir.KeyPart
	for _, f := range n.Fields {
		if !validName(f.Key.Text) {
			t.Fail(f.Key, "use a-z, 0-9, _ and -, beginning with a letter, 63 at most", "%q is no name for a part of a key", yaml.Clip(f.Key.Text))
		}
		if f.Value.Kind == yaml.Mapping {
			t.NotBuilt(f.Value, "a part of group_by with of and bucket")
			continue
		}
		out = append(out, weir.KeyPart{Name: f.Key.Text, Of: t.expression(f.Value, expr.ScopeEvent, "data.order_id")})
	}
	return out
}

func (t *triggerReader) expire(n *yaml.Node) string {
	text := t.Code(n, "last + 1h")
	if t.never = text == "never"; t.never || text == "" {
		return text
	}
	if _, err := weir.ParseDuration(text); err == nil {
		t.Fail(n, "such as opened + "+text, "%s is how long, and not from when", text)
	} else if _, err := timex.Parse(text); err != nil {
		t.wrongCode(n, err)
	}
	return text
}

func (t *triggerReader) skew(n *yaml.Node) {
	if n.IsText() && n.Text == "any" {
		t.NotBuilt(n, "skew: any")
		return
	}
	d := t.Duration(n, maxWait)
	if d != 0 && weir.Time(d.Std().Microseconds()) != weir.DefaultSkew {
		t.NotBuilt(n, "a skew other than 5m")
	}
}

func (t *triggerReader) maxEvents(n *yaml.Node) int {
	limit := 0
	for key, value := range t.Entries(n, maxEventsKeys) {
		switch key.Text {
		case "limit":
			limit = t.Whole(value, 1, maxGroupSize)
		case "then":
			t.Choice(value, []string{"fire"}, []string{"drop_oldest", "close"})
		}
	}
	return limit
}

// check applies the rules between keys, once each of them is good.
func (t *triggerReader) check() {
	match, fire := t.at["match"], t.at["fire"]
	if match == nil && len(t.trigger.Fire) == 0 {
		t.Fail(t.key, "such as match: {type: order.*}", "the trigger %q has no match", t.trigger.Name)
	}
	if match == nil {
		t.trigger.Match = slices.Clone(t.trigger.Fire)
		for i := range t.trigger.Match {
			t.trigger.Match[i].Count = 0
		}
	}
	if t.at["group_by"] == nil && fire == nil {
		t.checkWithoutGroups()
	} else {
		t.checkGroups()
	}
}

func (t *triggerReader) checkWithoutGroups() {
	for _, key := range []string{"expire", "late", "max_events", "on_expire"} {
		if n := t.at[key]; n != nil {
			t.Fail(n, "add group_by or fire, or leave it out", "%s is for groups, and each match of this trigger fires at once", key)
		}
	}
}

func (t *triggerReader) checkGroups() {
	switch expire, limit := t.at["expire"], t.at["max_events"]; {
	case expire == nil:
		t.Fail(t.key, "such as expire: last + 1h", "the trigger %q keeps groups and does not say when they expire", t.trigger.Name)
	case t.never && limit == nil:
		t.Fail(expire, "such as max_events: {limit: 10000, then: fire}", "expire: never needs max_events, or groups stay for ever")
	}
	most := t.trigger.MaxEvents
	if most == 0 {
		most = weir.DefaultMaxEvents
	}
	for i := range t.trigger.Fire {
		if c := &t.trigger.Fire[i]; c.Need() > most {
			t.Fail(t.at["fire"], "raise it with max_events: {limit: …}", "a count of %d is never reached: the group is full at %d events", c.Count, most)
		}
	}
	if t.at["fire"] == nil && t.at["run"] != nil {
		t.Warn(t.at["run"], "name it in on_expire", "this is never run: without fire a group only expires")
	}
}

// pipelines reads run and on_expire: the name of a pipeline, or steps that
// become one.
func (t *triggerReader) pipelines() {
	firstFires := t.trigger.Fire != nil && len(t.trigger.Fire) == 0
	grouped := t.at["group_by"] != nil || t.at["fire"] != nil
	t.trigger.Run = t.pipelineOf("run", grouped && !firstFires)
	t.trigger.OnExpire = t.pipelineOf("on_expire", grouped)
}

func (t *triggerReader) pipelineOf(key string, many bool) string {
	n := t.at[key]
	if n == nil {
		return ""
	}
	if n.Kind == yaml.List {
		text := t.trigger.Name + "." + key
		t.set.Pipelines = append(t.set.Pipelines, t.inline(text, n))
		t.set.runs = append(t.set.runs, runRef{place{t.reader, n}, t.trigger.Name, text, many})
		return text
	}
	text := t.pipelineName(n, "notify, or [{log: {message: hello}}]", "name a pipeline, or write its steps as a list")
	if text != "" {
		t.set.runs = append(t.set.runs, runRef{place{t.reader, n}, t.trigger.Name, text, many})
	}
	return text
}
