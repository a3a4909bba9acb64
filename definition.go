package weir

import "encoding/json"

// DefinitionKind says what a definition defines.
type DefinitionKind string

// The kinds of definition.
const (
	KindTrigger     DefinitionKind = "trigger"
	KindPipeline    DefinitionKind = "pipeline"
	KindSource      DefinitionKind = "source"
	KindDestination DefinitionKind = "destination"
	KindEventType   DefinitionKind = "event"
	KindSetting     DefinitionKind = "setting" // of the project: "strict", whose body is true or false
)

// Definition is a named part of a project as it is stored and ordered. Body is
// the JSON of a Trigger, Pipeline, Source, Destination or EventType. Revision is
// the project's revision that installed it: the version of the definition. From
// is the path from which it was applied, as the person named it.
type Definition struct {
	Kind     DefinitionKind  `json:"kind"`
	Name     string          `json:"name"`
	Revision uint64          `json:"revision"`
	From     string          `json:"from,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`
}

// Project is a tenant with the revision of its definitions.
type Project struct {
	ID        ProjectID
	Name      string
	Revision  uint64
	Retention Duration // how long what happened is kept; 0: as long as the server says
}

// Erasure is an order to forget what is on record, whatever its age: the events
// of a subject or, where Subject is "", all of a project that was deleted.
type Erasure struct {
	ID, Records    int64 // Records are erased so far
	Project        ProjectID
	Subject, By    string
	UpTo           Seq  // the last record that it means
	Ordered, Ended Time // Ended is none while it is under way
}

// Refusal is what was turned away at the door, or accepted but may not act: how
// and why, without its body.
type Refusal struct {
	N       int64 // counts a project's refusals from 1
	At      Time
	Project ProjectID
	Door    string // "api", "hook/github", "fold"
	Code    Code
	Reason  string // for people
	Field   string
	Source  string // of the event, where it could be read; likewise ID and Type
	ID      string
	Type    string
}

// Node is a process of Weir as it registered itself. Several share one database;
// with the embedded engine there is one.
type Node struct {
	Name     string
	Duties   []Duty
	Version  string
	Started  Time
	Seen     Time     // its last heartbeat
	Draining bool     // ordered to stop, or told to give up its duties
	Dead     bool     // not seen for so long that others have its work
	Slots    int      // runs that it tries at once, at most; 0 without the duty work
	Free     int      // runs that it would take now
	Share    int64    // tries that it ended since it started
	Holds    []string // what it alone does now: "shard 0", "upkeep"
}

// Duty is a part of what Weir does. Each node has some of them.
type Duty string

// The duties.
const (
	DutyAPI      Duty = "api"      // takes events and answers
	DutyDispatch Duty = "dispatch" // folds a shard and admits its runs, where it holds the shard's lease
	DutyWork     Duty = "work"     // tries runs
	DutyUpkeep   Duty = "upkeep"   // retention and what else keeps the disks from filling
)
