package fold

import (
	"cmp"
	"slices"

	"weir"
	"weir/internal/timex"
	"weir/internal/trigger"
)

// lateHash is the key hash of the late group beside the open group with the
// given one.
func lateHash(h weir.Identity) weir.Identity {
	return weir.Fingerprint('L', 0, 0, string(h[:]))
}

// take gives an event to a trigger that it matches: a run at once, or a place
// in a group.
func (f *Fold) take(rec *weir.Record, m *trigger.Match) {
	name := m.Trigger.Def.Name
	f.count(rec.Project, name, "matched")
	if !m.Trigger.Def.Grouped() {
		f.fireAtOnce(rec, m.Trigger)
		return
	}
	time := joinTime(rec)
	open := f.byKey[m.Hash]
	if f.isLate(rec, m.Trigger, open, time) {
		f.count(rec.Project, name, "late")
		late := f.byKey[lateHash(m.Hash)]
		if late == nil {
			late = f.open(rec, m, lateHash(m.Hash), "late")
		}
		f.join(rec, m, late, time)
		return
	}
	if open == nil {
		open = f.open(rec, m, m.Hash, "group")
	}
	f.join(rec, m, open, time)
}

// joinTime is the event time that counts in first and last: one too far in the
// future counts as acceptance (skew).
func joinTime(rec *weir.Record) weir.Time {
	t := rec.Event.TimeOr(rec.At)
	if t > rec.At+weir.DefaultSkew {
		return rec.At
	}
	return t
}

// isLate reports whether the group that the event would join, or a new one,
// would be past its expiry already.
func (f *Fold) isLate(rec *weir.Record, t *trigger.Compiled, open *liveGroup, time weir.Time) bool {
	in := timex.Inputs{First: time, Last: time, Opened: rec.At, Joined: rec.At}
	if open != nil {
		in.First = min(in.First, open.group.First)
		in.Last = max(in.Last, open.group.Last)
		in.Opened = open.group.Opened
	}
	due, never := t.Expire(in)
	return !never && due <= rec.At
}

func (f *Fold) open(rec *weir.Record, m *trigger.Match, hash weir.Identity, purpose string) *liveGroup {
	def := &m.Trigger.Def
	origin := weir.Origin{At: rec.At, Shard: f.shard, Seq: rec.Seq, Trigger: def.Name, Purpose: purpose}
	g := &liveGroup{id: origin.GroupID(), keyHash: hash}
	g.group = &weir.Group{
		ID:      g.id,
		Project: rec.Project,
		Trigger: def.Name,
		Key:     m.Key,
		KeyHash: hash,
		Late:    purpose == "late",
		Opened:  rec.At,
		Have:    make([]int, len(def.Fire)),
	}
	f.groups[g.id], f.byKey[hash] = g, g
	return g
}

func (f *Fold) join(rec *weir.Record, m *trigger.Match, live *liveGroup, time weir.Time) {
	g := live.group
	f.dirtyGroup(live)
	if g.Count == 0 || time < g.First {
		g.First = time
	}
	g.Last = max(g.Last, time)
	g.Joined = rec.At
	g.Count++
	g.Revision = m.Trigger.Revision
	g.Hops = max(g.Hops, rec.Event.Hops)
	g.Quiet = g.Quiet || isOwn(rec.Event)
	g.Executions = addExecution(g.Executions, rec.Event.Execution)
	for _, i := range m.Meets {
		if g.Have[i] < m.Trigger.Def.Fire[i].Need() {
			g.Have[i]++
		}
	}
	f.addMember(live, weir.Member{Time: rec.Event.TimeOr(rec.At), Seq: rec.Seq})
	f.setDue(live, m.Trigger)
}

// setDue computes anew when the group ends, and why.
func (f *Fold) setDue(live *liveGroup, t *trigger.Compiled) {
	g := live.group
	due, never := t.Expire(timex.Inputs{First: g.First, Last: g.Last, Opened: g.Opened, Joined: g.Joined})
	g.DueReason = weir.Expired
	if g.Late {
		g.DueReason = weir.Late
		due = max(due, g.Joined+weir.LateGrace)
	}
	if never {
		due = 0
	}
	if g.Count >= cmp.Or(t.Def.MaxEvents, weir.DefaultMaxEvents) {
		g.Full, g.DueReason, due = true, weir.Full, g.Joined
	}
	if isMet(&t.Def, g.Have) {
		g.DueReason, due = weir.Fired, g.Joined
	}
	g.Due, live.due = due, due
	f.due.schedule(live)
}

