package chapter

import (
	"context"
	"sync"

	"weir"
	"weir/internal/journal/frame"
)

// Append writes the batches as one frame and answers each once all is durable,
// the originals of repeated records included. The records that were taken have
// their Seq and At then; all records belong to the journal from the call on,
// however it ends.
//
// Errors, with all of which nothing was taken in: TooLarge for more than 32 MiB;
// Invalid for a change of a try that began before the window of identities;
// Limited when too much waits; DiskFull until there is room again; Unavailable
// after Close or after a write or sync failed, when only opening the journal
// anew helps (then the records may turn out to be there). The context counts
// until the append is queued.
func (j *Journal) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := j.calls.Get().(*call)
	defer j.free(c)
	if err := c.encode(batches, weir.TimeOf(j.opts.Now().Add(-j.opts.Window))); err != nil {
		return nil, err
	}
	if err := j.queue.put(c); err != nil {
		return nil, err
	}
	<-c.done
	if c.err != nil {
		return nil, c.err
	}
	return c.receipts, nil
}

// call is an Append that waits.
type call struct {
	batches  []weir.Batch
	receipts []weir.Receipt
	entries  []record // of all batches, in order
	b        []byte   // the records, each behind its length
	begin    bool     // a chapter, instead of an append
	err      error
	done     chan struct{} // gets one value
}

// record is what the committer needs to know of one: its identity, and where it
// ends in the bytes of its call.
type record struct {
	id  weir.Identity
	end int
}

// encode turns the batches into bytes. It refuses changes of tries that began
// before since: whether such a one is repeated, the journal may not know.
func (c *call) encode(batches []weir.Batch, since weir.Time) error {
	c.batches = batches
	n := 0
	for i := range batches {
		n += len(batches[i].Records)
	}
	items := make([]weir.Item, n)
	c.receipts = make([]weir.Receipt, len(batches))
	for i := range batches {
		k := len(batches[i].Records)
		c.receipts[i].Items, items = items[:k:k], items[k:]
		for _, r := range batches[i].Records {
			if err := inWindow(r, since); err != nil {
				return err
			}
			c.b = frame.Append(c.b, r)
			c.entries = append(c.entries, record{r.Identity(), len(c.b)})
			if len(c.b) > frame.Max {
				return weir.E("append", weir.TooLarge, "the records take more than %d MiB together", frame.Max/mib)
			}
		}
	}
	return nil
}

func inWindow(r *weir.Record, since weir.Time) error {
	if r.Change == nil || r.Change.Attempt == nil || r.Change.Attempt.Began == 0 || r.Change.Attempt.Began >= since {
		return nil
	}
	return weir.E("append", weir.Invalid, "the try began at %s, before %s, from when on the journal knows what it has: "+
		"its outcome cannot be told from a repeated one", r.Change.Attempt.Began, since).WithField("attempt.began")
}

// free gives a call back for use by the next, unless it grew large.
func (j *Journal) free(c *call) {
	if cap(c.b) > mib {
		c.b = nil
	}
	*c = call{entries: c.entries[:0], b: c.b[:0], done: c.done}
	j.calls.Put(c)
}

// queue holds the calls that wait for the committer, in order and bounded.
type queue struct {
	maxCalls int
	maxBytes int64
	ready    chan struct{} // has a value when there is something to take, or the end

	mu      sync.Mutex // guards all below
	waiting []*call
	bytes   int64
	closed  error
}

func newQueue(calls int, bytes int64) *queue {
	return &queue{maxCalls: calls, maxBytes: bytes, ready: make(chan struct{}, 1)}
}

func (q *queue) put(c *call) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	size := int64(len(c.b))
	// Alone, a call of any size may wait.
	if len(q.waiting) > 0 && (len(q.waiting) >= q.maxCalls || q.bytes+size > q.maxBytes) {
		return weir.E("append", weir.Limited, "%d appends of %d bytes wait already: try again shortly", len(q.waiting), q.bytes)
	}
	q.waiting = append(q.waiting, c)
	q.bytes += size
	q.wakeLocked()
	return nil
}

func (q *queue) wakeLocked() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take moves to dst what one commit takes, at least one call, waiting for it.
// It returns nothing when the queue is closed and empty.
func (q *queue) take(dst []*call) []*call {
	for {
		q.mu.Lock()
		n, bytes, records := 0, 0, 0
		for n < len(q.waiting) && (n == 0 || bytes+len(q.waiting[n].b) <= groupBytes && records < groupRecords) {
			bytes += len(q.waiting[n].b)
			records += len(q.waiting[n].entries)
			n++
		}
		dst = append(dst, q.waiting[:n]...)
		left := copy(q.waiting, q.waiting[n:])
		clear(q.waiting[left:])
		q.waiting, q.bytes = q.waiting[:left], q.bytes-int64(bytes)
		end := q.closed != nil
		q.mu.Unlock()
		if n > 0 || end {
			return dst
		}
		<-q.ready
	}
}

// close makes all further calls fail with err, unless they do already.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = err
		q.wakeLocked()
	}
}

func (q *queue) look() (waiting int, closed error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.closed
}
