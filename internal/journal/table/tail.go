package table

import (
	"slices"

	"weir"
)

// Tail holds the newest records as they came, in stretches of one commit each.
type Tail struct {
	MaxCount int   // of records, about
	MaxBytes int64 // of them encoded, about
	Count    int   // of records

	stretches []stretch
	bytes     int64
}

// stretch is one commit.
type stretch struct {
	records []*weir.Record // consecutive, at least one
	bytes   int64
}

// Add takes in the records of a commit, and forgets the oldest beyond what it
// may hold.
func (t *Tail) Add(records []*weir.Record, bytes int64) {
	t.stretches = append(t.stretches, stretch{records, bytes})
	t.Count, t.bytes = t.Count+len(records), t.bytes+bytes
	for len(t.stretches) > 1 && (t.Count > t.MaxCount || t.bytes > t.MaxBytes) {
		old := t.stretches[0]
		t.Count, t.bytes = t.Count-len(old.records), t.bytes-old.bytes
		t.stretches[0] = stretch{}
		t.stretches = t.stretches[1:]
	}
}

// Drop forgets what stands up to seq, and perhaps more of the same commit.
func (t *Tail) Drop(seq weir.Seq) {
	for len(t.stretches) > 0 && t.stretches[0].records[0].Seq <= seq {
		t.Count, t.bytes = t.Count-len(t.stretches[0].records), t.bytes-t.stretches[0].bytes
		t.stretches[0] = stretch{}
		t.stretches = t.stretches[1:]
	}
}

// Read returns up to limit records from the one at seq on, none where that is
// older or not there yet.
func (t *Tail) Read(seq weir.Seq, limit int) (records []*weir.Record) {
	i, found := slices.BinarySearchFunc(t.stretches, seq, func(s stretch, q weir.Seq) int {
		switch last := s.records[len(s.records)-1].Seq; {
		case last < q:
			return -1
		case s.records[0].Seq > q:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	records = make([]*weir.Record, 0, min(limit, t.Count))
	for _, s := range t.stretches[i:] {
		if first := s.records[0].Seq; first < seq {
			s.records = s.records[seq-first:]
		}
		n := min(len(s.records), limit-len(records))
		if records = append(records, s.records[:n]...); len(records) == limit {
			break
		}
	}
	return records
}
