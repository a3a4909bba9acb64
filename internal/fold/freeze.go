package fold

import (
	"bytes"
	"cmp"
	"slices"

	"weir"
)

// Changed returns how many rows the next layer would have, roughly; 0 when only
// the cursor moved.
func (f *Fold) Changed() int { return len(f.dirtyGroups) + len(f.dirtyRuns) + len(f.installed) }

// Moved reports whether the cursor moved since the last Freeze.
func (f *Fold) Moved() bool { return f.cursor != f.frozen }

// Freeze takes what changed since the last one as a layer and opens a new one.
// Leases are the caller's to add.
func (f *Fold) Freeze() *Layer {
	l := &Layer{From: f.frozen, To: f.cursor, At: f.at, Installed: f.installed, ChunksGone: f.chunksGone}
	f.freezeGroups(l)
	f.freezeRuns(l)
	f.freezeChunks(l)
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
	f.dirtyGroups = f.dirtyGroups[:0]
	slices.SortFunc(l.Groups, func(a, b weir.Group) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	slices.SortFunc(l.GroupsGone, func(a, b weir.GroupID) int { return bytes.Compare(a[:], b[:]) })
}

func (f *Fold) freezeRuns(l *Layer) {
	for _, r := range f.dirtyRuns {
		switch {
		case !r.gone:
			l.Runs = append(l.Runs, *r.run)
			r.stored = true
		case r.stored:
			l.RunsGone = append(l.RunsGone, r.id)
		}
	}
	f.dirtyRuns = f.dirtyRuns[:0]
	slices.SortFunc(l.Runs, func(a, b weir.Run) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	slices.SortFunc(l.RunsGone, func(a, b weir.RunID) int { return bytes.Compare(a[:], b[:]) })
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
			r.run = nil
			excess--
		}
	}
	excess = len(f.groups) - keep
	for i := range l.Groups {
		if excess <= 0 {
			break
		}
		if g := f.groups[l.Groups[i].ID]; g != nil && g.epoch < f.epoch {
			g.group = nil
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
