package fold_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"weir"
)

// naive is the simplest engine that does what the language and the design say:
// lists, linear scans, everything computed anew from the events themselves. It
// was written from the documents, not from the fold.
type naive struct {
	shard    weir.Shard
	cursor   weir.Seq
	projects map[weir.ProjectID]*naiveProject
	groups   []*naiveGroup
	runs     []*weir.Run // in state, each with all members of its batch
	made     []weir.Run  // every run that there ever was, as it was made
	counters map[naiveCounter]int64
	rec      *weir.Record // being folded
}

type naiveProject struct {
	revision  uint64
	triggers  map[string]naiveTrigger
	pipelines map[string]naivePipeline

	left map[string]map[string]naivePipeline // by version of a trigger: the pipelines when another took its place
}

type naiveTrigger struct {
	def      weir.Trigger
	revision uint64
}

type naivePipeline struct {
	def      weir.Pipeline
	revision uint64
}

type naiveGroup struct {
	id      weir.GroupID
	project weir.ProjectID
	trigger naiveTrigger // the version that last took an event
	key     string
	late    bool
	cut     weir.Time // when its trigger went away or got another shape; 0: it did not
	dropped bool      // by the order that cut it
	events  []*weir.Record
}

type naiveCounter struct {
	project weir.ProjectID
	trigger string
	what    string
}

func newNaive(shard weir.Shard) *naive {
	return &naive{
		shard:    shard,
		projects: make(map[weir.ProjectID]*naiveProject),
		counters: make(map[naiveCounter]int64),
	}
}

func (n *naive) project(id weir.ProjectID) *naiveProject {
	p := n.projects[id]
	if p == nil {
		p = &naiveProject{
			triggers: make(map[string]naiveTrigger), pipelines: make(map[string]naivePipeline),
			left: make(map[string]map[string]naivePipeline),
		}
		n.projects[id] = p
	}
	return p
}

// fold takes one record: first what is due at or before its time, then itself,
// then what it made due.
func (n *naive) fold(rec *weir.Record) {
	n.rec = rec
	n.endDue(rec)
	switch {
	case rec.Event != nil:
		if rec.Event.Hops <= weir.MaxHops {
			for _, name := range sortedNames(n.project(rec.Project).triggers) {
				n.offer(rec, n.project(rec.Project).triggers[name])
			}
		}
		n.follow(rec)
	case rec.Change != nil:
		n.change(rec)
	case rec.Apply != nil:
		n.apply(rec)
	}
	n.endDue(rec)
	n.cursor = rec.Seq
}

func sortedNames(m map[string]naiveTrigger) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// offer decides whether a trigger takes an event, and lets it.
func (n *naive) offer(rec *weir.Record, t naiveTrigger) {
	failed := map[string]string{} // by criterion: an event's failure of one is counted once
	defer func() {
		for _, why := range failed {
			n.count(rec.Project, t.def.Name, why)
		}
	}()
	if !slices.ContainsFunc(t.def.Match, func(c weir.Criterion) bool { return holds(c, rec.Event, failed) }) {
		return
	}
	key, missing := keyOf(t.def.GroupBy, rec.Event)
	if missing != "" {
		failed["key"] = missing
		return
	}
	for _, c := range t.def.Fire {
		holds(c, rec.Event, failed)
	}
	n.count(rec.Project, t.def.Name, "matched")
	if t.def.GroupBy == nil && t.def.Fire == nil && t.def.Expire == "" {
		n.fireAtOnce(rec, t)
		return
	}
	n.join(rec, t, key)
}

// follow makes what follows a death.
func (n *naive) follow(rec *weir.Record) {
	i := slices.IndexFunc(n.runs, func(r *weir.Run) bool { return r.ID == rec.Event.Cause && r.Project == rec.Project })
	if rec.Event.Type != "weir.run.dead" || rec.Event.Source != "/weir" || i < 0 || n.runs[i].State != weir.RunDead {
		return
	}
	dead := n.runs[i]
	p, ok := n.pipelineOf(dead)
	if !ok || p.OnFailure == "" || rec.Event.ID != fmt.Sprintf("%s.%d", dead.ID, dead.N) {
		return
	}
	origin := weir.Origin{At: rec.At, Shard: n.shard, Seq: rec.Seq, Trigger: dead.Firing.Trigger, Purpose: "failure"}
	firing := weir.Firing{
		Reason: weir.Failed, Trigger: dead.Firing.Trigger, Revision: dead.Firing.Revision, Key: dead.Firing.Key,
		Made: rec.At, Error: dead.Error,
	}
	n.makeRun(origin.RunID(), rec.Project, p.OnFailure, firing, []*weir.Record{rec})
}

