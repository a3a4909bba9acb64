package dispatch

import (
	"cmp"

	"weir"
	"weir/internal/lane"
)

// keptSlots is the part of the workers' slots that runs at origins leave to
// others: however many destinations hang, what goes to none goes on.
const keptSlots = 16

// pipelineLimits says what the version of a pipeline that is in force lets
// through, also of runs that keep an older one.
func (d *Dispatcher) pipelineLimits(project weir.ProjectID, name string) (l lane.PipelineLimits) {
	p := d.fold.InForce(project, name)
	if p == nil {
		return l
	}
	l.Rate = p.Rate
	c := p.Concurrency
	if c == nil {
		return l
	}
	limit := c.Limit
	if c.Ordered {
		limit = 1
	}
	l.Skip = c.WhenFull == "skip"
	if c.Per == "" {
		l.All = limit
	} else {
		l.PerKey = limit
	}
	return l
}

func (d *Dispatcher) originLimits(project weir.ProjectID, origin string) lane.OriginLimits {
	to := d.fold.Destination(project, origin)
	return lane.OriginLimits{All: cmp.Or(to.Limit, d.OriginLimit), Rate: to.Rate}
}
