package fold

import (
	"bytes"
	"slices"

	"weir"
	"weir/internal/trigger"
)

// Needs is what Turn will touch that only state has. Dispatch loads it in bulk.
type Needs struct {
	Groups []weir.GroupID
	Runs   []weir.RunID
}

// Empty reports whether nothing need be loaded.
func (n *Needs) Empty() bool { return len(n.Groups) == 0 && len(n.Runs) == 0 }

// once leaves each id once: many records of a turn touch the same group.
func (n *Needs) once() {
	slices.SortFunc(n.Groups, func(a, b weir.GroupID) int { return bytes.Compare(a[:], b[:]) })
	n.Groups = slices.Compact(n.Groups)
	slices.SortFunc(n.Runs, func(a, b weir.RunID) int { return bytes.Compare(a[:], b[:]) })
	n.Runs = slices.Compact(n.Runs)
}

// planned is a record with its place in the matches.
type planned struct {
	rec             *weir.Record
	matched, missed int // ends of its part of matches.Matches and matches.Misses
}

// Plan matches records, which follow the cursor, and returns how many of them
// the next Turn will fold and what it needs. A turn ends before an order that
// applies definitions, because that changes what the records after it match.
func (f *Fold) Plan(records []*weir.Record) (n int, needs Needs) {
	f.planned = f.planned[:0]
	f.matches.Reset()
	for _, rec := range records {
		if rec.Apply != nil && len(f.planned) > 0 {
			break
		}
		switch {
		case rec.Event != nil:
			f.needMatches(&needs, rec)
		case rec.Change != nil:
			f.needRun(&needs, rec.Change.Run)
		case rec.Apply != nil:
			f.needCut(&needs, rec)
		}
		f.planned = append(f.planned, planned{rec, len(f.matches.Matches), len(f.matches.Misses)})
		if rec.Apply != nil {
			break
		}
	}
	if len(f.planned) > 0 {
		f.needDue(&needs, f.planned[len(f.planned)-1].rec.At)
	}
	needs.once()
	return len(f.planned), needs
}

// needMatches matches an event and asks for the groups that it joins, and for
// the run of whose death it tells.
func (f *Fold) needMatches(needs *Needs, rec *weir.Record) {
	if tellsOfDeath(rec.Event) {
		f.needRun(needs, rec.Event.Cause)
	}
	if rec.Event.Hops > weir.MaxHops {
		return
	}
	first := len(f.matches.Matches)
	f.scope(rec.Project).matcher().Match(rec, &f.matches)
	f.needGroups(needs, f.matches.Matches[first:])
}

func (f *Fold) needRun(needs *Needs, id weir.RunID) {
	if f.runs[id] == nil && f.away.has(id) {
		needs.Runs = append(needs.Runs, id)
	}
}

func (f *Fold) needGroups(needs *Needs, matches []trigger.Match) {
	for i := range matches {
		if !matches[i].Trigger.Def.Grouped() {
			continue
		}
		for _, hash := range [2]weir.Identity{matches[i].Hash, lateHash(matches[i].Hash)} {
			if g := f.byKey[hash]; g != nil && g.group == nil {
				needs.Groups = append(needs.Groups, g.id)
			}
		}
	}
}

// needCut asks for the groups that an order may end: those whose trigger it takes
// away or gives another shape, and that never expire or are to be dropped.
func (f *Fold) needCut(needs *Needs, rec *weir.Record) {
	cut := f.cut(rec)
	if len(cut) == 0 {
		return
	}
	for _, g := range f.groups {
		if g.group == nil && (g.due == 0 || rec.Apply.DropGroups) && g.owner.project == rec.Project && cut[g.owner.trigger] {
			needs.Groups = append(needs.Groups, g.id)
		}
	}
}

// cut returns the triggers of which an order makes open groups take no more
// events.
func (f *Fold) cut(rec *weir.Record) map[string]bool {
	cut := make(map[string]bool)
	for _, d := range rec.Apply.Delete {
		if d.Kind == weir.KindTrigger {
			cut[d.Name] = true
		}
	}
	for _, d := range rec.Apply.Put {
		old := f.scope(rec.Project).triggers[d.Name]
		if d.Kind != weir.KindTrigger || old == nil {
			continue
		}
		next, err := compileTrigger(Installed{Project: rec.Project, Definition: d})
		if err != nil || next.Shape() != old.Shape() {
			cut[d.Name] = true
		}
	}
	return cut
}

// needDue asks for the groups that end by at. They are put back: Turn ends
// them in their order, between the records.
func (f *Fold) needDue(needs *Needs, at weir.Time) {
	var due []*liveGroup
	for g := f.due.next(at); g != nil; g = f.due.next(at) {
		due = append(due, g)
		if g.group == nil {
			needs.Groups = append(needs.Groups, g.id)
		}
	}
	for _, g := range due {
		f.due.schedule(g)
	}
}

// Give hands over what Plan asked for, or runs that dispatch wants at hand.
func (f *Fold) Give(groups []*weir.Group, runs []*weir.Run) {
	for _, g := range groups {
		if live := f.groups[g.ID]; live != nil && live.group == nil {
			live.group = g
		}
	}
	for _, r := range runs {
		if f.away.take(r.ID) {
			f.runs[r.ID] = &liveRun{id: r.ID, run: r, stored: true}
		}
	}
}