func (n *naive) fireAtOnce(rec *weir.Record, t naiveTrigger) {
	origin := weir.Origin{At: rec.At, Shard: n.shard, Seq: rec.Seq, Trigger: t.def.Name, Purpose: "match"}
	firing := weir.Firing{Reason: weir.Matched, Trigger: t.def.Name, Revision: t.revision, Made: rec.At}
	n.makeRun(origin.RunID(), rec.Project, t.def.Run, firing, []*weir.Record{rec})
}

// join puts an event into the open group of its key, or the late one.
func (n *naive) join(rec *weir.Record, t naiveTrigger, key string) {
	as := &naiveGroup{trigger: t, events: []*weir.Record{rec}}
	open := n.find(rec.Project, t, key, inTime)
	if open != nil {
		as.events = append(slices.Clone(open.events), rec)
	}
	which := inTime
	if due, never := as.expiry(); !never && due <= rec.At {
		n.count(rec.Project, t.def.Name, "late")
		which = late
	}
	g := n.find(rec.Project, t, key, which)
	if g == nil {
		origin := weir.Origin{At: rec.At, Shard: n.shard, Seq: rec.Seq, Trigger: t.def.Name, Purpose: string(which)}
		g = &naiveGroup{id: origin.GroupID(), project: rec.Project, key: key, late: which == late}
		n.groups = append(n.groups, g)
	}
	g.trigger = t
	g.events = append(g.events, rec)
}

// timeliness names the two groups that a key may have. The words are those of
// the purposes that ids are computed from.
type timeliness string

const (
	inTime timeliness = "group"
	late   timeliness = "late"
)

// find returns a group that may take events of the trigger.
func (n *naive) find(project weir.ProjectID, t naiveTrigger, key string, which timeliness) *naiveGroup {
	for _, g := range n.groups {
		if g.project == project && g.trigger.def.Name == t.def.Name && g.key == key && g.late == (which == late) &&
			sameShape(g.trigger.def, t.def) {
			return g
		}
	}
	return nil
}

func sameShape(a, b weir.Trigger) bool {
	return reflect.DeepEqual(a.Match, b.Match) && reflect.DeepEqual(a.GroupBy, b.GroupBy) && reflect.DeepEqual(a.Fire, b.Fire)
}

// counted is the event time that counts in first and last.
func counted(rec *weir.Record) weir.Time {
	if t := timeOf(rec); t <= rec.At+5*60*1_000_000 {
		return t
	}
	return rec.At
}

func timeOf(rec *weir.Record) weir.Time {
	if rec.Event.Time == 0 {
		return rec.At
	}
	return rec.Event.Time
}

func (g *naiveGroup) first() weir.Time {
	return counted(slices.MinFunc(g.events, func(a, b *weir.Record) int { return cmp.Compare(counted(a), counted(b)) }))
}

func (g *naiveGroup) last() weir.Time {
	return counted(slices.MaxFunc(g.events, func(a, b *weir.Record) int { return cmp.Compare(counted(a), counted(b)) }))
}

func (g *naiveGroup) opened() weir.Time { return g.events[0].At }
func (g *naiveGroup) joined() weir.Time { return g.events[len(g.events)-1].At }

func (g *naiveGroup) expiry() (due weir.Time, never bool) {
	return expiry(g.trigger.def.Expire, map[string]weir.Time{
		"first": g.first(), "last": g.last(), "opened": g.opened(), "joined": g.joined(),
	})
}

// have counts the events of the group that meet a criterion.
func (g *naiveGroup) have(c weir.Criterion) int {
	n := 0
	for _, rec := range g.events {
		if holds(c, rec.Event, map[string]string{}) {
			n++
		}
	}
	return min(n, max(c.Count, 1))
}

func (g *naiveGroup) met() bool {
	for _, c := range g.trigger.def.Fire {
		if g.have(c) < max(c.Count, 1) {
			return false
		}
	}
	return g.trigger.def.Fire != nil
}

