package fold

import (
	"weir"
	"weir/internal/trigger"
)

// Fold is the live state of one shard in memory: all that changed since the
// last flush, what is hot, and a short reference to the rest. One goroutine
// owns it.
//
// A pass is Plan, then Give with what Plan asked for, then Turn. Freeze takes
// what changed as a Layer; Flushed says that it was written.
type Fold struct {
	shard    weir.Shard
	cursor   weir.Seq
	at       weir.Time
	projects map[weir.ProjectID]*scope
	empty    *weir.Pipeline

	groups map[weir.GroupID]*liveGroup
	byKey  map[weir.Identity]*liveGroup
	owners map[owner]*owner // each once
	due    dueQueue
	runs   map[weir.RunID]*liveRun
	away   away

	planned []planned
	matches trigger.Result
	touched []Touch

	// What changed in the layer that is open now.
	epoch       uint64
	frozen      weir.Seq
	dirtyGroups []*liveGroup
	dirtyRuns   []*liveRun
	endedRuns   int                          // of dirtyRuns
	runsGone    []weir.RunID                 // of runs in state that ended
	chunks      map[weir.GroupID][]liveChunk // not yet flushed
	chunksGone  []weir.GroupID
	installed   []Installed
	counts      map[countKey]int64
	alike       map[alikeKey]int64 // by which counts is raised at the end of a layer
}

// liveGroup is an open group: group is nil while only state has it.
type liveGroup struct {
	id      weir.GroupID
	keyHash weir.Identity
	due     weir.Time // 0 is never
	queued  weir.Time // of the valid entry in the queue
	group   *weir.Group
	owner   *owner // while only state has it: whose it is
	epoch   uint64 // of the last change
	stored  bool   // state has a row, or will have when the frozen layer is written
	gone    bool
}

// liveRun is a run at hand: in state too, or on its way there.
type liveRun struct {
	id     weir.RunID
	run    *weir.Run
	event  *weir.Record // of a batch of one, while it is at hand
	epoch  uint64
	stored bool
	gone   bool
}

// owner is a trigger by its name.
type owner struct {
	project weir.ProjectID
	trigger string
}

type liveChunk struct {
	weir.Chunk
	epoch uint64
}

type alikeKey struct {
	project weir.ProjectID
	alike   trigger.Alike
	reason  string
}

type countKey struct {
	project weir.ProjectID
	trigger string
	what    string
}

// Touch tells dispatch that a run was made, or changed by a change of the given
// kind. Run is nil when it has ended and left state.
type Touch struct {
	ID      weir.RunID
	Run     *weir.Run
	Kind    weir.ChangeKind // 0: made
	Verdict weir.Verdict    // of the try that made the change
}

// New goes on from a checkpoint. A definition that cannot be read, because a
// newer version of Weir ordered it, is not in force, as when it was folded.
func New(shard weir.Shard, cp *Checkpoint) *Fold {
	f := &Fold{
		shard:    shard,
		cursor:   cp.Cursor,
		at:       cp.At,
		frozen:   cp.Cursor,
		epoch:    1,
		empty:    &weir.Pipeline{},
		projects: make(map[weir.ProjectID]*scope),
		groups:   make(map[weir.GroupID]*liveGroup, len(cp.Groups)),
		byKey:    make(map[weir.Identity]*liveGroup, len(cp.Groups)),
		owners:   make(map[owner]*owner),
		runs:     make(map[weir.RunID]*liveRun),
		away:     newAway(cp.Runs),
		chunks:   make(map[weir.GroupID][]liveChunk),
		counts:   make(map[countKey]int64),
		alike:    make(map[alikeKey]int64),
	}
	for _, in := range cp.Versions {
		f.install(in)
	}
	for _, ref := range cp.Groups {
		g := &liveGroup{id: ref.ID, keyHash: ref.KeyHash, due: ref.Due, owner: f.owner(ref.Project, ref.Trigger), stored: true}
		f.groups[g.id], f.byKey[g.keyHash] = g, g
		f.due.schedule(g)
	}
	return f
}

// Cursor returns the place up to which records are folded, and its time.
func (f *Fold) Cursor() (weir.Seq, weir.Time) { return f.cursor, f.at }

// NextDue returns when the next group is due.
func (f *Fold) NextDue() (weir.Time, bool) { return f.due.first() }

// Run returns a run in state: nil, true where it must be loaded first.
func (f *Fold) Run(id weir.RunID) (run *weir.Run, known bool) {
	if r := f.runs[id]; r != nil {
		return r.run, true
	}
	return nil, f.away.has(id)
}

// Event returns the record of a batch of one where it is still at hand.
func (f *Fold) Event(id weir.RunID) *weir.Record {
	if r := f.runs[id]; r != nil {
		return r.event
	}
	return nil
}

// Pipeline returns the version of a pipeline that a run keeps; nil where there
// is none of that name and revision, and the empty one for "".
func (f *Fold) Pipeline(run *weir.Run) *weir.Pipeline {
	if run.Pipeline == "" {
		return f.empty
	}
	if p := f.scope(run.Project).pipelineAt(run.Pipeline, run.Firing.PipeRev); p != nil {
		return p.def
	}
	return nil
}

// InForce returns the version of a pipeline that is in force, or nil.
func (f *Fold) InForce(project weir.ProjectID, name string) *weir.Pipeline {
	if p := f.scope(project).pipelines[name]; p != nil {
		return p.def
	}
	return nil
}

// Destination returns what a project says of an origin, which may be nothing.
func (f *Fold) Destination(project weir.ProjectID, origin string) weir.Destination {
	return f.scope(project).destinations[origin]
}

// Destinations returns what a project's definitions in force say of origins. The
// map is not changed any more.
func (f *Fold) Destinations(project weir.ProjectID) map[string]weir.Destination {
	s := f.scope(project)
	s.lent = true
	return s.destinations
}

func (f *Fold) scope(project weir.ProjectID) *scope {
	s := f.projects[project]
	if s == nil {
		s = newScope(project)
		f.projects[project] = s
	}
	return s
}

func (f *Fold) owner(project weir.ProjectID, trigger string) *owner {
	o := owner{project, trigger}
	if f.owners[o] == nil {
		f.owners[o] = &o
	}
	return f.owners[o]
}

func (f *Fold) count(project weir.ProjectID, trigger, what string) {
	f.counts[countKey{project, trigger, what}]++
}

// countMiss counts an event that a trigger missed. Of many triggers that missed
// it alike, countAlike counts each, once for all events.
func (f *Fold) countMiss(project weir.ProjectID, m *trigger.Miss) {
	if m.Alike == (trigger.Alike{}) {
		f.count(project, m.Trigger.Def.Name, m.Reason)
		return
	}
	f.alike[alikeKey{project, m.Alike, m.Reason}]++
}

func (f *Fold) countAlike() {
	for key, n := range f.alike {
		for _, t := range key.alike.Triggers() {
			f.counts[countKey{key.project, t.Def.Name, key.reason}] += n
		}
	}
	clear(f.alike)
}
