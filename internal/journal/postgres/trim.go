package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weir"
	"weir/internal/journal"
	"weir/internal/pg"
)

const (
	step      = 500 // records that one step looks at
	dropTries = 10
	dropPause = 100 * time.Millisecond
)

// trimming is how far a pass of Trim is: it asks again for what is kept, then takes
// one day after the other, the oldest first.
type trimming struct {
	kept   weir.Seq // those up to here were asked for
	asked  bool     // and so were all
	copied weir.Seq // of the oldest day, up to here
	gone   int      // of it
}

// Trim removes what need not be kept, whole days of it, in small steps: what
// survives its day is copied first, and then the day's partitions are dropped at
// once. Other nodes may append and read meanwhile.
//
// Identities are dropped, a week of them at a time, once all of it is older than
// the window.
func (j *Journal) Trim(ctx context.Context, k journal.Keep) (journal.Trimmed, error) {
	if !j.trim.asked {
		return j.trimKept(ctx, k)
	}
	if err := j.Look(ctx); err != nil {
		return journal.Trimmed{}, err
	}
	d, next, ok := j.oldest()
	if ok && weir.Time(d.number+1)*perDay <= k.Before && next-1 <= k.UpTo {
		return j.trimDay(ctx, k, d, next)
	}
	more, err := j.trimSeen(ctx)
	if err == nil && !more {
		j.trim = trimming{}
	}
	return journal.Trimmed{More: more}, err
}

// oldest returns the oldest day that has records, and the first place after it.
func (j *Journal) oldest() (d day, next weir.Seq, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.days) == 0 {
		return d, 0, false
	}
	d, next = j.days[0], j.head+1
	if len(j.days) > 1 {
		next = j.days[1].first
	}
	return d, next, next > j.floor
}

// trimKept asks again for some of those that are kept.
func (j *Journal) trimKept(ctx context.Context, k journal.Keep) (journal.Trimmed, error) {
	records, err := j.records(ctx, selectKept, j.shard, int64(j.trim.kept), step)
	if err != nil {
		return journal.Trimmed{}, err
	}
	var going []*weir.Record
	for _, r := range records {
		if k.Goes(r) {
			going = append(going, r)
		}
	}
	done, err := j.remove(ctx, going)
	if err != nil {
		return journal.Trimmed{}, err
	}
	if j.trim.asked = len(records) < step; !j.trim.asked {
		j.trim.kept = records[len(records)-1].Seq
	}
	done.More = true
	return done, nil
}

const (
	insertKept = `INSERT INTO kept (shard, seq, at_us, body)
SELECT shard, seq, at_us, body FROM records WHERE shard = $1 AND seq = ANY ($2) AND day = $3 ON CONFLICT DO NOTHING`
	insertKeptLinks = `INSERT INTO kept_links (shard, hash, seq)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[]) ON CONFLICT DO NOTHING`
)

// trimDay copies some of a day's survivors or, after the last, drops the day.
func (j *Journal) trimDay(ctx context.Context, k journal.Keep, d day, next weir.Seq) (journal.Trimmed, error) {
	after := max(j.trim.copied, d.first-1)
	records, err := j.records(ctx, selectRecords, j.shard, int64(after), d.number, step, readSize)
	if err != nil {
		return journal.Trimmed{}, err
	}
	seqs, hashes, owners, gone := []int64{}, []int64{}, []int64{}, 0
	for i, r := range records {
		if r.Seq >= next {
			records = records[:i]
			break
		}
		if k.Goes(r) {
			gone++
			continue
		}
		seqs = append(seqs, int64(r.Seq))
		for _, h := range distinct(journal.AppendHashes(nil, r)) {
			hashes, owners = append(hashes, int64(h)), append(owners, int64(r.Seq))
		}
	}
	if len(records) == 0 {
		return j.dropDay(ctx, d, next)
	}
	err = j.together(ctx, "keep records", func(b *pgx.Batch) {
		if len(seqs) > 0 {
			b.Queue(insertKept, j.shard, seqs, d.number)
			b.Queue(insertKeptLinks, j.shard, hashes, owners)
		}
	})
	if err != nil {
		return journal.Trimmed{}, err
	}
	j.trim.copied, j.trim.gone = records[len(records)-1].Seq, j.trim.gone+gone
	return journal.Trimmed{More: true}, nil
}