// due returns when and why the group ends; 0 is never.
func (g *naiveGroup) due() (weir.Time, weir.Reason) {
	limit := g.trigger.def.MaxEvents
	if limit == 0 {
		limit = 10_000
	}
	due, never := g.expiry()
	switch {
	case g.dropped:
		return g.cut, weir.Dropped
	case g.met():
		return g.joined(), weir.Fired
	case len(g.events) >= limit:
		return g.joined(), weir.Full
	case g.late && !never:
		return max(due, g.joined()+60*1_000_000), weir.Late
	case never:
		return g.cut, weir.Expired
	}
	return due, weir.Expired
}

// endDue ends what is due at or before the record's time.
func (n *naive) endDue(rec *weir.Record) {
	for {
		var next *naiveGroup
		for _, g := range n.groups {
			if due, _ := g.due(); due == 0 || due > rec.At {
				continue
			}
			if next == nil || compareDue(g, next) < 0 {
				next = g
			}
		}
		if next == nil {
			return
		}
		n.end(rec, next)
	}
}

// nextDue returns when the next group ends; 0: none does.
func (n *naive) nextDue() (next weir.Time) {
	for _, g := range n.groups {
		if due, _ := g.due(); due != 0 && (next == 0 || due < next) {
			next = due
		}
	}
	return next
}

func compareDue(a, b *naiveGroup) int {
	dueA, _ := a.due()
	dueB, _ := b.due()
	return cmp.Or(cmp.Compare(dueA, dueB), bytes.Compare(a.id[:], b.id[:]))
}

func (n *naive) end(rec *weir.Record, g *naiveGroup) {
	n.groups = slices.DeleteFunc(n.groups, func(other *naiveGroup) bool { return other == g })
	t := g.trigger
	_, reason := g.due()
	n.count(g.project, t.def.Name, reason.String())
	pipeline := t.def.OnExpire
	switch reason {
	case weir.Fired:
		pipeline = t.def.Run
	case weir.Dropped:
		pipeline = ""
	default:
	}
	origin := weir.Origin{
		At: rec.At, Shard: n.shard, Seq: rec.Seq, Trigger: t.def.Name, Purpose: "end", Index: string(g.id[:]),
	}
	firing := weir.Firing{
		Reason: reason, Trigger: t.def.Name, Revision: t.revision, Key: g.key, Group: g.id, Made: rec.At,
	}
	n.makeRun(origin.RunID(), g.project, pipeline, firing, g.events)
}

func (n *naive) makeRun(id weir.RunID, project weir.ProjectID, pipeline string, f weir.Firing, events []*weir.Record) {
	f.Executions, f.Hops, f.Quiet = summary(events)
	for _, rec := range events {
		f.Members = append(f.Members, weir.Member{Time: timeOf(rec), Seq: rec.Seq})
	}
	slices.SortFunc(f.Members, func(a, b weir.Member) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Seq, b.Seq))
	})
	run := &weir.Run{
		ID: id, Project: project, State: weir.RunPending, Pipeline: pipeline, Due: f.Made, Firing: f,
		Lane: weir.Lane{Project: project, Pipeline: pipeline},
	}
	pipelines := n.project(project).pipelines
	if left := n.project(project).left[versionName(f.Trigger, f.Revision)]; left != nil && strings.HasPrefix(pipeline, f.Trigger+".") {
		pipelines = left
	}
	if p, ok := pipelines[pipeline]; ok {
		run.Firing.PipeRev = p.revision
		run.Lane.Origin = originOf(p.def, nil)
		if c := p.def.Concurrency; c != nil && c.Ordered {
			run.Queued = weir.Precedence{Due: f.Made, Seq: n.rec.Seq}
		}
	}
	n.runs = append(n.runs, run)
	n.made = append(n.made, *run)
}

// summary is what a batch hands on: distinct executions in order of acceptance,
// the most hops, and whether an event of Weir's own is in it.
func summary(events []*weir.Record) (executions []string, hops int, quiet bool) {
	for _, rec := range events {
		e := rec.Event
		if e.Execution != "" && !slices.Contains(executions, e.Execution) && len(executions) < 16 {
			executions = append(executions, e.Execution)
		}
		hops = max(hops, e.Hops)
		quiet = quiet || strings.HasPrefix(e.Type, "weir.")
	}
	return executions, hops, quiet
}

