package postgres

import (
	"context"
	"sync"

	"weir/internal/fold"
	"weir/internal/state"
)

// Tenure is the state as the holder of the shard's lease may write it. It flushes
// only while the hold has its token, and its flushes are numbered, so that one
// whose answer was lost is repeated and found done.
type Tenure struct {
	*State
	token int64

	flushing sync.Mutex // guards what stands below
	flushed  int64      // flushes of this tenure that are known to be written
}

// Tenure returns the state for who holds the shard under a token.
func (s *State) Tenure(token int64) *Tenure { return &Tenure{State: s, token: token} }

// flush is one statement, because a client that stops in the middle of several
// would hold the locks of those that were sent: the server begins when it has all
// of it. All parts see the state before it and none sees another's, so no row may
// be written by two of them. They write nothing where the cursor is not moved;
// the hold's token stays locked until the end, because a new holder that loaded
// in between would not find what is being written.
const flush = `WITH
held AS MATERIALIZED (
  SELECT 1 FROM holds WHERE name = $6 AND token = $4 FOR KEY SHARE
), moved AS (
  UPDATE cursors SET cursor = $3, at_us = $7, token = $4, flushes = $5
  WHERE shard = $1 AND cursor = $2 AND EXISTS (SELECT 1 FROM held)
    AND (token = $4 AND flushes = $5 - 1 OR token < $4 AND $5 = 1)
  RETURNING 1
), put_groups AS (
  INSERT INTO groups (shard, ` + groupColumns + `)
  SELECT $1, * FROM unnest($8::bytea[], $9::int[], $10::text[], $11::bytea[], $12::bigint[], $13::bytea[])
  WHERE EXISTS (SELECT 1 FROM moved)
  ON CONFLICT (shard, id) DO UPDATE SET key_hash = excluded.key_hash, due_us = excluded.due_us, body = excluded.body
  RETURNING 1
), cut_groups AS (
  DELETE FROM groups WHERE shard = $1 AND id = ANY ($14::bytea[]) AND EXISTS (SELECT 1 FROM moved)
  RETURNING 1
), put_chunks AS (
  INSERT INTO chunks (shard, ` + chunkColumns + `)
  SELECT $1, * FROM unnest($15::bytea[], $16::int[], $17::bytea[])
  WHERE EXISTS (SELECT 1 FROM moved)
  ON CONFLICT (shard, grp, idx) DO UPDATE SET members = excluded.members
  RETURNING 1
), cut_chunks AS (
  DELETE FROM chunks WHERE shard = $1 AND grp = ANY ($18::bytea[]) AND EXISTS (SELECT 1 FROM moved)
  RETURNING 1
), put_runs AS (
  INSERT INTO runs (shard, ` + runColumns + `)
  SELECT $1, * FROM unnest($19::bytea[], $20::int[], $21::smallint[], $22::text[], $23::text[], $24::text[], $25::bigint[],
    $26::bigint[], $27::bigint[], $28::bool[], $29::text[], $30::text[], $31::bytea[])
  WHERE EXISTS (SELECT 1 FROM moved)
  ON CONFLICT (shard, id) DO UPDATE SET
    state = excluded.state, pipeline = excluded.pipeline, lane_key = excluded.lane_key, origin = excluded.origin,
    due_us = excluded.due_us, queued_us = excluded.queued_us, queued_seq = excluded.queued_seq, holds = excluded.holds,
    trigger = excluded.trigger, executions = excluded.executions, body = excluded.body
  RETURNING 1
), cut_runs AS (
  DELETE FROM runs WHERE shard = $1 AND id = ANY ($32::bytea[]) AND EXISTS (SELECT 1 FROM moved)
  RETURNING 1
), put_definitions AS (
  INSERT INTO definitions (` + definitionColumns + `)
  SELECT * FROM unnest($33::int[], $34::text[], $35::text[], $36::bigint[], $37::text[], $38::text[])
  WHERE EXISTS (SELECT 1 FROM moved)
  RETURNING 1
), raised AS (
  UPDATE projects SET revision = r.revision
  FROM unnest($39::int[], $40::bigint[]) AS r (project, revision)
  WHERE projects.id = r.project AND projects.revision < r.revision AND EXISTS (SELECT 1 FROM moved)
  RETURNING 1
), put_counters AS (
  INSERT INTO counters (` + counterColumns + `)
  SELECT * FROM unnest($41::int[], $42::text[], $43::text[], $44::bigint[])
  WHERE EXISTS (SELECT 1 FROM moved)
  ON CONFLICT (project, trigger, what) DO UPDATE SET n = counters.n + excluded.n
  RETURNING 1
), put_leases AS (
  INSERT INTO leases (shard, run, node, try, began_us, begun, until_us)
  SELECT $1, run, node, try, began_us, begun, CASE WHEN begun THEN 0 ELSE ` + clock + ` + $51::bigint END
  FROM unnest($45::bytea[], $46::text[], $47::int[], $48::bigint[], $49::bool[]) AS l (run, node, try, began_us, begun)
  WHERE EXISTS (SELECT 1 FROM moved)
  ON CONFLICT (shard, run) DO UPDATE SET
    node = excluded.node, try = excluded.try, began_us = excluded.began_us, begun = excluded.begun, until_us = excluded.until_us
  WHERE (leases.node, leases.try, leases.began_us) IS DISTINCT FROM (excluded.node, excluded.try, excluded.began_us)
  RETURNING 1
), cut_leases AS (
  DELETE FROM leases WHERE shard = $1 AND EXISTS (SELECT 1 FROM moved)
    AND NOT EXISTS (SELECT 1 FROM unnest($50::bytea[]) AS l (run) WHERE l.run = leases.run)
  RETURNING 1
), put_breakers AS (
  INSERT INTO breakers (shard, ` + breakerColumns + `)
  SELECT $1, * FROM unnest($52::int[], $53::text[], $54::int[], $55::bigint[])
  WHERE EXISTS (SELECT 1 FROM moved)
  ON CONFLICT (shard, project, hashtextextended(origin, 0)) DO UPDATE SET failures = excluded.failures, until_us = excluded.until_us
  WHERE (breakers.failures, breakers.until_us) IS DISTINCT FROM (excluded.failures, excluded.until_us)
  RETURNING 1
), cut_breakers AS (
  DELETE FROM breakers WHERE shard = $1 AND EXISTS (SELECT 1 FROM moved) AND NOT EXISTS (
    SELECT 1 FROM unnest($52::int[], $53::text[]) AS b (project, origin)
    WHERE b.project = breakers.project AND b.origin = breakers.origin)
  RETURNING 1
)
SELECT (SELECT count(*) FROM moved),
  (SELECT count(*) FROM put_groups) + (SELECT count(*) FROM cut_groups) +
  (SELECT count(*) FROM put_chunks) + (SELECT count(*) FROM cut_chunks) +
  (SELECT count(*) FROM put_runs) + (SELECT count(*) FROM cut_runs) +
  (SELECT count(*) FROM put_definitions) + (SELECT count(*) FROM raised) + (SELECT count(*) FROM put_counters) +
  (SELECT count(*) FROM put_leases) + (SELECT count(*) FROM cut_leases) +
  (SELECT count(*) FROM put_breakers) + (SELECT count(*) FROM cut_breakers)`

