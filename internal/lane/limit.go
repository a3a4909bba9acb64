package lane

import "weir"

// Limits says what gates let through. A nil function sets no limits but the
// defaults. They are asked when a gate is first needed, and again at
// LimitsChanged.
type Limits struct {
	Pipeline func(project weir.ProjectID, pipeline string) PipelineLimits
	Origin   func(project weir.ProjectID, origin string) OriginLimits

	// Outside is how many runs may be at origins at once, of all projects
	// together; 0 is no limit.
	Outside int
}

// PipelineLimits bounds the tries of a pipeline's runs.
type PipelineLimits struct {
	All    int       // at once; 0 is no limit
	PerKey int       // at once for each concurrency key; 0 is no limit
	Skip   bool      // a fresh run that finds no place is skipped, others wait
	Rate   weir.Rate // of starts
}

// OriginLimits bounds what goes to an origin from one project.
type OriginLimits struct {
	All  int       // runs at once; 0 is DefaultOriginLimit
	Rate weir.Rate // of requests
}

// DefaultOriginLimit is how many runs of a project act on one origin at once
// where nothing else is set.
const DefaultOriginLimit = 64

func (l *Limits) pipeline(project weir.ProjectID, pipeline string) PipelineLimits {
	if l.Pipeline == nil {
		return PipelineLimits{}
	}
	return l.Pipeline(project, pipeline)
}

func (l *Limits) origin(project weir.ProjectID, origin string) (limits OriginLimits) {
	if l.Origin != nil {
		limits = l.Origin(project, origin)
	}
	if limits.All == 0 {
		limits.All = DefaultOriginLimit
	}
	return limits
}
