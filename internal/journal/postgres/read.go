package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"weir"
	"weir/internal/journal"
	"weir/internal/pg"
)

const readSize = 4 * mib // what one read takes in, about

const (
	// What is past readSize is left to the next read. The partitions' indexes are
	// merged, so that reading stops with the last that is asked for.
	selectRecords = `SELECT seq, at_us, body FROM (
  SELECT seq, at_us, body, sum(octet_length(body)) OVER (ORDER BY seq) - octet_length(body) AS before
  FROM (SELECT seq, at_us, body FROM records WHERE shard = $1 AND seq > $2 AND day >= $3 ORDER BY seq LIMIT $4) AS r
) AS r WHERE before < $5 ORDER BY seq`

	selectKept = `SELECT seq, at_us, body FROM kept
WHERE shard = $1 AND seq > $2 AND seq < (SELECT floor FROM floors WHERE shard = $1) ORDER BY seq LIMIT $3`

	selectPlaces = `SELECT r.seq, r.at_us, r.body
FROM unnest($2::bigint[], $3::integer[], $4::integer[]) AS q (seq, since, until) CROSS JOIN LATERAL (
  SELECT seq, at_us, body FROM records WHERE shard = $1 AND seq = q.seq AND day >= q.since AND day <= q.until LIMIT 1
) AS r
UNION ALL
SELECT k.seq, k.at_us, k.body FROM unnest($2::bigint[]) AS q (seq) CROSS JOIN LATERAL (
  SELECT seq, at_us, body FROM kept
  WHERE shard = $1 AND seq = q.seq AND seq < (SELECT floor FROM floors WHERE shard = $1) LIMIT 1
) AS k`

	selectSeen = `SELECT seq, at_us FROM seen WHERE shard = $1 AND fingerprint = $2 LIMIT 1`
)

// Read returns records past after, in order, limit at most. It may return fewer
// than there are; none means that there is nothing past after. Erased and hidden
// records are left out.
func (j *Journal) Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	for {
		records, err := j.readPast(ctx, after, limit)
		if err != nil || len(records) == 0 {
			return nil, err
		}
		last := records[len(records)-1].Seq
		j.advance(last)
		if records = j.shown(records); len(records) > 0 {
			return records, nil
		}
		after = last
	}
}

func (j *Journal) readPast(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error) {
	if after+1 < j.First() {
		if kept, err := j.records(ctx, selectKept, j.shard, int64(after), limit); err != nil || len(kept) > 0 {
			return kept, err
		}
	}
	since, _ := j.dayOf(after + 1)
	records, err := j.records(ctx, selectRecords, j.shard, int64(after), since, limit, readSize)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	// What is missing may have been trimmed, by another node, to what is kept of it.
	if first := j.First(); records[0].Seq > after+1 || j.newDay(records) {
		if err := j.Look(ctx); err != nil {
			return nil, err
		}
		if j.First() > first && after+1 < j.First() {
			return j.readPast(ctx, after, limit)
		}
	}
	return records, nil
}

// newDay reports whether the last record is of a day that is not known.
func (j *Journal) newDay(records []*weir.Record) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.days) == 0 || int32(records[len(records)-1].At/perDay) > j.days[len(j.days)-1].number
}

// shown leaves out what is hidden.
func (j *Journal) shown(records []*weir.Record) []*weir.Record {
	kept := records[:0]
	for _, r := range records {
		if !j.hides(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// records runs a query for records.
func (j *Journal) records(ctx context.Context, text string, args ...any) ([]*weir.Record, error) {
	rows, err := j.db.Query(ctx, text, args...)
	if err != nil {
		return nil, pg.Failure("read records", err)
	}
	records, err := pgx.CollectRows(rows, scanRecord)
	return records, pg.Failure("read records", err)
}

// scanRecord reads seq, at and body.
func scanRecord(row pgx.CollectableRow) (*weir.Record, error) {
	var seq weir.Seq
	var at weir.Time
	var body []byte
	if err := row.Scan(&seq, &at, &body); err != nil {
		return nil, err
	}
	r, err := journal.DecodeRecord(body)
	if err != nil {
		return nil, weir.E("read records", weir.CodeOf(err), "record %d: %w", seq, err)
	}
	r.Seq, r.At = seq, at
	return r, nil
}

// Records returns the records at the given places, in the order given, nil for one
// that is not there.
func (j *Journal) Records(ctx context.Context, seqs []weir.Seq) ([]*weir.Record, error) {
	places, since, until := make([]int64, len(seqs)), make([]int32, len(seqs)), make([]int32, len(seqs))
	for i, seq := range seqs {
		places[i] = int64(seq)
		since[i], until[i] = j.dayOf(seq)
	}
	found, err := j.records(ctx, selectPlaces, j.shard, places, since, until)
	if err != nil {
		return nil, err
	}
	known := make(map[weir.Seq]*weir.Record, len(found))
	for _, r := range j.shown(found) {
		known[r.Seq] = r
	}
	out := make([]*weir.Record, len(seqs))
	for i, seq := range seqs {
		out[i] = known[seq]
	}
	return out, nil
}

// Place returns where the record with an identity stands. That the database cannot
// be asked is told in the log, and as that there is none.
func (j *Journal) Place(ctx context.Context, id weir.Identity) (weir.Item, bool) {
	if id == (weir.Identity{}) {
		return weir.Item{}, false
	}
	var item weir.Item
	err := j.db.QueryRow(ctx, selectSeen, j.shard, pgtype.UUID{Bytes: id, Valid: true}).Scan(&item.Seq, &item.At)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) && ctx.Err() == nil {
		j.log.Error("look for an identity", "err", err)
	}
	return item, err == nil
}
