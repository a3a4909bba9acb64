package weir

import (
	"slices"
	"time"
)

// ChangeKind says what a change does to its run. The drawing of the states is
// in docs/states.md.
type ChangeKind uint8

// The kinds of change. The first group ends a try, the second is ordered by
// people or by upkeep.
const (
	Succeeded ChangeKind = iota + 1 // the try ended the run
	Retrying                        // the try did not; another follows After later
	Died                            // the try did not, and none follows
	Held                            // a gate was shut; finished steps are kept, no try is counted
	Lost                            // the lease expired: a try of unknown outcome

	Cancelled // ends the run
	Hastened  // due now, tries as they are (a person's "retry")
	Redriven  // a dead run is pending again, its tries start anew
	Purged    // removes a dead run

	Stale // the attempt of a worker that came second: it changes nothing, and has no n
)

var changeNames = [...]string{
	Succeeded: "succeeded", Retrying: "retrying", Died: "died", Held: "held", Lost: "lost",
	Cancelled: "cancelled", Hastened: "hastened", Redriven: "redriven", Purged: "purged", Stale: "stale",
}

// String returns the kind's word.
func (k ChangeKind) String() string {
	if k == 0 || int(k) >= len(changeNames) {
		return "unknown"
	}
	return changeNames[k]
}

// Change is one step in the life of a run. N counts a run's changes from 1; the
// journal takes only the first change with a (Run, N), and the fold ignores one
// that is not the run's next.
type Change struct {
	Run      RunID
	N        uint32
	Kind     ChangeKind
	Pipeline string
	Trigger  string        // "" where no trigger made the run
	After    time.Duration // Retrying, Held, Lost: due is the record's At + After
	Origin   string        // Held: whose gate was shut, which the definition may not tell
	Error    string        // Retrying, Died, Lost: what went wrong, one line
	By       string        // who ordered it: a user, token or node

	Attempt *Attempt // what was tried; nil where nothing was
	Firing  *Firing  // on the run's first change only
}

// Attempt is one try of a run, as it is kept. Its outcome is the kind of the
// change that carries it.
type Attempt struct {
	Try     int // from 1; 0 is a try that was held before it began
	Node    string
	Began   Time
	Took    time.Duration
	Steps   []StepOutcome // of the steps done in this try
	Log     string        // bounded; a cut in the middle is said in it
	Verdict Verdict       // what it says of the gate of its origin, to a dispatcher in another process
}

// StepOutcome is what became of one step in one try.
type StepOutcome struct {
	Index    int    // place in the pipeline, from 0
	Kind     string // "http", "emit", ...
	Finished bool   // had its effect: not done again on a retry
	Took     time.Duration
	Error    string // "" where it did what it should
	Detail   string // for people: "POST https://x.example/y 503", "1 of 3 events"
	Output   []byte // JSON that ${result} of the next step sees; nil is none
	Emitted  int    // how many events the step emitted
	Acted    int    // with each: the events up to this place of the run's batch had their effect, in this try or before
}

// Reason says why a group ended or a run was made.
type Reason uint8

// The reasons. Matched is a trigger without groups; the others end a group.
const (
	Matched Reason = iota + 1
	Fired
	Expired
	Late // a late group expired
	Full
	Ordered // a start order made the run
	Failed  // another run died, and its pipeline says what follows
	Dropped // an order ended the group: nothing runs
)

var reasonNames = [...]string{
	Matched: "matched", Fired: "fired", Expired: "expired", Late: "late", Full: "full", Ordered: "ordered",
	Failed: "failed", Dropped: "dropped",
}

// String returns the reason's word.
func (r Reason) String() string {
	if r == 0 || int(r) >= len(reasonNames) {
		return "unknown"
	}
	return reasonNames[r]
}

// Firing is how a run came to be. It is in state while nothing happened to the
// run and in the run's first change from then on, so that the journal has it
// once.
type Firing struct {
	Reason     Reason
	Trigger    string
	Revision   uint64 // of the trigger's definition
	Key        string // JSON object of the group's key; "" where there are no groups
	Group      GroupID
	PipeRev    uint64 // revision of the pipeline's definition
	Made       Time
	Executions []string // of the batch, distinct, in order; MaxExecutions at most
	Members    []Member // in batch order; in state those beyond Chunks, in order of joining
	Chunks     int      // full chunks of members that state holds under Group; 0 in the journal
	Hops       int      // the largest of the batch
	Quiet      bool     // a weir.* event is in the batch: the run makes none about itself
	Error      string   // Failed: what the other run died of
}

// Join makes Members whole and puts them in batch order: those of the chunks,
// which may come in any order and twice, and those beyond them.
func (f *Firing) Join(chunks []Chunk) {
	if len(chunks) == 0 && len(f.Members) <= 1 {
		return
	}
	slices.SortStableFunc(chunks, func(a, b Chunk) int { return a.Index - b.Index })
	chunks = slices.CompactFunc(chunks, func(a, b Chunk) bool { return a.Index == b.Index })
	var members []Member
	for _, c := range chunks {
		members = append(members, c.Members...)
	}
	members = append(members, f.Members...)
	slices.SortFunc(members, CompareMembers)
	f.Members, f.Chunks = members, 0
}

// MaxExecutions bounds the executions that a group or run remembers.
const MaxExecutions = 16