// isMet reports whether all criteria of fire have their events; a trigger
// without fire only expires.
func isMet(t *weir.Trigger, have []int) bool {
	if t.Fire == nil {
		return false
	}
	for i := range t.Fire {
		if have[i] < t.Fire[i].Need() {
			return false
		}
	}
	return true
}

// addMember is O(1): a full tail becomes a chunk, which is written once.
func (f *Fold) addMember(live *liveGroup, m weir.Member) {
	g := live.group
	g.Tail = append(g.Tail, m)
	if len(g.Tail) == weir.ChunkSize {
		chunk := weir.Chunk{Group: g.ID, Index: g.Chunks, Members: g.Tail}
		f.chunks[g.ID] = append(f.chunks[g.ID], liveChunk{chunk, f.epoch})
		g.Chunks, g.Tail = g.Chunks+1, nil
	}
}

// endCut makes due the groups of the triggers that an order cut off, as it is
// now in force: those to be dropped, and those that never expire, since nothing
// could end them any more.
func (f *Fold) endCut(rec *weir.Record, cut map[string]bool) {
	if len(cut) == 0 {
		return
	}
	triggers := f.scope(rec.Project).triggers
	for _, live := range f.groups {
		g := live.group
		if g == nil || g.Project != rec.Project || !cut[g.Trigger] || live.due != 0 && !rec.Apply.DropGroups {
			continue
		}
		if t := triggers[g.Trigger]; t != nil {
			if hash := t.Hash(g.Project, g.Key); g.KeyHash == hash || g.KeyHash == lateHash(hash) {
				continue // of its shape: it takes them over
			}
		}
		if rec.Apply.DropGroups {
			g.DueReason = weir.Dropped
		}
		g.Due, live.due = rec.At, rec.At
		f.due.schedule(live)
	}
}

// endDue ends the groups that are due at or before rec's time, in (due, id)
// order.
func (f *Fold) endDue(rec *weir.Record) {
	for g := f.due.next(rec.At); g != nil; g = f.due.next(rec.At) {
		f.end(rec, g)
	}
}

func (f *Fold) end(rec *weir.Record, live *liveGroup) {
	g := live.group
	f.dirtyGroup(live)
	live.gone = true
	delete(f.groups, live.id)
	f.due.sweep(len(f.groups))
	delete(f.byKey, live.keyHash)
	f.count(g.Project, g.Trigger, g.DueReason.String())

	name := ""
	if t := f.scope(g.Project).triggerAt(g.Trigger, g.Revision); t != nil {
		switch g.DueReason {
		case weir.Fired:
			name = t.Def.Run
		case weir.Dropped:
		default:
			name = t.Def.OnExpire
		}
	}
	origin := weir.Origin{
		At: rec.At, Shard: f.shard, Seq: rec.Seq,
		Trigger: g.Trigger, Purpose: "end", Index: string(g.ID[:]),
	}
	f.makeRun(birth{id: origin.RunID(), seq: rec.Seq, project: g.Project, pipeline: name, firing: weir.Firing{
		Reason:     g.DueReason,
		Trigger:    g.Trigger,
		Revision:   g.Revision,
		Key:        g.Key,
		Group:      g.ID,
		Made:       rec.At,
		Executions: g.Executions,
		Members:    g.Tail,
		Chunks:     g.Chunks,
		Hops:       g.Hops,
		Quiet:      g.Quiet,
	}})
}

func (f *Fold) dirtyGroup(g *liveGroup) {
	if g.epoch != f.epoch {
		g.epoch = f.epoch
		f.dirtyGroups = append(f.dirtyGroups, g)
	}
}

func addExecution(list []string, execution string) []string {
	if execution == "" || len(list) >= weir.MaxExecutions || slices.Contains(list, execution) {
		return list
	}
	return append(list, execution)
}
