package fold

import (
	"cmp"
	"slices"
	"strings"

	"weir"
	"weir/internal/pipeline"
	"weir/internal/trigger"
)

// isOwn reports whether the event is Weir's own: a run that it causes makes
// none about itself, or one could go round for ever.
func isOwn(e *weir.Event) bool { return strings.HasPrefix(e.Type, "weir.") }

// fireAtOnce makes the run of a trigger that keeps no groups.
func (f *Fold) fireAtOnce(rec *weir.Record, t *trigger.Compiled) {
	origin := weir.Origin{At: rec.At, Shard: f.shard, Seq: rec.Seq, Trigger: t.Def.Name, Purpose: "match"}
	f.makeRun(birth{id: origin.RunID(), seq: rec.Seq, project: rec.Project, pipeline: t.Def.Run, event: rec, firing: weir.Firing{
		Reason:     weir.Matched,
		Trigger:    t.Def.Name,
		Revision:   t.Revision,
		Made:       rec.At,
		Executions: addExecution(nil, rec.Event.Execution),
		Members:    []weir.Member{{Time: rec.Event.TimeOr(rec.At), Seq: rec.Seq}},
		Hops:       rec.Event.Hops,
		Quiet:      isOwn(rec.Event),
	}})
}

// smallEvent is the largest data, in bytes, with which the event of a new run is
// kept at hand until the next flush; work loads others from the journal.
const smallEvent = 4 << 10

// birth is what a run is made from.
type birth struct {
	id       weir.RunID
	seq      weir.Seq // of the record that makes it
	project  weir.ProjectID
	pipeline string
	event    *weir.Record // the batch's only event; nil where a group made the run
	firing   weir.Firing
}

// makeRun puts a pending run in its lane, due at once.
func (f *Fold) makeRun(b birth) {
	run := &weir.Run{
		ID:       b.id,
		Project:  b.project,
		State:    weir.RunPending,
		Pipeline: b.pipeline,
		Lane:     weir.Lane{Project: b.project, Pipeline: b.pipeline},
		Due:      b.firing.Made,
		Firing:   b.firing,
	}
	if p := f.scope(b.project).pipelineOf(b.firing.Trigger, b.firing.Revision, b.pipeline); p != nil {
		run.Firing.PipeRev = p.revision
		run.Lane.Origin = p.origin
		if p.per != nil {
			// Those whose key cannot be told share one.
			run.Lane.Key = cmp.Or(p.per.Key(b.event, b.firing.Key), "null")
		}
		if c := p.def.Concurrency; c != nil && c.Ordered {
			run.Queued = weir.Precedence{Due: run.Due, Seq: b.seq}
		}
	}
	r := &liveRun{id: b.id, run: run}
	if b.event != nil && len(b.event.Event.Data) <= smallEvent {
		r.event = b.event
	}
	f.runs[b.id] = r
	f.touch(r, 0, weir.Unasked)
}

// change folds a change of a run. One that is not the run's next changes
// nothing: somebody else was first.
func (f *Fold) change(rec *weir.Record) {
	c := rec.Change
	r := f.runs[c.Run]
	if r == nil || r.run.Project != rec.Project || c.Kind == weir.Stale || c.N != r.run.N+1 {
		return
	}
	switch c.Kind {
	case weir.Succeeded, weir.Cancelled, weir.Purged:
		f.endRun(r)
	default:
		f.changeRun(r.run, rec)
	}
	var verdict weir.Verdict
	if c.Attempt != nil {
		verdict = c.Attempt.Verdict
	}
	f.touch(r, c.Kind, verdict)
}

// changeRun makes of a run what a change that does not end it says.
func (f *Fold) changeRun(run *weir.Run, rec *weir.Record) {
	c := rec.Change
	ordered := run.Queued != weir.Precedence{}
	run.N = c.N
	if c.Attempt != nil {
		run.Done = mergeDone(run.Done, c.Attempt.Steps)
	}
	switch c.Kind {
	case weir.Died:
		run.State, run.Ended, run.Error = weir.RunDead, rec.At, c.Error
		run.Tries++
		run.Holds = false
	case weir.Retrying, weir.Lost:
		run.Due, run.Error = rec.At.Add(c.After), c.Error
		run.Tries++
		run.Holds = ordered
	case weir.Held:
		run.Due = rec.At.Add(c.After)
		run.Holds = ordered
	case weir.Hastened:
		run.Due = rec.At
	case weir.Redriven:
		run.State, run.Due, run.Ended, run.Tries = weir.RunPending, rec.At, 0, 0
		if ordered {
			run.Queued = weir.Precedence{Due: rec.At, Seq: rec.Seq}
		}
	case weir.Succeeded, weir.Cancelled, weir.Purged, weir.Stale: // not here
	}
	if len(run.Done) > 0 {
		if p := f.scope(run.Project).pipelineAt(run.Pipeline, run.Firing.PipeRev); p != nil {
			run.Lane.Origin = pipeline.Origin(p.def, run.Done)
		}
	}
	if c.Origin != "" {
		run.Lane.Origin = c.Origin
	}
}

func (f *Fold) endRun(r *liveRun) {
	r.gone = true
	delete(f.runs, r.id)
	f.endedRuns++
	if r.run.Firing.Chunks > 0 {
		f.dropChunks(&r.run.Firing)
	}
}

// dropChunks forgets the members of a firing: those never written silently,
// those that state has, or will have when the frozen layer is written, by order.
func (f *Fold) dropChunks(firing *weir.Firing) {
	recent := f.chunks[firing.Group]
	inState := len(recent) < firing.Chunks
	for _, c := range recent {
		inState = inState || c.epoch != f.epoch
	}
	if inState {
		f.chunksGone = append(f.chunksGone, firing.Group)
	}
	delete(f.chunks, firing.Group)
}

// mergeDone adds the steps of a try that had their effect, or with each a part
// of it, to those of the tries before, by index. A newer part holds the older
// one; a step that had its effect stays as it is.
func mergeDone(done, steps []weir.StepOutcome) []weir.StepOutcome {
	merged := slices.Clone(done)
	for _, s := range steps {
		if !s.Finished && s.Acted == 0 {
			continue
		}
		i, found := slices.BinarySearchFunc(merged, s.Index, func(d weir.StepOutcome, index int) int { return d.Index - index })
		switch {
		case !found:
			merged = slices.Insert(merged, i, s)
		case !merged[i].Finished:
			merged[i] = s
		}
	}
	return merged
}