// together runs what f queues as one transaction in one round trip.
func (j *Journal) together(ctx context.Context, op string, f func(*pgx.Batch)) error {
	return j.db.Retry(ctx, op, func() error {
		var b pgx.Batch
		f(&b)
		if b.Len() == 0 {
			return nil
		}
		return j.db.SendBatch(ctx, &b).Close()
	})
}

const (
	waitShortly = `SET LOCAL lock_timeout = '50ms'` // appends wait behind it, again and again while a dump runs
	lockHead    = `SELECT head FROM heads WHERE shard = $1 FOR NO KEY UPDATE`
	// Only a day that ends at next: another began there, or nothing was appended since.
	moveFloor = `UPDATE floors SET floor = $2
WHERE shard = $1 AND floor < $2 AND ($3 = $2 - 1 OR EXISTS (SELECT 1 FROM days WHERE shard = $1 AND first = $2)) RETURNING floor`
	deleteDay = `DELETE FROM days WHERE shard = $1 AND day = $2`
	raiseDay  = `UPDATE days SET first = $3 WHERE shard = $1 AND day = $2`
	sizeOfDay = `SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint FROM unnest($1::text[]) AS t (name)`
)

// dropDay moves the floor and drops the day's partitions in one short transaction.
// The head's row comes first, so that appends wait there, for as long as those who
// read the day at that moment take.
func (j *Journal) dropDay(ctx context.Context, d day, next weir.Seq) (journal.Trimmed, error) {
	done := journal.Trimmed{Records: j.trim.gone, More: true}
	names := []string{fmt.Sprint("records_", d.number), fmt.Sprint("links_", d.number)}
	drop := func(tx pgx.Tx) error {
		var head, floor int64
		if err := tx.QueryRow(ctx, lockHead, j.shard).Scan(&head); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, moveFloor, j.shard, int64(next), head).Scan(&floor); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, sizeOfDay, names).Scan(&done.Bytes); err != nil {
			return err
		}
		// What is appended today begins a partition of the day anew.
		statement, args := deleteDay, []any{j.shard, d.number}
		if weir.Seq(head) == next-1 {
			statement, args = raiseDay, append(args, int64(next))
		}
		if _, err := tx.Exec(ctx, statement, args...); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+names[0]+", "+names[1])
		return err
	}
	if err := j.shortly(ctx, "drop a day of the journal", drop); errors.Is(err, pgx.ErrNoRows) {
		return journal.Trimmed{More: true}, nil
	} else if err != nil {
		return journal.Trimmed{}, err
	}
	j.log.Info("day of the journal dropped", "day", time.Unix(int64(d.number)*24*60*60, 0).UTC().Format(time.DateOnly), "records", done.Records, "bytes", done.Bytes)
	j.trim.copied, j.trim.gone = 0, 0
	return done, j.Look(ctx)
}

// shortly runs a transaction that waits but a moment for its locks, again where it
// did not get them: who wants the same locks waits behind it.
func (j *Journal) shortly(ctx context.Context, op string, f func(pgx.Tx) error) error {
	for n := 1; ; n++ {
		err := pgx.BeginFunc(ctx, j.db, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, waitShortly); err != nil {
				return err
			}
			return f(tx)
		})
		if code := pg.CodeOf(err); code != "55P03" && code != "40P01" || n == dropTries {
			return pg.Failure(op, err)
		}
		pause(ctx, dropPause)
	}
}

const selectOldWeek = `SELECT c.relname::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'seen'::regclass AND c.relname ~ '^seen_[0-9]+$'
  AND (substr(c.relname, 6)::bigint + 1) * 604800000000 <= now_us() - $1 ORDER BY c.relname LIMIT 1`

// Nobody asks for what became of an append a day later.
const deleteAppends = `DELETE FROM appends WHERE at_us < now_us() - 86400000000`

// trimSeen drops the identities of a week that is older than the window, and
// reports whether there was one.
func (j *Journal) trimSeen(ctx context.Context) (bool, error) {
	var name string
	err := j.db.QueryRow(ctx, selectOldWeek, j.window.Microseconds()).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		_, err = j.db.Exec(ctx, deleteAppends)
		return false, pg.Failure("forget old appends", err)
	}
	if err != nil {
		return false, pg.Failure("drop identities", err)
	}
	return true, j.shortly(ctx, "drop identities", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DROP TABLE "+pgx.Identifier{name}.Sanitize())
		return err
	})
}
