package chapter

import (
	"bytes"
	"slices"
	"time"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/file"
	"weir/internal/journal/frame"
	"weir/internal/journal/sealed"
)

const (
	// What one commit takes from the queue, about.
	groupBytes   = 4 * mib
	groupRecords = 4096
	// Space is allocated ahead in steps that grow with the chapter.
	minAllocate = mib
	maxAllocate = 16 * mib
	// Full chapters that may wait to be sealed before no further one is begun:
	// each has its table in memory.
	maxWaiting = 3
)

// committer writes the active chapter. It alone gives out seqs and decides
// which identities are new; all of it belongs to its goroutine.
type committer struct {
	j         *Journal
	clock     clock
	active    *file.Chapter
	next      weir.Seq
	synced    int64 // durable end of the active chapter
	allocated int64
	before    uint32   // CRC of the last frame
	full      bool     // the last allocation failed
	wanted    bool     // a new chapter, though the active one is not full
	failure   error    // why nothing is taken any more
	edition   *edition // while identities are looked for
	group     group
}

// group is what one commit writes.
type group struct {
	calls   []*call
	at      weir.Time
	b       []byte
	offsets []int64        // in the chapter, of each record taken
	records []*weir.Record // likewise
	bytes   int64          // of the records alone
}

// run commits whatever is queued until the queue is closed and empty.
func (c *committer) run() {
	defer close(c.j.commits)
	for {
		g := &c.group
		g.calls = c.j.queue.take(g.calls[:0])
		if len(g.calls) == 0 {
			c.stop()
			return
		}
		err := c.commit()
		for i, call := range g.calls {
			call.err = err
			call.done <- struct{}{}
			g.calls[i] = nil
		}
	}
}

// commit makes the group durable, or returns why nothing of it was taken in.
func (c *committer) commit() error {
	if c.failure != nil {
		return c.failure
	}
	g := &c.group
	if slices.ContainsFunc(g.calls, func(k *call) bool { return k.begin }) {
		c.wanted = true
	}
	if err := c.makeRoom(); err != nil {
		return err
	}
	g.at = c.clock.next(c.j.opts.Now(), time.Now())
	g.b, g.offsets, g.records, g.bytes = g.b[:0], g.offsets[:0], nil, 0
	c.decide()
	if len(g.records) == 0 {
		return nil // all repeated, and what they repeat is durable
	}
	if err := c.write(g.b); err != nil {
		return err
	}
	c.next += weir.Seq(len(g.records))
	c.j.publish(c.active, g, c.synced)
	if cap(g.b) > 2*groupBytes {
		g.b = nil
	}
	return nil
}

// decide builds the group's frames out of what its calls hold, leaving out what
// is there already.
func (c *committer) decide() {
	g := &c.group
	n := 0
	for _, call := range g.calls {
		n += len(call.entries)
	}
	g.records = make([]*weir.Record, 0, n)
	c.edition = c.j.use()
	defer c.j.done(c.edition)
	ids := &c.active.Table().Identities
	ids.Lock()
	defer ids.Unlock()
	for _, call := range g.calls {
		start, first := len(g.b), len(g.records)
		g.b = append(g.b, make([]byte, frame.Size)...)
		c.decideCall(call)
		if len(g.records) == first {
			g.b = g.b[:start]
			continue
		}
		c.seal(g.b[start:], c.next+weir.Seq(first), len(g.records)-first)
	}
}

// seal completes a frame.
func (c *committer) seal(b []byte, first weir.Seq, count int) {
	f := frame.Frame{
		Chapter: c.active.ID, First: first, At: c.clock.last, Synced: c.synced, Count: uint32(count), Before: c.before,
	}
	c.before = f.Seal(b)
}

func (c *committer) decideCall(call *call) {
	k, start := 0, 0 // of the batch's first record in the call
	for i, batch := range call.batches {
		receipt := &call.receipts[i]
		entries := call.entries[k : k+len(batch.Records)]
		if batch.Bound && len(entries) > 0 {
			if item, ok := c.taken(entries[0].id); ok {
				receipt.Refused, receipt.Items[0] = true, item
				k, start = k+len(entries), entries[len(entries)-1].end
				continue
			}
		}
		repeated := 0
		for n, e := range entries {
			item, ok := c.taken(e.id)
			if ok {
				repeated++
			} else {
				item = c.take(batch.Records[n], e.id, call.b[start:e.end])
			}
			receipt.Items[n], start = item, e.end
		}
		if repeated > 0 && repeated < len(entries) {
			copyData(batch.Records, receipt.Items)
		}
		k += len(entries)
	}
}

// copyData gives the events that were taken out of a batch data of their own:
// the tail would keep all of what the batch was read from for a part of it.
func copyData(records []*weir.Record, items []weir.Item) {
	for i, r := range records {
		if r.Event != nil && !items[i].Repeated {
			r.Event.Data = bytes.Clone(r.Event.Data)
		}
	}
}

// taken finds the record that has an identity, in the group too.
func (c *committer) taken(id weir.Identity) (weir.Item, bool) {
	if id == (weir.Identity{}) {
		return weir.Item{}, false
	}
	table := c.active.Table()
	if place, ok := table.Identities.FindLocked(id); ok {
		item := weir.Item{Seq: c.active.Seq(place), At: c.group.at, Repeated: true}
		if item.Seq < c.next {
			var rows [1]sealed.Row
			_, _ = table.Rows(rows[:], place)
			item.At = rows[0].At
		}
		return item, true
	}
	item, ok := c.j.known(c.edition, id)
	item.Repeated = ok
	return item, ok
}

