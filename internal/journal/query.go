package journal

import (
	"slices"
	"strconv"

	"weir"
)

// Kind says by what records are found.
type Kind uint8

// The kinds, with what a query's Value is.
const (
	All         Kind = iota // every record; no Value
	ByType                  // events: the type
	BySource                // events: the source
	BySubject               // events: the subject
	ByExecution             // events of an execution, and first changes whose batch has an event of it
	ByRun                   // changes of a run: its id as text
	ByCause                 // events that a run emitted: its id as text
	ByTrigger               // changes of the runs that a trigger made: its name
	ByPipeline              // changes of the runs of a pipeline: its name, "" for the empty one
	ByLink                  // first changes whose firing has a member: the seq of the member in decimal
	ByGroup                 // the first change of the run that a group made: the group's id as text
	ByBlob                  // events whose data is a blob: its id
)

var kindNames = [...]string{
	All: "all", ByType: "type", BySource: "source", BySubject: "subject", ByExecution: "execution", ByRun: "run",
	ByCause: "cause", ByTrigger: "trigger", ByPipeline: "pipeline", ByLink: "link", ByGroup: "group", ByBlob: "blob",
}

// String returns the kind's word.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Only narrows what is found to one sort of record.
type Only uint8

// The sorts.
const (
	Any Only = iota
	Events
	Changes
)

// Query asks for records, newest first. The zero value of a bound is none.
type Query struct {
	Project weir.ProjectID // 0 with All and ByBlob only: every project
	Kind    Kind
	Value   string
	Only    Only
	From    weir.Time // accepted at or after
	To      weir.Time // accepted before
	Before  weir.Seq  // exclusive: the next that the page before answered
	UpTo    weir.Seq  // inclusive: as of this cursor
	Limit   int       // 0 is 100; 1,000 at most
	Look    int       // look at no more records than that, also at such as are not asked for; 0 is no bound
}

// Found answers a query: its records, and how far it looked for them.
type Found struct {
	Records []*weir.Record
	Next    weir.Seq  // the Before of the next page; 0 where this is the last
	BackTo  weir.Time // with Next: when the oldest record that it looked at was accepted
	Looked  int       // records looked at
}

// Page returns how many records the query may answer.
func (q *Query) Page() int {
	if q.Limit <= 0 {
		return 100
	}
	return min(q.Limit, 1000)
}

// Lookup is a query made ready: Hash finds candidates, Matches verifies them.
type Lookup struct {
	Query
	Hash  uint64 // of (kind, project, value); 0 with All
	run   weir.RunID
	group weir.GroupID
	link  weir.Seq
}

// Prepare reads the query's value and returns an Invalid error where it cannot
// be one of its kind.
func (q Query) Prepare() (*Lookup, error) {
	l := &Lookup{Query: q}
	if q.Kind == All {
		return l, nil
	}
	if q.Project == 0 && q.Kind != ByBlob {
		return nil, weir.E("find", weir.Invalid, "a look-up by %s needs a project", q.Kind)
	}
	if q.Value == "" && q.Kind != ByPipeline {
		return nil, weir.E("find", weir.Invalid, "a look-up by %s needs a value", q.Kind)
	}
	switch q.Kind {
	case ByRun, ByCause:
		run, err := weir.ParseRunID(q.Value)
		if err != nil {
			return nil, err
		}
		l.run, l.Hash = run, hash(q.Kind, q.Project, string(run[:]))
	case ByGroup:
		group, err := weir.ParseGroupID(q.Value)
		if err != nil {
			return nil, err
		}
		l.group, l.Hash = group, hash(q.Kind, q.Project, string(group[:]))
	case ByLink:
		seq, err := strconv.ParseUint(q.Value, 10, 64)
		if err != nil {
			return nil, weir.E("find", weir.Invalid, "%q is not the seq of an event", q.Value)
		}
		l.link, l.Hash = weir.Seq(seq), hashNumber(q.Kind, q.Project, seq)
	case ByBlob:
		l.Hash = hash(q.Kind, 0, q.Value) // the ids of blobs are no project's
	default:
		l.Hash = hash(q.Kind, q.Project, q.Value)
	}
	return l, nil
}

// Matches reports whether r, which is within the bounds of time and place, is
// asked for.
func (l *Lookup) Matches(r *weir.Record) bool {
	switch {
	case l.Project != 0 && r.Project != l.Project,
		l.Only == Events && r.Event == nil,
		l.Only == Changes && r.Change == nil:
		return false
	case l.Kind == All:
		return true
	case r.Event != nil:
		return l.matchesEvent(r.Event)
	case r.Change != nil:
		return l.matchesChange(r.Change)
	}
	return false
}

func (l *Lookup) matchesEvent(e *weir.Event) bool {
	switch l.Kind {
	case ByType:
		return e.Type == l.Value
	case BySource:
		return e.Source == l.Value
	case BySubject:
		return e.Subject == l.Value
	case ByExecution:
		return e.Execution == l.Value
	case ByCause:
		return e.Cause == l.run
	case ByBlob:
		return e.Blob != nil && e.Blob.ID == l.Value
	default:
		return false
	}
}

func (l *Lookup) matchesChange(c *weir.Change) bool {
	switch l.Kind {
	case ByRun:
		return c.Run == l.run
	case ByTrigger:
		return c.Trigger == l.Value
	case ByPipeline:
		return c.Pipeline == l.Value
	case ByExecution:
		return c.Firing != nil && slices.Contains(c.Firing.Executions, l.Value)
	case ByGroup:
		return c.Firing != nil && c.Firing.Group == l.group
	case ByLink:
		return c.Firing != nil && slices.ContainsFunc(c.Firing.Members, func(m weir.Member) bool { return m.Seq == l.link })
	default:
		return false
	}
}
