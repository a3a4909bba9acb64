package weir

// RunState is where a run stands. Running is not stored: it is a pending run
// that is leased.
type RunState uint8

// The states. Dead is an end that a redrive undoes; the others that Ended
// reports are final.
const (
	RunPending RunState = iota + 1
	RunRunning
	RunWaiting
	RunSucceeded
	RunDead
	RunCancelled
)

var runStateNames = [...]string{
	RunPending: "pending", RunRunning: "running", RunWaiting: "waiting",
	RunSucceeded: "succeeded", RunDead: "dead", RunCancelled: "cancelled",
}

// String returns the state's word.
func (s RunState) String() string {
	if s == 0 || int(s) >= len(runStateNames) {
		return "unknown"
	}
	return runStateNames[s]
}

// ParseRunState reads what String writes.
func ParseRunState(s string) (RunState, error) {
	for i, name := range runStateNames {
		if name != "" && name == s {
			return RunState(i), nil
		}
	}
	return 0, E("", Invalid, "%q is no state of a run: use pending, running, waiting, succeeded, dead or cancelled", s)
}

// Ended reports whether the run has no try left to make.
func (s RunState) Ended() bool { return s >= RunSucceeded }

// Run is a run as state holds it: one that has not ended, or is dead.
type Run struct {
	ID       RunID
	Project  ProjectID
	State    RunState // RunPending, RunWaiting or RunDead
	Pipeline string   // "" is the empty pipeline
	Lane     Lane
	Due      Time
	N        uint32 // number of the last change, 0 before the first
	Tries    int    // tries that count, since made or redriven
	Error    string // of the last try
	Ended    Time   // of a dead one
	Firing   Firing
	Done     []StepOutcome // steps that had their effect or a part of it, by index
	Queued   Precedence    // its place among the runs of an ordered key
	Holds    bool          // it was tried and has not ended: it holds its ordered key
}

// Precedence is a place in the order in which the runs of a key act: by due time
// when made or redriven, then by the record that did it.
type Precedence struct {
	Due Time
	Seq Seq
}

// Lane names the runs that wait for the same things: a pipeline, its
// concurrency key, and the origin of the next action step.
type Lane struct {
	Project  ProjectID
	Pipeline string
	Key      string // "" where the pipeline has no concurrency key
	Origin   string // "https://host:port"; "" where none or known only after rendering
}

// Lease is the right to try a run, handed from dispatch to work.
type Lease struct {
	Run    Run
	Pipe   *Pipeline // the version that the run keeps
	Try    int
	Began  Time
	Events []*Record // the batch in order where it is at hand, else nil: load Run.Firing's members

	// Destinations are the project's, by origin, as they are now, whatever the
	// version of the pipeline. Nobody changes the map.
	Destinations map[string]Destination
}

// Verdict is what the end of a try says about the gate that it went through.
type Verdict uint8

// The verdicts. Unreached opens the origin's breaker when it repeats, Reached
// closes it, and a try that ended before it had asked says nothing.
const (
	Unasked   Verdict = iota
	Reached           // the destination answered
	Unreached         // no connection, or no answer in time
)

// Finish tells dispatch that a try ended and its outcome is on record, or that a
// lease is given back of which nothing was begun. Began is that of the lease: no
// two of a run have the same.
type Finish struct {
	Run     RunID
	Began   Time
	Verdict Verdict
	Unbegun bool
}
