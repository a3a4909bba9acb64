package fold

import (
	"bytes"
	"cmp"
	"slices"

	"weir"
)

// Changed returns how many rows the next layer would put, roughly; 0 when only
// the cursor moved or things ended.
func (f *Fold) Changed() int {
	return len(f.dirtyGroups) + len(f.dirtyRuns) - f.endedRuns + len(f.installed)
}

// Moved reports whether the cursor moved since the last Freeze.
func (f *Fold) Moved() bool { return f.cursor != f.frozen }

// Freeze takes what changed since the last one as a layer and opens a new one.
// Leases and breakers are the caller's to add.
func (f *Fold) Freeze() *Layer {
	l := &Layer{From: f.frozen, To: f.cursor, At: f.at, Installed: f.installed, ChunksGone: f.chunksGone}
	f.freezeGroups(l)
	f.freezeRuns(l)
	f.freezeChunks(l)
	f.countAlike()
	for key, n := range f.counts {
		l.Counters = append(l.Counters, Counter{key.project, key.trigger, key.what, n})
	}
	slices.SortFunc(l.Counters, func(a, b Counter) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Trigger, b.Trigger), cmp.Compare(a.What, b.What))
	})
	clear(f.counts)
	f.installed, f.chunksGone = nil, nil
	f.frozen = f.cursor
	f.epoch++
	return l
}

func (f *Fold) freezeGroups(l *Layer) {
	slices.SortFunc(f.dirtyGroups, func(a, b *liveGroup) int { return bytes.Compare(a.id[:], b.id[:]) })
	for _, g := range f.dirtyGroups {
		switch {
		case !g.gone:
			row := *g.group
			row.Have = slices.Clone(row.Have)
			l.Groups = append(l.Groups, row)
			g.stored = true
		case g.stored:
			l.GroupsGone = append(l.GroupsGone, g.id)
		}
	}
	f.dirtyGroups = emptied(f.dirtyGroups)
}

func (f *Fold) freezeRuns(l *Layer) {
	f.sweepRuns()
	l.RunsGone, f.runsGone = f.runsGone, nil
	slices.SortFunc(l.RunsGone, func(a, b weir.RunID) int { return bytes.Compare(a[:], b[:]) })
	// Runs are large: sort what points to them.
	slices.SortFunc(f.dirtyRuns, func(a, b *liveRun) int { return bytes.Compare(a.id[:], b.id[:]) })
	l.Runs = slices.Grow(l.Runs, len(f.dirtyRuns))
	for _, r := range f.dirtyRuns {
		l.Runs = append(l.Runs, *r.run)
		r.stored = true
	}
	f.dirtyRuns = emptied(f.dirtyRuns)
}

// manyEnded is how many runs may have ended before those that did are swept out
// of the list of those that changed.
const manyEnded = 1024

// sweepRuns takes the runs that ended out of those that changed. Of one that
// state has only its id is left, of one that was made since, as nearly all are
// under load, nothing.
func (f *Fold) sweepRuns() {
	f.dirtyRuns = slices.DeleteFunc(f.dirtyRuns, func(r *liveRun) bool {
		if r.gone && r.stored {
			f.runsGone = append(f.runsGone, r.id)
		}
		return r.gone
	})
	f.endedRuns = 0
}

// emptied returns the memory of a list for the next one.
func emptied[T any](list []*T) []*T {
	clear(list)
	return list[:0]
}

func (f *Fold) freezeChunks(l *Layer) {
	for _, list := range f.chunks {
		for _, c := range list {
			if c.epoch == f.epoch {
				l.Chunks = append(l.Chunks, c.Chunk)
			}
		}
	}
	slices.SortFunc(l.Chunks, func(a, b weir.Chunk) int {
		return cmp.Or(bytes.Compare(a.Group[:], b.Group[:]), cmp.Compare(a.Index, b.Index))
	})
}

// Flushed says that a layer was written: its chunks need not be kept in memory,
// and runs and groups beyond keep, clean ones, are forgotten but for their
// references. busy tells which runs must stay.
func (f *Fold) Flushed(l *Layer, keep int, busy func(weir.RunID) bool) {
	for _, c := range l.Chunks {
		f.chunks[c.Group] = slices.DeleteFunc(f.chunks[c.Group], func(have liveChunk) bool { return have.Index == c.Index })
		if len(f.chunks[c.Group]) == 0 {
			delete(f.chunks, c.Group)
		}
	}
	excess := len(f.runs) - keep
	for i := range l.Runs {
		r := f.runs[l.Runs[i].ID]
		if r == nil {
			continue
		}
		r.event = nil
		if excess > 0 && r.epoch < f.epoch && !busy(r.id) {
			delete(f.runs, r.id)
			f.away.put(r.id)
			excess--
		}
	}
	excess = len(f.groups) - keep
	for i := range l.Groups {
		if excess <= 0 {
			break
		}
		if g := f.groups[l.Groups[i].ID]; g != nil && g.group != nil && g.epoch < f.epoch {
			g.owner, g.group = f.owner(g.group.Project, g.group.Trigger), nil
			excess--
		}
	}
}

// Chunks returns those chunks of a run's batch that are in memory, and whether
// state has others.
func (f *Fold) Chunks(run *weir.Run) (recent []weir.Chunk, inState bool) {
	if run.Firing.Chunks == 0 {
		return nil, false
	}
	for _, c := range f.chunks[run.Firing.Group] {
		recent = append(recent, c.Chunk)
	}
	return recent, len(recent) < run.Firing.Chunks
}
