package upkeep

import (
	"bytes"
	"context"
	"slices"
	"time"

	"weir"
)

// Live is what a group, a run or a chunk of members in state needs of what is
// kept elsewhere.
type Live struct {
	Project  weir.ProjectID // 0 of a chunk, whose group or run tells the rest
	Run      weir.RunID     // none of a group
	Trigger  string
	Revision uint64 // of Trigger
	Pipeline string // of a run
	PipeRev  uint64 // of Pipeline
	Members  []weir.Member
}

// A walk over state rests now and then: a million runs take seconds.
const (
	walkStep  = 500
	walkPause = 2 * time.Millisecond
)

// cutoffs say from when on each project keeps what happened.
type cutoffs struct {
	newest   weir.Time // of all
	other    weir.Time // of projects that say nothing
	own      map[weir.ProjectID]weir.Time
	shortest time.Duration
}

func (l *Loop) cutoffs(projects []weir.Project, now time.Time) cutoffs {
	c := cutoffs{own: map[weir.ProjectID]weir.Time{}, other: weir.TimeOf(now.Add(-l.Retention)), shortest: l.Retention}
	for _, p := range projects {
		if p.Retention > 0 {
			c.own[p.ID] = weir.TimeOf(now.Add(-p.Retention.Std()))
			c.shortest = min(c.shortest, p.Retention.Std())
		}
	}
	c.newest = weir.TimeOf(now.Add(-c.shortest))
	return c
}

func (c *cutoffs) of(project weir.ProjectID) weir.Time {
	if own, ok := c.own[project]; ok {
		return own
	}
	return c.other
}

// needed is what a snapshot of state needs of what is old.
type needed struct {
	cut     cutoffs
	upTo    weir.Seq // of what is old
	members []weir.Seq
	runs    []weir.RunID
	named   map[name]uint64 // the oldest version that something names
}

func (n *needed) add(l *Live) {
	for _, m := range l.Members {
		if m.Seq <= n.upTo {
			n.members = append(n.members, m.Seq)
		}
	}
	if !l.Run.IsZero() && weir.MadeAt(l.Run) < n.cut.newest {
		n.runs = append(n.runs, l.Run)
	}
	n.name(name{l.Project, weir.KindTrigger, l.Trigger}, l.Revision)
	n.name(name{l.Project, weir.KindPipeline, l.Pipeline}, l.PipeRev)
}

func compareRuns(a, b weir.RunID) int { return bytes.Compare(a[:], b[:]) }

// ready makes it possible to ask.
func (n *needed) ready() {
	slices.Sort(n.members)
	n.members = slices.Compact(n.members)
	slices.SortFunc(n.runs, compareRuns)
}

// stays reports whether a record has to stay.
func (n *needed) stays(r *weir.Record) bool {
	if !r.IsTick() && r.At >= n.cut.of(r.Project) {
		return true
	}
	found := false
	switch {
	case r.Event != nil:
		_, found = slices.BinarySearch(n.members, r.Seq)
	case r.Change != nil:
		_, found = slices.BinarySearchFunc(n.runs, r.Change.Run, compareRuns)
	}
	return found
}

// keep removes what is older than it is to be kept, but for what is needed.
func (l *Loop) keep(ctx context.Context, cut cutoffs) error {
	versions, err := l.State.Versions(ctx) // before the snapshot, so that each of its names is among them
	if err != nil {
		return err
	}
	n := &needed{cut: cut, named: map[name]uint64{}}
	if n.upTo, err = l.Journal.Newest(ctx, cut.newest); err != nil {
		return err
	}
	walked := 0
	cursor, err := l.State.Walk(ctx, func(live *Live) error {
		n.add(live)
		if walked++; walked%walkStep == 0 {
			l.pause(ctx, walkPause)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	n.ready()
	if err := l.trim(ctx, n, cursor); err != nil {
		return err
	}
	if old := outdated(versions, n.named); len(old) > 0 {
		if err := l.State.DropVersions(ctx, old); err != nil {
			return err
		}
		l.Logger.Info("dropped old versions of definitions", "definitions", len(old))
	}
	return l.dropOld(ctx, cut)
}

// trim removes records.
func (l *Loop) trim(ctx context.Context, n *needed, cursor weir.Seq) error {
	k := Keep{Before: n.cut.newest, UpTo: min(n.upTo, cursor), Stays: n.stays}
	records, freed := 0, int64(0)
	for more := true; more; {
		done, err := l.step(ctx, func() (Trimmed, error) { return l.Journal.Trim(ctx, k) })
		l.metrics.count(whyOld, done)
		records, freed = records+done.Records, freed+done.Bytes
		if done.Records > 0 {
			l.again = max(l.again, n.cut.newest)
		}
		if err != nil {
			return err
		}
		more = done.More
	}
	if records > 0 {
		l.Logger.Info("removed old records", "records", records, "bytes", freed, "before", k.Before,
			"members", len(n.members), "runs", len(n.runs))
	}
	return nil
}

// dropOld drops what else is old in state.
func (l *Loop) dropOld(ctx context.Context, cut cutoffs) error {
	projects, err := l.State.Projects(ctx)
	if err != nil {
		return err
	}
	for _, p := range projects {
		if err := l.State.DropOld(ctx, p.ID, cut.of(p.ID)); err != nil {
			return err
		}
	}
	if err := l.State.DropOld(ctx, 0, cut.other); err != nil { // refusals of no project
		return err
	}
	return l.State.DropErasures(ctx, cut.other)
}
