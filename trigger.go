package weir

// Trigger is a standing rule: when events that match, grouped by key, reach
// fire (or have not by expire), run a pipeline on them. The language is in
// docs/guide/language.md. JSON is the form in which definitions are stored.
type Trigger struct {
	Name      string      `json:"-"`
	Match     []Criterion `json:"match"` // any of; never empty: without match it holds those of fire
	GroupBy   []KeyPart   `json:"group_by,omitempty"`
	Fire      []Criterion `json:"fire"` // all of; nil: only expires; empty: the first event fires
	Expire    string      `json:"expire,omitempty"`
	MaxEvents int         `json:"max_events,omitempty"`
	Run       string      `json:"run,omitempty"`       // pipeline; "" is the empty one
	OnExpire  string      `json:"on_expire,omitempty"` // likewise
}

// Grouped reports whether the trigger keeps groups. One that does not fires at
// each match.
func (t *Trigger) Grouped() bool { return len(t.GroupBy) > 0 || t.Fire != nil || t.Expire != "" }

// Criterion says which events count.
type Criterion struct {
	Types []string `json:"type"` // globs, "!" excludes; nil: any; empty: none
	Where string   `json:"where,omitempty"`
	Count int      `json:"count,omitempty"` // in fire; 0 means 1
}

// Need returns how many events meet the criterion.
func (c *Criterion) Need() int { return max(c.Count, 1) }

// KeyPart is one named part of a group's key, a CEL expression.
type KeyPart struct {
	Name string `json:"name"`
	Of   string `json:"of"`
}

// Defaults of what the trigger language lets a trigger leave out.
const (
	DefaultMaxEvents = 10_000
	DefaultSkew      = 5 * Minute
	LateGrace        = Minute // a late group lives at least this long after its newest event
)

// Minute is a minute in the unit of Time.
const Minute Time = 60_000_000

// TriggerCounters says what a trigger did with events since it was first
// applied: by reason, how many.
type TriggerCounters map[string]int64
