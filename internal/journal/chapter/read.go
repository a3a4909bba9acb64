package chapter

import (
	"context"
	"slices"

	"weir"
	"weir/internal/journal/sealed"
	"weir/internal/journal/table"
)

const (
	// readSize is about how many bytes one read of a file takes in, and readRows
	// how many records at most.
	readSize = 256 << 10
	readRows = 1024
	// pointSize is what is read for one record at first.
	pointSize = 4096
)

// tail holds the newest records as they came, in segments of one commit each.
type tail struct {
	maxCount int
	maxBytes int64
	segments []segmentOfTail
	count    int
	bytes    int64
}

type segmentOfTail struct {
	records []*weir.Record // consecutive, at least one
	bytes   int64
}

func (t *tail) add(records []*weir.Record, bytes int64) {
	t.segments = append(t.segments, segmentOfTail{records, bytes})
	t.count, t.bytes = t.count+len(records), t.bytes+bytes
	for len(t.segments) > 1 && (t.count > t.maxCount || t.bytes > t.maxBytes) {
		old := t.segments[0]
		t.count, t.bytes = t.count-len(old.records), t.bytes-old.bytes
		t.segments[0] = segmentOfTail{}
		t.segments = t.segments[1:]
	}
}

// drop forgets what stands up to seq, and perhaps more of the same commit.
func (t *tail) drop(seq weir.Seq) {
	for len(t.segments) > 0 && t.segments[0].records[0].Seq <= seq {
		t.count, t.bytes = t.count-len(t.segments[0].records), t.bytes-t.segments[0].bytes
		t.segments[0] = segmentOfTail{}
		t.segments = t.segments[1:]
	}
}

