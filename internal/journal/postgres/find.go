package postgres

import (
	"context"
	"math"

	"weir"
	"weir/internal/journal"
	"weir/internal/pg"
)

const (
	findMost = 500 // candidates that are read together

	selectBounds = `SELECT CASE WHEN $2::bigint > 0 THEN first_at($1, $2) ELSE 0 END, CASE WHEN $3::bigint > 0 THEN first_at($1, $3) ELSE 0 END`

	// Newest first: the candidates of the days, and those that outlived theirs.
	selectLinked = `(SELECT r.seq, r.at_us, r.body FROM (
  SELECT seq, day FROM links
  WHERE shard = $1 AND hash = $2 AND seq >= $3 AND seq <= $4 AND day >= $5 AND day <= $6 ORDER BY seq DESC LIMIT $9
) AS l CROSS JOIN LATERAL (
  SELECT seq, at_us, body FROM records WHERE shard = $1 AND seq = l.seq AND day = l.day LIMIT 1
) AS r ORDER BY r.seq DESC)
UNION ALL
(SELECT k.seq, k.at_us, k.body FROM kept_links AS l CROSS JOIN LATERAL (
  SELECT seq, at_us, body FROM kept WHERE shard = $1 AND seq = l.seq LIMIT 1
) AS k
WHERE l.shard = $1 AND l.hash = $2 AND l.seq < (SELECT floor FROM floors WHERE shard = $1) AND l.seq <= $4
  AND k.at_us >= $7 AND k.at_us < $8 ORDER BY l.seq DESC LIMIT $9)
ORDER BY seq DESC LIMIT $9`

	selectAll = `(SELECT seq, at_us, body FROM records
WHERE shard = $1 AND seq >= $2 AND seq <= $3 AND day >= $4 AND day <= $5 ORDER BY seq DESC LIMIT $8)
UNION ALL
(SELECT seq, at_us, body FROM kept
WHERE shard = $1 AND seq < (SELECT floor FROM floors WHERE shard = $1) AND seq <= $3
  AND at_us >= $6 AND at_us < $7 ORDER BY seq DESC LIMIT $8)
ORDER BY seq DESC LIMIT $8`
)

// Find returns the records that a query asks for, newest first.
func (j *Journal) Find(ctx context.Context, q journal.Query) (journal.Found, error) {
	look, err := q.Prepare()
	if err != nil {
		return journal.Found{}, err
	}
	s := search{j: j, look: look, want: q.Page() + 1}
	if err := s.bound(ctx); err != nil {
		return journal.Found{}, err
	}
	for more := s.high > 0; more; {
		if more, err = s.page(ctx); err != nil {
			return journal.Found{}, err
		}
	}
	return s.answer(), nil
}

// search is one Find under way.
type search struct {
	j            *Journal
	look         *journal.Lookup
	low, high    weir.Seq // inclusive, of what is in records
	since, until int32    // days
	want         int      // one more than asked for, which tells whether there is a next page
	found        []*weir.Record
	looked       int
	size         int       // of the last page
	last         weir.Seq  // looked at last, where the search ended before its end
	backTo       weir.Time // when that was accepted
}

// bound turns the query's places and times into places and days.
func (s *search) bound(ctx context.Context) error {
	q := s.look
	s.high, s.until = math.MaxInt64, math.MaxInt32
	if q.From > 0 || q.To > 0 {
		var from, to int64
		if err := s.j.db.QueryRow(ctx, selectBounds, s.j.shard, int64(q.From), int64(q.To)).Scan(&from, &to); err != nil {
			return pg.Failure("find", err)
		}
		s.low, s.since = weir.Seq(from), int32(q.From/perDay)
		if q.To > 0 {
			s.high, s.until = weir.Seq(to)-1, int32(q.To/perDay)
		}
	}
	if q.UpTo > 0 {
		s.high = min(s.high, q.UpTo)
	}
	if q.Before > 0 {
		s.high = min(s.high, q.Before-1)
	}
	return nil
}

// page looks at the next candidates and reports whether the search goes on.
func (s *search) page(ctx context.Context) (more bool, err error) {
	s.size = min(max(s.want-len(s.found), 2*s.size), findMost)
	if s.look.Look > 0 {
		s.size = min(s.size, s.look.Look-s.looked)
	}
	to := s.look.To
	if to == 0 {
		to = math.MaxInt64
	}
	var records []*weir.Record
	args := []any{int64(s.low), int64(s.high), s.since, s.until, int64(s.look.From), int64(to), s.size}
	if s.look.Kind == journal.All {
		records, err = s.j.records(ctx, selectAll, append([]any{s.j.shard}, args...)...)
	} else {
		records, err = s.j.records(ctx, selectLinked, append([]any{s.j.shard, int64(s.look.Hash)}, args...)...)
	}
	if err != nil {
		return false, err
	}
	for _, r := range records {
		if !s.take(r) {
			return false, nil
		}
		s.high = r.Seq - 1
	}
	return len(records) == s.size && s.high > 0, nil
}

// take looks at a record, adds it where it matches, and reports whether the search
// goes on.
func (s *search) take(r *weir.Record) bool {
	s.looked++
	if s.look.Matches(r) && !s.j.hides(r) {
		s.found = append(s.found, r)
	}
	if len(s.found) < s.want && s.looked != s.look.Look {
		return true
	}
	s.last, s.backTo = r.Seq, r.At
	return false
}

// answer says what was found. Of a full page the last record is left to the next.
func (s *search) answer() journal.Found {
	f := journal.Found{Records: s.found, Next: s.last, BackTo: s.backTo, Looked: s.looked}
	if len(f.Records) == s.want {
		f.Records = f.Records[:s.want-1]
		oldest := f.Records[s.want-2]
		f.Next, f.BackTo = oldest.Seq, oldest.At
	}
	return f
}