// change does what the table in docs/states.md says.
func (n *naive) change(rec *weir.Record) {
	c := rec.Change
	i := slices.IndexFunc(n.runs, func(r *weir.Run) bool { return r.ID == c.Run && r.Project == rec.Project })
	if c.Kind == weir.Stale || i < 0 || n.runs[i].N+1 != c.N {
		return
	}
	run := n.runs[i]
	run.N = c.N
	if c.Attempt != nil {
		for _, s := range c.Attempt.Steps {
			before := slices.IndexFunc(run.Done, func(d weir.StepOutcome) bool { return d.Index == s.Index })
			if !s.Finished && s.Acted == 0 || before >= 0 && run.Done[before].Finished {
				continue
			}
			run.Done = append(slices.Clone(run.Done), s)
			if before >= 0 {
				run.Done = slices.Delete(run.Done, before, before+1)
			}
		}
		slices.SortStableFunc(run.Done, func(a, b weir.StepOutcome) int { return cmp.Compare(a.Index, b.Index) })
	}
	switch c.Kind {
	case weir.Succeeded, weir.Cancelled, weir.Purged:
		n.runs = slices.Delete(n.runs, i, i+1)
	case weir.Died:
		run.State, run.Ended, run.Error, run.Tries = weir.RunDead, rec.At, c.Error, run.Tries+1
	case weir.Retrying, weir.Lost:
		run.Due, run.Error, run.Tries = rec.At.Add(c.After), c.Error, run.Tries+1
	case weir.Held:
		run.Due = rec.At.Add(c.After)
	case weir.Hastened:
		run.Due = rec.At
	case weir.Redriven:
		run.State, run.Due, run.Ended, run.Tries = weir.RunPending, rec.At, 0, 0
	default:
	}
	if run.Queued.Seq != 0 {
		switch c.Kind {
		case weir.Retrying, weir.Lost, weir.Held:
			run.Holds = true
		case weir.Died:
			run.Holds = false
		case weir.Redriven:
			run.Holds, run.Queued = false, weir.Precedence{Due: rec.At, Seq: rec.Seq}
		default:
		}
	}
	if p, ok := n.pipelineOf(run); ok && len(run.Done) > 0 {
		run.Lane.Origin = originOf(p, run.Done)
	}
	if c.Origin != "" {
		run.Lane.Origin = c.Origin
	}
}

// pipelineOf finds the version that the run keeps.
func (n *naive) pipelineOf(run *weir.Run) (weir.Pipeline, bool) {
	p, ok := n.project(run.Project).pipelines[versionName(run.Pipeline, run.Firing.PipeRev)]
	return p.def, ok
}

// leave keeps what the versions of triggers had that an order replaces or deletes.
func (p *naiveProject) leave(order *weir.Apply) {
	for _, d := range slices.Concat(order.Delete, order.Put) {
		if t, ok := p.triggers[d.Name]; ok && d.Kind == weir.KindTrigger {
			p.left[versionName(d.Name, t.revision)] = maps.Clone(p.pipelines)
		}
	}
}

func (n *naive) apply(rec *weir.Record) {
	p := n.project(rec.Project)
	p.revision = rec.Apply.Revision
	p.leave(rec.Apply)
	was := maps.Clone(p.triggers)
	gone := map[string]bool{}
	for _, d := range rec.Apply.Delete {
		switch d.Kind {
		case weir.KindTrigger:
			gone[d.Name] = true
			delete(p.triggers, d.Name)
		case weir.KindPipeline:
			delete(p.pipelines, d.Name)
		default:
		}
	}
	for _, d := range rec.Apply.Put {
		switch d.Kind {
		case weir.KindTrigger:
			t := naiveTrigger{revision: rec.Apply.Revision}
			decode(d.Body, &t.def)
			t.def.Name = d.Name
			p.triggers[d.Name] = t
		case weir.KindPipeline:
			pipe := naivePipeline{revision: rec.Apply.Revision}
			decode(d.Body, &pipe.def)
			pipe.def.Name = d.Name
			p.pipelines[d.Name] = pipe
			p.pipelines[versionName(d.Name, rec.Apply.Revision)] = pipe
		default:
		}
	}
	for _, g := range n.groups {
		t, ok := p.triggers[g.trigger.def.Name]
		switch {
		case g.project != rec.Project:
		case ok && sameShape(t.def, g.trigger.def):
			g.cut = 0
		default:
			g.cut = rec.At
			old, inForce := was[g.trigger.def.Name]
			now := gone[g.trigger.def.Name] || inForce && !sameShape(old.def, t.def)
			g.dropped = rec.Apply.DropGroups && now
		}
	}
}

func decode(body json.RawMessage, into any) {
	if err := json.Unmarshal(body, into); err != nil {
		panic(err)
	}
}

func (n *naive) count(project weir.ProjectID, trigger, what string) {
	n.counters[naiveCounter{project, trigger, what}]++
}
