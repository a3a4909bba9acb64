package weir

// Record is an entry of the journal. At most one of the pointers is set: an
// event, a change of a run, an order, or, with none of them, a tick, which only
// tells that its At has come.
//
// Seq and At are given by the journal when it takes the record. From then on
// nobody changes the record or what it points to.
type Record struct {
	Seq     Seq
	At      Time // never less than that of the record before
	Project ProjectID
	Event   *Event
	Change  *Change
	Apply   *Apply
	Start   *Start
}

// UID returns the uid of the record's event.
func (r *Record) UID(shard Shard) EventUID { return Place(r.At, shard, r.Seq) }

// IsTick reports whether r only tells the time.
func (r *Record) IsTick() bool {
	return r.Event == nil && r.Change == nil && r.Apply == nil && r.Start == nil
}

// Batch is what is appended together. Once handed over, its records belong to
// the journal.
//
// A bound batch begins with a change or an order, followed by events that
// belong to it: where the first record's identity is taken, the whole batch is
// refused. In a free batch each record stands alone. In both, an event whose
// identity is taken is left out and reported, and the rest is written whole or
// not at all.
type Batch struct {
	Bound   bool
	Records []*Record
}

// Receipt answers one batch once it is durable.
type Receipt struct {
	Refused bool // bound, and its first record's identity was taken; nothing was written
	Items   []Item
}

// Item answers one record of a batch.
type Item struct {
	Seq      Seq  // of the record, or of the one that it repeats
	At       Time // likewise
	Repeated bool
}

// Apply is the order that installs definitions: Put replaces or adds, Delete
// removes, and the project's revision becomes Revision.
type Apply struct {
	Revision uint64 // one more than the project's
	By       string // who ordered it
	Put      []Definition
	Delete   []Definition // Kind and Name only
	// DropGroups ends at once, as dropped, the open groups that take no more
	// events because of the order.
	DropGroups bool
}

// Start is the order that makes a run by hand. Application, Key and Generation
// are its identity.
type Start struct {
	Application string
	Key         string
	Generation  uint64
	Pipeline    string
	Due         Time // none: at once
	By          string
}

// Member is one event of a batch or group: its place, and its time or, where it
// has none, when it was accepted.
type Member struct {
	Time Time
	Seq  Seq
}

// CompareMembers orders members by time, then place: the order of a batch.
func CompareMembers(a, b Member) int {
	switch {
	case a.Time != b.Time && a.Time < b.Time, a.Time == b.Time && a.Seq < b.Seq:
		return -1
	case a == b:
		return 0
	}
	return 1
}
