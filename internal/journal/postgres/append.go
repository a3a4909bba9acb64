package postgres

import (
	"context"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgtype"

	"weir"
	"weir/internal/journal"
)

const (
	mib       = 1 << 20
	maxAppend = 32 * mib
	// What one statement takes from the queue, about.
	groupBytes   = 4 * mib
	groupRecords = 4096
	// What waits at most.
	queueCalls = 8192
	queueBytes = 64 * mib
)

// Append writes the batches in one transaction and answers each once all is
// durable. The records that were taken have their Seq and At then; all records
// belong to the journal from the call on, however it ends.
//
// Errors: Invalid for the outcome of a try that began before the window, which could
// not be told from a repeated one; TooLarge for more than 32 MiB, Limited when too much waits, DiskFull and
// Unavailable for as long as the database says so; with all of these nothing was
// taken in. Where the database was lost while it was asked, it is asked again
// until it answers: what is bound waits for that, for free batches an Unavailable
// error says that they may or may not have been taken in. The same is so where ctx
// ends meanwhile. An append of nothing says whether one of something would be taken.
func (j *Journal) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := inWindow(batches, weir.TimeOf(j.db.Now().Add(-j.window))); err != nil {
		return nil, err
	}
	c := newCall(batches)
	if c.size > maxAppend {
		return nil, weir.E("append", weir.TooLarge, "the records take more than %d MiB together", maxAppend/mib)
	}
	if len(c.parts) == 0 {
		return c.receipts, j.usable(ctx)
	}
	if err := j.queue.put(c); err != nil {
		return nil, err
	}
	select {
	case err := <-c.done:
		if err != nil {
			return nil, err
		}
		return c.receipts, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// usable says why nothing is taken in. Where the last append failed for that, it
// tries with a record that tells only the time: nobody else may append any more,
// because they were told that it fails.
func (j *Journal) usable(ctx context.Context) error {
	if !j.failing.Load() {
		return j.queue.refusal()
	}
	_, err := j.Append(ctx, weir.Batch{Records: []*weir.Record{{}}})
	if err != nil && ctx.Err() != nil {
		err = weir.E("append", weir.Unavailable, "the database does not answer: %w", err)
	}
	return err
}

func inWindow(batches []weir.Batch, since weir.Time) error {
	for _, b := range batches {
		for _, r := range b.Records {
			if c := r.Change; c != nil && c.Attempt != nil && c.Attempt.Began != 0 && c.Attempt.Began < since {
				return weir.E("append", weir.Invalid, "the try began at %s, before the window of identities, which begins at %s: "+
					"its outcome cannot be told from a repeated one", c.Attempt.Began, since).WithField("attempt.began")
			}
		}
	}
	return nil
}

// call is an Append that waits.
type call struct {
	batches  []weir.Batch
	receipts []weir.Receipt
	parts    []part // those that have records
	records  int
	size     int        // of them, bytes
	bound    bool       // has a bound batch
	done     chan error // gets one value
	ended    bool       // it has got it; the committer's
}

// part is a batch as it is written.
type part struct {
	call    *call
	nth     int // of the call's batches
	entries []entry
	last    bool // of the call
}

type entry struct {
	id     pgtype.UUID
	body   []byte
	hashes []uint64
}

func newCall(batches []weir.Batch) *call {
	c := &call{batches: batches, receipts: make([]weir.Receipt, len(batches)), done: make(chan error, 1)}
	for i, b := range batches {
		if len(b.Records) == 0 {
			continue
		}
		p := part{call: c, nth: i, entries: make([]entry, len(b.Records))}
		for n, r := range b.Records {
			id := r.Identity()
			p.entries[n] = entry{
				id:   pgtype.UUID{Bytes: id, Valid: id != weir.Identity{}},
				body: journal.AppendRecord(nil, r), hashes: distinct(journal.AppendHashes(nil, r)),
			}
			c.size += len(p.entries[n].body)
		}
		c.parts = append(c.parts, p)
		c.records += len(b.Records)
		c.bound = c.bound || b.Bound
		c.receipts[i].Items = make([]weir.Item, len(b.Records))
	}
	if n := len(c.parts); n > 0 {
		c.parts[n-1].last = true
	}
	return c
}

func distinct(hashes []uint64) []uint64 {
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

// answer fills in what became of the part's nth record.
func (p *part) answer(nth int, item weir.Item) {
	batch, receipt := p.call.batches[p.nth], &p.call.receipts[p.nth]
	receipt.Items[nth] = item
	switch {
	case item.Repeated && batch.Bound && nth == 0:
		receipt.Refused = true
	case !item.Repeated && item.Seq > 0:
		r := batch.Records[nth]
		r.Seq, r.At = item.Seq, item.At
	}
}

// end answers the call, once.
func (c *call) end(err error) {
	if !c.ended {
		c.ended = true
		c.done <- err
	}
}

// queue holds the calls that wait for the committer, in order and bounded.
type queue struct {
	ready chan struct{} // has a value when there is something to take, or the end

	mu      sync.Mutex // guards:
	waiting []*call
	bytes   int
	refused error // why nothing is taken now
	closed  bool
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

func (q *queue) put(c *call) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refused != nil {
		return q.refused
	}
	// Alone, a call of any size may wait.
	if len(q.waiting) > 0 && (len(q.waiting) >= queueCalls || q.bytes+c.size > queueBytes) {
		return weir.E("append", weir.Limited, "%d appends of %d bytes wait already: try again shortly", len(q.waiting), q.bytes)
	}
	q.waiting = append(q.waiting, c)
	q.bytes += c.size
	q.wakeLocked()
	return nil
}

func (q *queue) wakeLocked() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take returns what one statement takes, at least one call, waiting for it, or
// nothing when the queue is closed and empty.
func (q *queue) take() []*call {
	for {
		q.mu.Lock()
		n, bytes, records := 0, 0, 0
		for n < len(q.waiting) && (n == 0 || bytes+q.waiting[n].size <= groupBytes && records < groupRecords) {
			bytes += q.waiting[n].size
			records += q.waiting[n].records
			n++
		}
		group := slices.Clone(q.waiting[:n])
		q.waiting = slices.Delete(q.waiting, 0, n)
		q.bytes -= bytes
		end := q.closed
		q.mu.Unlock()
		if n > 0 || end {
			return group
		}
		<-q.ready
	}
}

// refuse makes further calls fail with err until they may be put again, and
// returns those that wait.
func (q *queue) refuse(err error) []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.refused = err
	}
	left := q.waiting
	q.waiting, q.bytes = nil, 0
	return left
}

func (q *queue) accept() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.refused = nil
	}
}

// refusal returns why nothing is taken now.
func (q *queue) refusal() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refused
}

// close makes all further calls fail with err.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused, q.closed = err, true
	q.wakeLocked()
}
