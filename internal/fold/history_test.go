package fold_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"weir"
	"weir/internal/pipeline"
)

// history draws a journal, record by record. A naive engine folds it on the
// side, so that changes can speak of runs that are there.
type history struct {
	t       *rapid.T
	records []*weir.Record
	naive   *naive
	dues    []weir.Time // by record: when the next group is due after it; 0: none
	made    []int       // by record: how many runs were made up to it
	seq     weir.Seq
	at      weir.Time
}

const (
	testShard = weir.Shard(3)
	start     = weir.Time(1_700_000_000_000_000)
	second    = weir.Time(1_000_000)
)

func newHistory(t *rapid.T) *history {
	return &history{t: t, naive: newNaive(testShard), at: start}
}

// drawHistory draws a journal of some dozen records.
func drawHistory(t *rapid.T) *history {
	h := newHistory(t)
	for _, project := range []weir.ProjectID{1, 2} {
		h.applyPipelines(project)
		h.applyTriggers(project)
	}
	for range rapid.IntRange(5, 60).Draw(t, "records") {
		h.next()
	}
	return h
}

func (h *history) add(rec weir.Record) {
	h.seq++
	rec.Seq, rec.At = h.seq, h.at
	h.records = append(h.records, &rec)
	h.naive.fold(&rec)
	h.dues = append(h.dues, h.naive.nextDue())
	h.made = append(h.made, len(h.naive.made))
}

func (h *history) next() {
	h.at += oneOf(h.t, "later", []weir.Time{0, 0, 0, 1, second, 10 * second, 45 * second, 90 * second, 3600 * second})
	project := oneOf(h.t, "project", []weir.ProjectID{1, 1, 1, 2})
	switch kind := oneOf(h.t, "kind", []string{
		"event", "event", "event", "event", "event", "event", "change", "change", "tick", "triggers", "pipelines",
	}); kind {
	case "event":
		h.event(project)
	case "change":
		h.change()
	case "tick":
		h.add(weir.Record{})
	case "triggers":
		if rapid.IntRange(0, 2).Draw(h.t, "apply") == 0 {
			h.applyTriggers(project)
		}
	case "pipelines":
		if rapid.IntRange(0, 2).Draw(h.t, "apply") == 0 {
			h.applyPipelines(project)
		}
	}
}

