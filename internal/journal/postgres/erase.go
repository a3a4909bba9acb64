package postgres

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"weir"
	"weir/internal/journal"
)

// Hide makes readers see no more of what these erasures mean, from now on and
// instead of those given before.
func (j *Journal) Hide(erasures []journal.Erasure) {
	hidden := journal.Hidden(erasures)
	j.hidden.Store(&hidden)
}

func (j *Journal) hides(r *weir.Record) bool {
	hidden := j.hidden.Load()
	return hidden != nil && hidden.Hides(r)
}

// Erase removes some of what an erasure means. The identities stay taken until
// their week is dropped.
func (j *Journal) Erase(ctx context.Context, e journal.Erasure) (journal.Trimmed, error) {
	if e.Subject == "" {
		return j.eraseProject(ctx, e)
	}
	look, err := journal.Query{Project: e.Project, Kind: journal.BySubject, Value: e.Subject}.Prepare()
	if err != nil {
		return journal.Trimmed{}, err
	}
	for high := e.UpTo; ; {
		records, err := j.records(ctx, selectLinked,
			j.shard, int64(look.Hash), 0, int64(high), 0, math.MaxInt32, 0, int64(math.MaxInt64), step)
		if err != nil || len(records) == 0 {
			return journal.Trimmed{}, err
		}
		high = records[len(records)-1].Seq - 1
		if meant := meantBy(e, records); len(meant) > 0 {
			done, err := j.remove(ctx, meant)
			done.More = true
			return done, err
		}
	}
}

// eraseProject looks at all records in order: nothing leads to those of a project.
func (j *Journal) eraseProject(ctx context.Context, e journal.Erasure) (journal.Trimmed, error) {
	records, err := j.readPast(ctx, j.erased[e], step)
	if err != nil {
		return journal.Trimmed{}, err
	}
	done, err := j.remove(ctx, meantBy(e, records))
	if err != nil {
		return journal.Trimmed{}, err
	}
	if len(records) == 0 || records[len(records)-1].Seq >= e.UpTo {
		delete(j.erased, e)
		return done, nil
	}
	j.erased[e] = records[len(records)-1].Seq
	done.More = true
	return done, nil
}

func meantBy(e journal.Erasure, records []*weir.Record) (meant []*weir.Record) {
	for _, r := range records {
		if e.Means(r) {
			meant = append(meant, r)
		}
	}
	return meant
}

const (
	deleteRecord    = `DELETE FROM records WHERE shard = $1 AND seq = $2 AND day = $3`
	deleteLinks     = `DELETE FROM links WHERE shard = $1 AND hash = ANY ($4) AND seq = $2 AND day = $3`
	deleteKept      = `DELETE FROM kept WHERE shard = $1 AND seq = ANY ($2)`
	deleteKeptLinks = `DELETE FROM kept_links WHERE shard = $1 AND hash = ANY ($3) AND seq = $2`
)

// remove removes records, wherever they stand.
func (j *Journal) remove(ctx context.Context, records []*weir.Record) (done journal.Trimmed, err error) {
	var seqs []int64
	for _, r := range records {
		seqs = append(seqs, int64(r.Seq))
		done.Bytes += int64(len(journal.AppendRecord(nil, r)))
	}
	done.Records = len(records)
	return done, j.together(ctx, "remove records", func(b *pgx.Batch) {
		if len(records) == 0 {
			return
		}
		b.Queue(deleteKept, j.shard, seqs)
		for i, r := range records {
			var hashes []int64
			for _, h := range journal.AppendHashes(nil, r) {
				hashes = append(hashes, int64(h))
			}
			day := int32(r.At / perDay)
			b.Queue(deleteRecord, j.shard, seqs[i], day)
			b.Queue(deleteLinks, j.shard, seqs[i], day, hashes)
			b.Queue(deleteKeptLinks, j.shard, seqs[i], hashes)
		}
	})
}