// take gives a record its place in the group.
func (c *committer) take(r *weir.Record, id weir.Identity, b []byte) weir.Item {
	g := &c.group
	r.Seq, r.At = c.next+weir.Seq(len(g.records)), g.at
	if id != (weir.Identity{}) {
		c.active.Table().Identities.AddLocked(id, c.active.Place(r.Seq))
	}
	g.offsets = append(g.offsets, c.synced+int64(len(g.b)))
	g.records = append(g.records, r)
	g.b = append(g.b, b...)
	g.bytes += int64(len(b))
	return weir.Item{Seq: r.Seq, At: r.At}
}

// write makes bytes durable at the end of the active chapter. When it cannot,
// nobody knows what the disk holds, so no more appends are taken.
func (c *committer) write(b []byte) error {
	_, err := c.active.Disk.WriteAt(b, c.synced)
	if err == nil {
		err = c.active.Disk.Sync()
	}
	if err != nil {
		return c.fail("write "+c.active.Name, err)
	}
	c.synced += int64(len(b))
	return nil
}

func (c *committer) fail(what string, err error) error {
	c.failure = weir.E("append", weir.Unavailable,
		"the journal takes no more records until weir is started anew, because it could not %s: %w", what, err)
	c.j.queue.close(c.failure)
	c.j.log.Error("journal stopped taking records", "chapter", c.active.Name, "err", err)
	return c.failure
}

// makeRoom allocates what the group needs at most, in a new chapter if the
// active one is full. Only then are identities taken in, so that a full disk
// leaves nothing to forget.
func (c *committer) makeRoom() error {
	var need int64
	for _, call := range c.group.calls {
		need += frame.Size + int64(len(call.b))
	}
	var err error
	count := int(c.next - c.active.First)
	switch {
	case count >= c.j.opts.MaxRecords, c.synced >= c.j.opts.MaxBytes, c.wanted && count > 0:
		if err = c.j.sealer.admit(c.j); err == nil {
			err = c.roll(need)
		}
	default:
		err = c.allocate(need)
	}
	switch {
	case err == nil:
		c.full, c.wanted = false, false
	case weir.CodeOf(err) == weir.Limited:
	case !disk.IsFull(err):
		return c.fail("allocate space", err)
	default:
		if !c.full {
			c.j.log.Error("disk full, journal takes no records", "chapter", c.active.Name, "err", err)
		}
		c.full = true
		err = weir.E("append", weir.DiskFull, "no room on the disk for %d more bytes of the journal", need)
	}
	return err
}

func (c *committer) allocate(need int64) error {
	end := c.synced + need
	if end <= c.allocated {
		return nil
	}
	ahead := c.synced + max(need, min(max(c.synced, minAllocate), maxAllocate))
	err := c.active.Disk.Allocate(ahead)
	if disk.IsFull(err) && ahead > end {
		ahead = end
		err = c.active.Disk.Allocate(ahead)
	}
	if err == nil {
		c.allocated = ahead
	}
	return err
}

// roll begins a new chapter.
func (c *committer) roll(need int64) error {
	old := c.active
	h := frame.Header{DataID: c.j.dataID, ID: randomID(), Number: old.Number + 1, First: c.next, At: c.clock.last}
	f, allocated, err := c.j.create(h, need)
	if err != nil {
		return err
	}
	// What was allocated and not used. Nobody relies on a file's size.
	if err := old.Disk.Truncate(old.End()); err != nil {
		c.j.log.Warn("space of a full chapter not given back", "chapter", old.Name, "err", err)
	}
	c.j.renew(func(files []*file.Chapter) []*file.Chapter { return append(slices.Clip(files), f) })
	c.active, c.synced, c.allocated, c.before = f, frame.Start, allocated, f.CRC
	c.j.log.Info("chapter begun", "chapter", f.Name, "first", f.First)
	c.j.sealer.wake()
	return nil
}

// stop writes the empty frame of a clean stop, which says that all before it
// is durable.
func (c *committer) stop() {
	if c.failure != nil {
		return
	}
	b := make([]byte, frame.Size)
	if c.allocate(frame.Size) != nil {
		return // a full disk: the next start looks at the end as after a crash
	}
	c.seal(b, c.next, 0)
	if c.write(b) == nil {
		c.active.Grow(c.synced, c.next-1)
	}
}

// clock gives out the times of acceptance, which never decrease. While the wall
// clock is behind the last one, time goes on at half the monotonic speed.
type clock struct {
	last   weir.Time
	behind bool
	from   weir.Time // last when the wall clock was first found behind
	since  time.Time // and the monotonic time then
}

// next takes the wall clock and a time of which only the monotonic part counts.
func (c *clock) next(wall, mono time.Time) weir.Time {
	if t := weir.TimeOf(wall); t >= c.last {
		c.last, c.behind = t, false
		return t
	}
	if !c.behind {
		c.behind, c.from, c.since = true, c.last, mono
	}
	c.last = max(c.last, c.from.Add(mono.Sub(c.since)/2))
	return c.last
}
