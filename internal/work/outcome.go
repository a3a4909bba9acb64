package work

import (
	"slices"
	"time"

	"weir"
	"weir/internal/pipeline"
)

// page is the change of a try with what hangs on it, in one piece of memory.
type page struct {
	record  weir.Record
	change  weir.Change
	attempt weir.Attempt
	firing  weir.Firing
	records [1]*weir.Record
}

// batch makes what a try leaves in the journal: the change, the event of a run
// that died, and the events that were emitted.
func (t *try) batch(end ending, node string, now time.Time) weir.Batch {
	run := &t.lease.Run
	p := &page{}
	p.attempt = weir.Attempt{
		Try:   t.lease.Try,
		Node:  node,
		Began: t.lease.Began,
		Took:  now.Sub(t.began),
		Steps: t.steps,
		Log:   t.log.String(),

		Verdict: end.verdict,
	}
	if end.kind == weir.Held && len(t.steps) == 0 {
		p.attempt.Try = 0
	}
	p.change = weir.Change{
		Run:      run.ID,
		N:        run.N + 1,
		Kind:     end.kind,
		Pipeline: run.Pipeline,
		Trigger:  run.Firing.Trigger,
		After:    end.after,
		Origin:   end.origin,
		Error:    end.message,
		Attempt:  &p.attempt,
	}
	p.record = weir.Record{Project: run.Project, Change: &p.change}
	p.records[0] = &p.record
	b := weir.Batch{Bound: true, Records: p.records[:]}
	if end.kind == weir.Stale {
		p.change.N = 0
		return b
	}
	if run.N == 0 {
		p.firing = run.Firing
		p.firing.Members, p.firing.Chunks = sorted(run.Firing.Members), 0
		p.change.Firing = &p.firing
	}
	if end.kind == weir.Died && !run.Firing.Quiet {
		b.Records = append(b.Records, pipeline.DeadEvent(run, &p.change))
	}
	for _, e := range t.emitted {
		b.Records = append(b.Records, &weir.Record{Project: run.Project, Event: e})
	}
	return b
}

// size is about how many bytes the try leaves in the journal beyond a change.
func (t *try) size() int {
	n := 0
	for _, e := range t.emitted {
		n += len(e.Data)
	}
	return n
}

// stale makes of a batch that was refused what is still told: the attempt.
func stale(b weir.Batch) weir.Batch {
	was := b.Records[0].Change
	return alone(b, weir.Change{
		Run:      was.Run,
		Kind:     weir.Stale,
		Pipeline: was.Pipeline,
		Trigger:  was.Trigger,
		Error:    was.Error,
		Attempt:  was.Attempt,
	})
}

// bare makes of a batch that the journal cannot take one that it always can: the
// run died of it. Its events are left out, and the steps that emitted them count
// as not done.
func bare(run *weir.Run, b weir.Batch, reason error) weir.Batch {
	c := *b.Records[0].Change
	attempt := *c.Attempt
	attempt.Steps = slices.Clone(attempt.Steps)
	for i := range attempt.Steps {
		s := &attempt.Steps[i]
		s.Output, s.Detail = nil, ""
		if s.Emitted > 0 {
			s.Finished, s.Emitted, s.Acted = false, 0, 0
		}
	}
	attempt.Log, attempt.Began = "", 0 // of one that began too long ago the journal takes none
	c.Kind, c.After, c.Attempt = weir.Died, 0, &attempt
	c.Error = oneLine("the outcome cannot be kept: " + reason.Error())
	out := alone(b, c)
	if !run.Firing.Quiet {
		out.Records = append(out.Records, pipeline.DeadEvent(run, &c))
	}
	return out
}

func alone(b weir.Batch, c weir.Change) weir.Batch {
	return weir.Batch{Bound: true, Records: []*weir.Record{{Project: b.Records[0].Project, Change: &c}}}
}

// sorted returns members in batch order.
func sorted(members []weir.Member) []weir.Member {
	if slices.IsSortedFunc(members, weir.CompareMembers) {
		return members
	}
	members = slices.Clone(members)
	slices.SortFunc(members, weir.CompareMembers)
	return members
}
