package journal

import (
	"io"

	"weir"
)

// Keep says what an engine's Trim may remove: what was accepted before Before,
// stands at or below UpTo, and does not stay.
//
// An engine removes by whole files or partitions. So what was accepted less
// than a day before Before may stay until it is older, as may what shares its
// file or partition with records past UpTo.
type Keep struct {
	Before weir.Time
	UpTo   weir.Seq                  // the flushed cursor
	Stays  func(r *weir.Record) bool // asked for records within the two; nil lets nothing stay
}

// Goes reports whether r need not be kept.
func (k *Keep) Goes(r *weir.Record) bool {
	return r.At < k.Before && r.Seq <= k.UpTo && (k.Stays == nil || !k.Stays(r))
}

// Trimmed is what one step of Trim or Erase did. While there is More, it is
// called again.
type Trimmed struct {
	Records int   // that are gone
	Bytes   int64 // that are free again; about
	More    bool
}

// Erasure says what is to be forgotten, whatever its age: the events of a
// subject or, where Subject is empty, all records of a project. An erased
// record is gone for readers. Where the engine forgets its identity with it,
// the same event may be taken anew.
type Erasure struct {
	Project weir.ProjectID
	Subject string
	UpTo    weir.Seq // the last record that it means; at most the flushed cursor
}

// Means reports whether r is to be forgotten.
func (e *Erasure) Means(r *weir.Record) bool {
	if r.Seq > e.UpTo || r.Project != e.Project {
		return false
	}
	return e.Subject == "" || r.Event != nil && r.Event.Subject == e.Subject
}

// Hidden are erasures under way: what they mean is shown to nobody, though it
// may still be there.
type Hidden []Erasure

// Hides reports whether r is not to be shown.
func (h Hidden) Hides(r *weir.Record) bool {
	for i := range h {
		if h[i].Means(r) {
			return true
		}
	}
	return false
}

// PartFile is one file of an engine that keeps its journal in files, as of a
// snapshot.
type PartFile struct {
	Name string // without a directory; in the journal's own at a restore
	Size int64
	io.ReaderAt
}

// Fault is something in an engine's files that is not as it was written.
type Fault struct {
	File        string
	First, Last weir.Seq // of the records that are concerned; 0 where none are
	What        string
	Do          string // what mends it; "" where only a backup does
}