func oneOf[T any](t *rapid.T, label string, values []T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

func (h *history) event(project weir.ProjectID) {
	e := &weir.Event{
		ID:        fmt.Sprint(h.seq + 1),
		Source:    "/test",
		Type:      oneOf(h.t, "type", []string{"a", "b", "a.x", "a", "b", "weir.run.dead"}),
		Execution: oneOf(h.t, "execution", []string{"", "e1", "e2"}),
		Hops:      oneOf(h.t, "hops", []int{0, 0, 0, 0, 1, 16, 17}),
		Data:      h.data(),
	}
	offset := oneOf(h.t, "time", []weir.Time{
		0, 0, 0, second, -second, -30 * second, -90 * second, -7200 * second,
		300 * second, 300*second + 1, 7200 * second, -40 * 365 * 86400 * second, 1000 * 365 * 86400 * second,
	})
	if offset != 0 || rapid.Bool().Draw(h.t, "timed") {
		e.Time = h.at + offset
	}
	h.add(weir.Record{Project: project, Event: e})
}

// data draws an object with some of the fields n, c and k.
func (h *history) data() []byte {
	var fields []string
	for _, f := range []struct {
		name   string
		values []string
	}{
		{"n", []string{"", "1", "2", "5", "2.0", `"2"`}},
		{"c", []string{"", `"x"`, `"x"`, `"y"`}},
		{"k", []string{"", "1", "1", "1", "2", "2", "1.5", `"1"`, "null", "true"}},
	} {
		if v := oneOf(h.t, f.name, f.values); v != "" {
			fields = append(fields, fmt.Sprintf("%q:%s", f.name, v))
		}
	}
	return []byte("{" + strings.Join(fields, ",") + "}")
}

func (h *history) applyTriggers(project weir.ProjectID) {
	order := &weir.Apply{
		Revision:   h.naive.project(project).revision + 1,
		DropGroups: oneOf(h.t, "groups", []string{"keep", "keep", "drop"}) == "drop",
	}
	for _, name := range []string{"t1", "t2", "t3"} {
		switch what := oneOf(h.t, "apply "+name, []string{"new", "new", "times", "delete", "leave"}); what {
		case "new":
			order.Put = append(order.Put, definition(weir.KindTrigger, name, h.trigger()))
		case "times":
			if old, ok := h.naive.project(project).triggers[name]; ok && old.def.Expire != "" {
				def := old.def
				h.times(&def)
				order.Put = append(order.Put, definition(weir.KindTrigger, name, def))
			}
		case "delete":
			order.Delete = append(order.Delete, weir.Definition{Kind: weir.KindTrigger, Name: name})
		}
		h.ownSteps(order, name)
	}
	h.add(weir.Record{Project: project, Apply: order})
}

func definition(kind weir.DefinitionKind, name string, def any) weir.Definition {
	body, err := json.Marshal(def)
	if err != nil {
		panic(err)
	}
	return weir.Definition{Kind: kind, Name: name, Body: body}
}

func (h *history) trigger() weir.Trigger {
	def := weir.Trigger{Run: h.pipelineName()}
	for range rapid.IntRange(1, 2).Draw(h.t, "criteria") {
		def.Match = append(def.Match, h.criterion())
	}
	if rapid.IntRange(0, 4).Draw(h.t, "grouped") == 0 {
		return def
	}
	def.GroupBy = oneOf(h.t, "group by", [][]weir.KeyPart{
		nil,
		{{Name: "k", Of: "data.k"}},
		{{Name: "k", Of: "data.k"}},
		{{Name: "t", Of: "event.type"}, {Name: "k", Of: "data.k"}},
	})
	switch oneOf(h.t, "fire", []string{"never", "first", "one", "one", "two"}) {
	case "first":
		def.Fire = []weir.Criterion{}
	case "one":
		def.Fire = []weir.Criterion{h.fire()}
	case "two":
		def.Fire = []weir.Criterion{h.fire(), h.fire()}
	}
	h.times(&def)
	return def
}

// times draws all that a new version may change without another shape.
func (h *history) times(def *weir.Trigger) {
	def.Expire = oneOf(h.t, "expire", []string{
		"last + 1m", "last + 1m", "opened + 60s", "joined + 10s", "first + 30s", "opened + 90s - 30s", "last + 1h",
		"never", "never", "last - 10s", "opened",
	})
	def.MaxEvents = oneOf(h.t, "max", []int{0, 0, 1, 2, 3, 5})
	def.Run, def.OnExpire = h.pipelineName(), h.pipelineName()
}

func (h *history) criterion() weir.Criterion {
	return weir.Criterion{
		Types: oneOf(h.t, "globs", [][]string{
			nil, {"*"}, {"a"}, {"a", "b"}, {"a*", "!a.x"}, {"!b"}, {}, {"[ab]"}, {"[!a]*"}, {"?"}, {"a.?"}, {"weir.*"}, {"!weir.*"},
		}),
		Where: oneOf(h.t, "where", []string{
			"", "", "", "data.n > 1", "data.n == 2", `data.c == "x"`, "has(data.k)", "!has(data.c)",
			`data.n > 3 || data.c == "x"`, "has(data.n) && data.n == 2", `event.type == "a" && data.n > 1`, "data.k == 1",
		}),
	}
}

func (h *history) fire() weir.Criterion {
	c := h.criterion()
	c.Count = rapid.IntRange(0, 3).Draw(h.t, "count")
	return c
}

// pipelineName draws a pipeline; t1.run and the like stand in a trigger itself.
func (h *history) pipelineName() string {
	return oneOf(h.t, "pipeline", []string{"", "p", "q", "r", "undefined", "t1.run", "t2.run", "t3.run"})
}

// ownSteps draws what an order does with the steps that stand in a trigger.
func (h *history) ownSteps(order *weir.Apply, trigger string) {
	name := trigger + ".run"
	switch oneOf(h.t, "steps of "+trigger, []string{"new", "delete", "leave"}) {
	case "new":
		order.Put = append(order.Put, definition(weir.KindPipeline, name, h.pipeline()))
	case "delete":
		order.Delete = append(order.Delete, weir.Definition{Kind: weir.KindPipeline, Name: name})
	}
}

func (h *history) applyPipelines(project weir.ProjectID) {
	order := &weir.Apply{Revision: h.naive.project(project).revision + 1}
	for _, name := range []string{"p", "q", "r"} {
		switch oneOf(h.t, "apply "+name, []string{"new", "new", "new", "delete", "leave"}) {
		case "new":
			order.Put = append(order.Put, definition(weir.KindPipeline, name, h.pipeline()))
		case "delete":
			order.Delete = append(order.Delete, weir.Definition{Kind: weir.KindPipeline, Name: name})
		}
	}
	h.add(weir.Record{Project: project, Apply: order})
}

func (h *history) pipeline() weir.Pipeline {
	p := weir.Pipeline{OnFailure: oneOf(h.t, "on failure", []string{"", "p", "undefined"})}
	if rapid.Bool().Draw(h.t, "ordered") {
		p.Concurrency = &weir.Concurrency{Limit: 1, Ordered: true}
	}
	for range rapid.IntRange(0, 3).Draw(h.t, "steps") {
		p.Steps = append(p.Steps, oneOf(h.t, "step", []weir.Step{
			{Filter: &weir.FilterStep{Where: "true"}},
			{Log: &weir.LogStep{Message: "hello"}},
			{HTTP: &weir.HTTPStep{URL: "https://a.example/x"}},
			{HTTP: &weir.HTTPStep{URL: "http://b.example:8080/${data.id}"}},
		}))
	}
	return p
}

// change draws a change of a run: mostly its next, now and then one that comes
// too late or speaks of nothing.
func (h *history) change() {
	if len(h.naive.made) == 0 {
		return
	}
	c := &weir.Change{Error: "because", After: oneOf(h.t, "after", []time.Duration{0, time.Second, time.Minute})}
	if len(h.naive.runs) == 0 || rapid.IntRange(0, 9).Draw(h.t, "absurd") == 0 {
		h.absurdChange(c)
		return
	}
	run := h.naive.runs[rapid.IntRange(0, len(h.naive.runs)-1).Draw(h.t, "run")]
	c.Run, c.N = run.ID, run.N+1
	kinds := []weir.ChangeKind{
		weir.Succeeded, weir.Succeeded, weir.Retrying, weir.Died, weir.Held, weir.Lost, weir.Cancelled, weir.Hastened,
	}
	if run.State == weir.RunDead {
		kinds = []weir.ChangeKind{weir.Redriven, weir.Redriven, weir.Purged}
	}
	c.Kind = oneOf(h.t, "change", kinds)
	if slices.Contains([]weir.ChangeKind{weir.Retrying, weir.Died, weir.Held}, c.Kind) {
		c.Attempt = &weir.Attempt{Try: run.Tries + 1, Steps: []weir.StepOutcome{
			{
				Index: rapid.IntRange(0, 2).Draw(h.t, "step"), Finished: rapid.Bool().Draw(h.t, "finished"),
				Acted: rapid.IntRange(0, 2).Draw(h.t, "acted"),
			},
		}}
	}
	if c.Kind == weir.Held {
		c.Origin = oneOf(h.t, "origin", []string{"", "http://rendered.example"})
	}
	dead := pipeline.DeadEvent(run, c)
	h.add(weir.Record{Project: run.Project, Change: c})
	if c.Kind == weir.Died && !run.Firing.Quiet || rapid.IntRange(0, 9).Draw(h.t, "no death") == 0 {
		h.add(*dead)
	}
}

func (h *history) absurdChange(c *weir.Change) {
	made := h.naive.made[rapid.IntRange(0, len(h.naive.made)-1).Draw(h.t, "made")]
	c.Run, c.Kind = made.ID, oneOf(h.t, "change", []weir.ChangeKind{weir.Succeeded, weir.Retrying, weir.Cancelled})
	project := made.Project
	for _, run := range h.naive.runs {
		if run.ID == made.ID {
			c.N = run.N
		}
	}
	switch oneOf(h.t, "how", []string{"n", "far", "project", "stale"}) {
	case "far":
		c.N += 2
	case "project":
		c.N++
		project = 3 - project
	case "stale":
		c.N, c.Kind = 0, weir.Stale
	}
	h.add(weir.Record{Project: project, Change: c})
}

// drawLargeGroups draws a journal in which groups fill several chunks. Its
// criteria look at types only, so that the naive engine keeps up.
func drawLargeGroups(t *rapid.T) *history {
	h := newHistory(t)
	h.add(weir.Record{Project: 1, Apply: &weir.Apply{Revision: 1, Put: []weir.Definition{
		definition(weir.KindTrigger, "counts", weir.Trigger{
			Match:   []weir.Criterion{{Types: []string{"a", "b"}}},
			GroupBy: []weir.KeyPart{{Name: "type", Of: "event.type"}},
			Fire:    []weir.Criterion{{Count: oneOf(t, "count", []int{255, 256, 257, 400, 600})}},
			Expire:  oneOf(t, "expire", []string{"last + 1m", "opened + 10m", "never"}),
		}),
		definition(weir.KindTrigger, "fills", weir.Trigger{
			Match:     []weir.Criterion{{Types: []string{"a"}}},
			GroupBy:   []weir.KeyPart{{Name: "type", Of: "event.type"}},
			Expire:    oneOf(t, "expire", []string{"last + 1m", "opened + 10m", "never"}),
			MaxEvents: oneOf(t, "max", []int{256, 300, 512}),
		}),
	}}})
	for range rapid.IntRange(3, 6).Draw(t, "bursts") {
		h.burst()
	}
	return h
}

func (h *history) burst() {
	kind := oneOf(h.t, "type", []string{"a", "a", "b"})
	step := oneOf(h.t, "step", []weir.Time{0, 1000})
	for i := range oneOf(h.t, "size", []int{1, 10, 100, 200, 256}) {
		h.at += step
		e := &weir.Event{ID: fmt.Sprint(h.seq + 1), Source: "/test", Type: kind, Time: h.at - weir.Time(i*7%13)*second}
		h.add(weir.Record{Project: 1, Event: e})
	}
	for range rapid.IntRange(0, 3).Draw(h.t, "changes") {
		h.change()
	}
	if rapid.IntRange(0, 3).Draw(h.t, "pause") == 0 {
		h.at += 660 * second
		h.add(weir.Record{})
	}
}