// clock is the database's time in microseconds, by which leases live.
const clock = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// Flush writes l: all of it or nothing. It returns state.ErrCursorMoved where the
// stored cursor is not l.From, or the hold has another token. One that was written
// though its answer was lost is found done: nobody else moves the cursor under
// this token, and this tenure's next flush comes after it.
func (t *Tenure) Flush(ctx context.Context, l *fold.Layer) error {
	t.flushing.Lock()
	defer t.flushing.Unlock()
	var moved, rows int64
	_, err := t.write(ctx, "flush", flush, t.flushArgs(l), func(r row) error {
		moved, rows = r.int(0), r.int(1)
		return nil
	})
	if err == nil && moved == 0 {
		err = t.moved(ctx, l)
	}
	if err == nil {
		t.flushed++
		t.wrote.Add(moved + rows)
	}
	return err
}

func (t *Tenure) flushArgs(l *fold.Layer) []any {
	return append([]any{
		int16(t.shard), int64(l.From), int64(l.To), t.token, t.flushed + 1, holdName(t.shard), int64(l.At),
	}, t.layerArgs(l)...)
}

const selectFlushed = `SELECT 1 FROM cursors WHERE shard = $1 AND cursor = $2 AND token = $3 AND flushes = $4`

// moved says why the cursor did not move: nil where it stands where l, written
// before, left it.
func (t *Tenure) moved(ctx context.Context, l *fold.Layer) error {
	args := []any{int16(t.shard), int64(l.To), t.token, t.flushed + 1}
	done, err := t.first(ctx, "flush", selectFlushed, args, func(row) error { return nil })
	if err == nil && !done {
		err = state.ErrCursorMoved
	}
	return err
}