// from returns the segments from the one that holds seq on, or none where seq
// is older or not there yet.
func (t *tail) from(seq weir.Seq) []segmentOfTail {
	i, found := slices.BinarySearchFunc(t.segments, seq, func(s segmentOfTail, q weir.Seq) int {
		switch last := s.records[len(s.records)-1].Seq; {
		case last < q:
			return -1
		case s.records[0].Seq > q:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return t.segments[i:]
}

// publish lets readers see what became durable.
func (j *Journal) publish(f *file, g *group, end int64) {
	last := g.records[len(g.records)-1]
	t := f.table.Load()
	t.Add(g.at, g.offsets...)
	f.end.Store(end)
	f.last.Store(uint64(last.Seq))
	j.mu.Lock()
	j.tail.add(g.records, g.bytes)
	j.head, j.at = last.Seq, last.At
	close(j.moved)
	j.moved = make(chan struct{})
	j.mu.Unlock()
	j.filler.Hand(table.Durable{Table: t, First: f.First, Records: g.records, Last: last.Seq})
}

// Head returns the seq of the last durable record, 0 where there is none.
func (j *Journal) Head() weir.Seq {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.head
}

// At returns when the record at the head was accepted.
func (j *Journal) At() weir.Time {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.at
}

// Wait returns nil once there are records past after. It is a hint: whoever
// reads then may find more, and need not wait before reading.
func (j *Journal) Wait(ctx context.Context, after weir.Seq) error {
	for {
		j.mu.RLock()
		head, moved := j.head, j.moved
		j.mu.RUnlock()
		if head > after {
			return nil
		}
		select {
		case <-moved:
		case <-j.closed:
			return errClosed("wait")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Read returns durable records past after, in order, limit at most. It may
// return fewer than there are; none means that there is nothing past after.
// Records that were trimmed or erased, are hidden, or were lost to damage of a
// full chapter are left out.
func (j *Journal) Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error) {
	for limit > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, next, err := j.read(after+1, limit)
		if err != nil || next == 0 {
			return nil, err
		}
		if records = j.shown(records); len(records) > 0 {
			return records, nil
		}
		after = next - 1
	}
	return nil, nil
}

// read returns records from seq on, and where to go on, 0 at the head.
func (j *Journal) read(seq weir.Seq, limit int) (records []*weir.Record, next weir.Seq, err error) {
	records, head, e := j.recent(seq, limit)
	if e == nil {
		if len(records) == 0 {
			return nil, 0, nil
		}
		return records, records[len(records)-1].Seq + 1, nil
	}
	defer j.done(e)
	for _, f := range e.files {
		if f.through() < seq || f.through() < f.First {
			continue
		}
		records, place, err := j.readFile(f, f.place(max(seq, f.First)), limit, head)
		return records, f.seq(place), err
	}
	return nil, 0, nil
}

// recent returns records from seq on out of the tail or, for older ones, the
// head and the chapters to look in.
func (j *Journal) recent(seq weir.Seq, limit int) ([]*weir.Record, weir.Seq, *edition) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if seq > j.head {
		return nil, 0, nil
	}
	segments := j.tail.from(seq)
	if segments == nil {
		j.edition.uses.Add(1)
		return nil, j.head, j.edition
	}
	records := make([]*weir.Record, 0, min(limit, int(j.head-seq)+1))
	for _, s := range segments {
		if r := s.records; r[0].Seq < seq {
			s.records = r[seq-r[0].Seq:]
		}
		n := min(len(s.records), limit-len(records))
		records = append(records, s.records[:n]...)
		if len(records) == limit {
			break
		}
	}
	return records, 0, nil
}

// shown leaves out what is hidden. The list belongs to it.
func (j *Journal) shown(records []*weir.Record) []*weir.Record {
	hidden := *j.hidden.Load()
	if len(hidden) == 0 {
		return records
	}
	return slices.DeleteFunc(records, hidden.Hides)
}

// Records returns the records at the given places, in the order given, nil for
// one that is not there or hidden.
func (j *Journal) Records(ctx context.Context, seqs []weir.Seq) ([]*weir.Record, error) {
	out := make([]*weir.Record, len(seqs))
	hidden := *j.hidden.Load()
	for i, seq := range seqs {
		r, err := j.recordAt(ctx, seq)
		if err != nil {
			return nil, err
		}
		if r != nil && !hidden.Hides(r) {
			out[i] = r
		}
	}
	return out, nil
}

func (j *Journal) recordAt(ctx context.Context, seq weir.Seq) (*weir.Record, error) {
	records, _, e := j.recent(seq, 1)
	if len(records) > 0 {
		return records[0], nil
	}
	if e == nil {
		return nil, nil
	}
	defer j.done(e)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f := e.of(seq); f != nil {
		return j.readOne(f, f.place(seq))
	}
	return nil, nil
}

// of returns the chapter whose range has seq, or nil.
func (e *edition) of(seq weir.Seq) *file {
	i, found := slices.BinarySearchFunc(e.files, seq, func(f *file, q weir.Seq) int {
		switch {
		case f.through() < q:
			return -1
		case f.First > q:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return e.files[i]
}

// Place returns where the durable record with an identity stands, whatever its
// age.
func (j *Journal) Place(_ context.Context, id weir.Identity) (weir.Item, bool) {
	if id == (weir.Identity{}) {
		return weir.Item{}, false
	}
	e := j.use()
	defer j.done(e)
	if item, ok := j.known(e, id); ok {
		return item, true
	}
	active := e.active()
	if row, ok, _ := active.table.Load().Identity(id); ok {
		return weir.Item{Seq: active.seq(row.Place), At: row.At}, true
	}
	var covered weir.Seq // the filters say that they have not got it
	if filters := *j.filters.Load(); len(filters) > 0 {
		covered = filters[0].Span().First
	}
	for _, f := range slices.Backward(e.files) {
		if f.isSealed() && (covered == 0 || f.First < covered) {
			if item, ok := j.identityIn(f, id); ok {
				return item, true
			}
		}
	}
	return weir.Item{}, false
}

// known finds a durable record by its identity in all chapters but the active
// one that have a table or that a filter covers.
func (j *Journal) known(e *edition, id weir.Identity) (weir.Item, bool) {
	for _, f := range slices.Backward(e.files[:len(e.files)-1]) {
		if !f.isSealed() {
			if item, ok := j.identityIn(f, id); ok {
				return item, true
			}
		}
	}
	// After the tables: a chapter has its filter before its table is given up.
	for span := range sealed.Perhaps(*j.filters.Load(), id) {
		for _, f := range slices.Backward(e.files) {
			if f.First > span.Last || f.through() < span.First || !f.isSealed() {
				continue
			}
			if item, ok := j.identityIn(f, id); ok {
				return item, true
			}
		}
	}
	return weir.Item{}, false
}

// identityIn finds a record of a chapter by its identity. What cannot be read is
// said, and counts as not there: nothing else is to stop by it.
func (j *Journal) identityIn(f *file, id weir.Identity) (weir.Item, bool) {
	var row sealed.Row
	var ok bool
	err := j.ask(f, func(l look) (err error) {
		row, ok, err = l.Identity(id)
		return err
	})
	if err != nil {
		j.log.Error("identities of a chapter cannot be read, a repeated record may be taken again", "chapter", f.name, "err", err)
		return weir.Item{}, false
	}
	return weir.Item{Seq: f.seq(row.Place), At: row.At}, ok
}
