package fold

import (
	"weir"
	"weir/internal/pipeline"
)

// tellsOfDeath reports whether the event looks like the one by which Weir says
// that a run died, the run being its cause. Runs can emit such, too; the id tells
// them apart.
func tellsOfDeath(e *weir.Event) bool {
	return e.Type == pipeline.DeadType && e.Source == pipeline.DeadSource
}

// follow makes the run that a pipeline names in on_failure, when an event says
// that a run of it died. It has that event as its batch and the group's key of
// the dead run, but not its group, which made another run; it makes no events
// about itself, so that failures of failures end here.
func (f *Fold) follow(rec *weir.Record) {
	if !tellsOfDeath(rec.Event) {
		return
	}
	r := f.runs[rec.Event.Cause]
	if r == nil || r.run.Project != rec.Project || r.run.State != weir.RunDead ||
		rec.Event.ID != pipeline.DeadID(r.id, r.run.N) {
		return
	}
	p := f.Pipeline(r.run)
	if p == nil || p.OnFailure == "" {
		return
	}
	dead := &r.run.Firing
	origin := weir.Origin{At: rec.At, Shard: f.shard, Seq: rec.Seq, Trigger: dead.Trigger, Purpose: "failure"}
	f.makeRun(birth{id: origin.RunID(), seq: rec.Seq, project: rec.Project, pipeline: p.OnFailure, event: rec, firing: weir.Firing{
		Reason:     weir.Failed,
		Trigger:    dead.Trigger,
		Revision:   dead.Revision,
		Key:        dead.Key,
		Made:       rec.At,
		Executions: addExecution(nil, rec.Event.Execution),
		Members:    []weir.Member{{Time: rec.Event.TimeOr(rec.At), Seq: rec.Seq}},
		Hops:       rec.Event.Hops,
		Quiet:      true,
		Error:      r.run.Error,
	}})
}
