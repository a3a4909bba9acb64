package chapter

import (
	"context"
	"errors"
	"slices"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/file"
	"weir/internal/journal/sealed"
)

// findBlock is how many candidates are looked for before they are read.
const findBlock = 128

// Find returns the durable records that a query asks for, newest first.
func (j *Journal) Find(ctx context.Context, q journal.Query) (journal.Found, error) {
	look, err := q.Prepare()
	if err != nil {
		return journal.Found{}, err
	}
	s := search{j: j, look: look, want: q.Page() + 1, edition: j.use()}
	defer j.done(s.edition)
	if err := s.bound(); err != nil {
		return journal.Found{}, err
	}
	if q.Kind == journal.All {
		err = s.walk(ctx)
	} else if err = j.filler.Wait(ctx, s.high); err == nil {
		err = s.chase(ctx)
	}
	if err != nil {
		return journal.Found{}, err
	}
	return s.answer(), nil
}

// search is one Find under way.
type search struct {
	j         *Journal
	edition   *edition
	look      *journal.Lookup
	low, high weir.Seq // inclusive; empty when low > high
	want      int      // one more than asked for, which tells whether there is a next page
	found     []*weir.Record
	looked    int
	seen      weir.Seq  // by chase, the last
	last      weir.Seq  // looked at last, where the search ended before its end
	at        weir.Time // of the record looked at last
}

// bound turns the query's places and times into the first and last seq.
func (s *search) bound() (err error) {
	q := s.look
	s.low, s.high = s.edition.files[0].First, s.j.Head()
	if q.UpTo > 0 {
		s.high = min(s.high, q.UpTo)
	}
	if q.Before > 0 {
		s.high = min(s.high, q.Before-1)
	}
	if q.From > 0 {
		first, err := s.firstAt(q.From)
		if err != nil {
			return err
		}
		s.low = max(s.low, first)
	}
	if q.To > 0 {
		first, err := s.firstAt(q.To)
		if err != nil {
			return err
		}
		s.high = min(s.high, first-1)
	}
	return nil
}

// firstAt returns the seq of the first record accepted at or after at, one past
// the last where there is none.
func (s *search) firstAt(at weir.Time) (weir.Seq, error) {
	files := s.edition.files
	// Those before the last that begins at or before at end before it, too.
	n, _ := slices.BinarySearchFunc(files, at, func(f *file.Chapter, t weir.Time) int {
		if f.At < t {
			return -1
		}
		return 1
	})
	for _, f := range files[max(n-1, 0):] {
		var place int
		err := f.Ask(func(l file.Look) (err error) {
			place, err = l.FirstAt(at)
			return err
		})
		if err != nil {
			return 0, err
		}
		if seq := f.Seq(place); seq <= f.Through() {
			return seq, nil
		}
	}
	return s.edition.active().Through() + 1, nil
}

// take looks at a record, adds it where it matches, and reports whether the
// search goes on. One that is lost is looked at, too.
func (s *search) take(seq weir.Seq, r *weir.Record) bool {
	s.looked++
	if r != nil {
		s.at = r.At
		if s.look.Matches(r) {
			s.found = append(s.found, r)
		}
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
	f := journal.Found{Records: s.found, Next: s.last, Looked: s.looked, BackTo: s.at}
	if len(f.Records) == s.want {
		f.Records = f.Records[:s.want-1]
		last := f.Records[s.want-2]
		f.Next, f.BackTo = last.Seq, last.At
	}
	if f.Next == 0 {
		f.BackTo = 0
	}
	return f
}

// walk looks at every record from the newest back.
func (s *search) walk(ctx context.Context) error {
	for _, f := range slices.Backward(s.edition.files) {
		for high := min(s.high, f.Through()); high >= max(s.low, f.First); {
			if err := ctx.Err(); err != nil {
				return err
			}
			records, first, err := s.block(f, high)
			if err != nil {
				return err
			}
			for _, r := range slices.Backward(records) {
				if r.Seq < s.low || !s.take(r.Seq, r) {
					return nil
				}
			}
			high = first - 1
		}
	}
	return nil
}

// block reads the last records of a chapter up to high, and returns the seq from
// which on it looked.
func (s *search) block(f *file.Chapter, high weir.Seq) (records []*weir.Record, first weir.Seq, err error) {
	var places []int
	err = f.Ask(func(l file.Look) (err error) {
		places, err = l.Before(f.Place(high), findBlock)
		return err
	})
	if err != nil || len(places) == 0 {
		return nil, f.First, err
	}
	first = f.Seq(places[0])
	if recent, _, e := s.j.recent(first, int(high-first)+1); e != nil {
		defer s.j.done(e)
	} else {
		return s.j.shown(recent), first, nil
	}
	for next := places[0]; next <= places[len(places)-1]; {
		var some []*weir.Record
		if some, next, err = f.ReadFrom(next, len(places), high); err != nil {
			return nil, 0, err
		}
		records = append(records, some...)
	}
	return s.j.shown(records), first, nil
}

// chase follows the query's hash through each chapter and verifies every
// candidate in its record.
func (s *search) chase(ctx context.Context) error {
	for _, f := range slices.Backward(s.edition.files) {
		if f.Through() < s.low {
			return nil
		}
		if f.First > s.high {
			continue
		}
		more, err := s.chaseIn(ctx, f)
		if errors.Is(err, sealed.ErrDamaged) {
			if err = f.Mend(err); err == nil {
				more, err = s.chaseIn(ctx, f)
			}
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// chaseIn goes on in a chapter from what was seen last.
func (s *search) chaseIn(ctx context.Context, f *file.Chapter) (more bool, err error) {
	high := min(s.high, f.Through())
	if s.seen > 0 {
		high = min(high, s.seen-1)
	}
	next := f.Look().Walk(s.look.Hash, f.Place(max(s.low, f.First)), f.Place(high))
	var block [findBlock]int
	for {
		places, err := next(block[:0])
		if err != nil || len(places) == 0 {
			return true, err
		}
		if more, err := s.verify(ctx, f, places); err != nil || !more {
			return false, err
		}
	}
}

func (s *search) verify(ctx context.Context, f *file.Chapter, places []int) (more bool, err error) {
	hidden := *s.j.hidden.Load()
	for _, place := range places {
		seq := f.Seq(place)
		if seq == s.seen {
			continue
		}
		s.seen = seq
		r, err := s.record(ctx, f, seq)
		if err != nil {
			return false, err
		}
		if r != nil && hidden.Hides(r) {
			continue
		}
		if !s.take(seq, r) {
			return false, nil
		}
	}
	return true, nil
}

// record returns a record of a chapter of the search's edition.
func (s *search) record(ctx context.Context, f *file.Chapter, seq weir.Seq) (*weir.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	records, _, e := s.j.recent(seq, 1)
	if e == nil {
		return records[0], nil
	}
	defer s.j.done(e)
	return f.ReadOne(f.Place(seq))
}
