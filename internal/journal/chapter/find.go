package chapter

import (
	"context"
	"slices"

	"weir"
	"weir/internal/journal"
)

// findBlock is how many candidates are looked for before they are read.
const findBlock = 128

// Find returns the durable records that a query asks for, newest first.
func (j *Journal) Find(ctx context.Context, q journal.Query) (journal.Found, error) {
	look, err := q.Prepare()
	if err != nil {
		return journal.Found{}, err
	}
	s := search{j: j, look: look, want: q.Page() + 1}
	s.low, s.high, s.chapters = j.bounds(look)
	if q.Kind == journal.All {
		err = s.walk(ctx)
	} else if err = j.index.wait(ctx, s.high); err == nil {
		err = s.chase(ctx)
	}
	if err != nil {
		return journal.Found{}, err
	}
	return s.answer(), nil
}

// bounds turns the query's places and times into the first and last seq, and
// returns the chapters.
func (j *Journal) bounds(q *journal.Lookup) (low, high weir.Seq, chapters []*file) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	chapters = j.chapters
	low, high = chapters[0].first, j.head
	if q.UpTo > 0 {
		high = min(high, q.UpTo)
	}
	if q.Before > 0 {
		high = min(high, q.Before-1)
	}
	if q.From > 0 {
		low = max(low, j.firstAtLocked(q.From))
	}
	if q.To > 0 {
		high = min(high, j.firstAtLocked(q.To)-1)
	}
	return low, high, chapters
}

// firstAtLocked returns the seq of the first record accepted at or after at,
// the one past the head where there is none.
func (j *Journal) firstAtLocked(at weir.Time) weir.Seq {
	for _, f := range j.chapters {
		if place := f.firstAt(at); place < f.count {
			return f.seq(place)
		}
	}
	return j.head + 1
}

// search is one Find under way.
type search struct {
	j         *Journal
	look      *journal.Lookup
	low, high weir.Seq // inclusive; empty when low > high
	chapters  []*file
	want      int // one more than asked for, which tells whether there is a next page
	found     []*weir.Record
	looked    int
	seen      weir.Seq // by chase, the last
	last      weir.Seq // looked at last, where the search ended before its end
}

// take looks at the record at seq, adds it where it matches, and reports whether
// the search goes on.
func (s *search) take(seq weir.Seq, r *weir.Record) bool {
	s.looked++
	if r != nil && s.look.Matches(r) {
		s.found = append(s.found, r)
	}
	if len(s.found) < s.want && s.looked != s.look.Look {
		return true
	}
	s.last = seq
	return false
}

// answer says what was found. Of a full page the last record is left to the
// next.
func (s *search) answer() journal.Found {
	f := journal.Found{Records: s.found, Next: s.last, Looked: s.looked}
	if len(f.Records) == s.want {
		f.Records = f.Records[:s.want-1]
		f.Next = f.Records[s.want-2].Seq
	}
	if f.Next > 0 {
		f.BackTo = s.j.acceptedAt(f.Next)
	}
	return f
}

// acceptedAt returns when the record at seq, which is there, was accepted.
func (j *Journal) acceptedAt(seq weir.Seq) weir.Time {
	j.mu.RLock()
	defer j.mu.RUnlock()
	f := j.chapterOf(seq)
	return f.atOf(f.place(seq))
}

// walk looks at every record from the newest back.
func (s *search) walk(ctx context.Context) error {
	for high := s.high; high >= s.low && high > 0; {
		low := s.low
		if high-low >= findBlock {
			low = high - findBlock + 1
		}
		records, err := s.j.between(ctx, low, high)
		if err != nil {
			return err
		}
		for _, r := range slices.Backward(records) {
			if !s.take(r.Seq, r) {
				return nil
			}
		}
		high = low - 1
	}
	return nil
}

// between reads all records from low to high.
func (j *Journal) between(ctx context.Context, low, high weir.Seq) ([]*weir.Record, error) {
	var all []*weir.Record
	for after := low - 1; after < high; {
		records, err := j.Read(ctx, after, int(high-after))
		if err != nil || len(records) == 0 {
			return all, err
		}
		after = records[len(records)-1].Seq
		n := slices.IndexFunc(records, func(r *weir.Record) bool { return r.Seq > high })
		if n < 0 {
			n = len(records)
		}
		all = append(all, records[:n]...) // those behind high come in the place of what damage took
	}
	return all, nil
}

// chase follows the chain of the query's hash through each chapter and verifies
// every candidate in its record.
func (s *search) chase(ctx context.Context) error {
	var places []int
	for _, f := range slices.Backward(s.chapters) {
		if s.low > s.high {
			return nil
		}
		if f.first > s.high {
			continue
		}
		low := 0
		if s.low > f.first {
			low = f.place(s.low)
		}
		for e := f.links.newest(s.look.Hash); e != 0; {
			places, e = f.links.walk(places[:0], e, low, f.place(s.high))
			if more, err := s.verify(ctx, f, places); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func (s *search) verify(ctx context.Context, f *file, places []int) (more bool, err error) {
	for _, place := range places {
		if f.seq(place) == s.seen {
			continue
		}
		s.seen = f.seq(place)
		records, err := s.j.Records(ctx, []weir.Seq{f.seq(place)})
		if err != nil {
			return false, err
		}
		if !s.take(s.seen, records[0]) {
			return false, nil
		}
	}
	return true, nil
}
