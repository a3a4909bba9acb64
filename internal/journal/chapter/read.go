package chapter

import (
	"context"
	"slices"

	"weir"
)

// readSize is about how many bytes one read of a file takes in.
const readSize = 256 << 10

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
	j.mu.Lock()
	f.mark(g.at)
	for _, off := range g.offsets {
		f.add(off)
	}
	f.end = end
	j.tail.add(g.records, g.bytes)
	j.head, j.at = last.Seq, last.At
	close(j.moved)
	j.moved = make(chan struct{})
	j.mu.Unlock()
	j.index.queue <- durable{f, g.records, last.Seq}
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
// Records that damage to a full chapter took are left out.
func (j *Journal) Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, s := j.readOrPlan(after+1, limit)
		if len(records) > 0 || s.file == nil {
			return records, nil
		}
		all, err := s.read()
		if err != nil {
			return nil, err
		}
		records = slices.DeleteFunc(slices.Clone(all), func(r *weir.Record) bool { return r == nil })
		if len(records) > 0 {
			return records, nil
		}
		after += weir.Seq(len(all))
	}
}

// readOrPlan returns records from seq on out of the tail or, for older ones, a
// span to read.
func (j *Journal) readOrPlan(seq weir.Seq, limit int) ([]*weir.Record, span) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if seq > j.head || limit <= 0 {
		return nil, span{}
	}
	segments := j.tail.from(seq)
	if segments == nil {
		return nil, j.spanLocked(seq, limit)
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
	return records, span{}
}

// spanLocked plans to read from seq on, which is at or before the head. Before
// the first chapter that is kept there is nothing.
func (j *Journal) spanLocked(seq weir.Seq, limit int) span {
	f := j.chapterOf(max(seq, j.chapters[0].first))
	return f.spanOf(f.place(max(seq, f.first)), limit, readSize)
}

// chapterOf returns the chapter that holds seq.
func (j *Journal) chapterOf(seq weir.Seq) *file {
	i, found := slices.BinarySearchFunc(j.chapters, seq, func(f *file, q weir.Seq) int {
		switch {
		case f.next() <= q:
			return -1
		case f.first > q:
			return 1
		}
		return 0
	})
	if !found {
		return j.chapters[len(j.chapters)-1]
	}
	return j.chapters[i]
}

// Records returns the records at the given places, in the order given, nil for
// one that is not there.
func (j *Journal) Records(ctx context.Context, seqs []weir.Seq) ([]*weir.Record, error) {
	out := make([]*weir.Record, len(seqs))
	for i, seq := range seqs {
		r, s := j.recordOrPlan(seq)
		if s.file != nil {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			read, err := s.read()
			if err != nil {
				return nil, err
			}
			r = read[0]
		}
		out[i] = r
	}
	return out, nil
}

func (j *Journal) recordOrPlan(seq weir.Seq) (*weir.Record, span) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if seq > j.head || seq < j.chapters[0].first {
		return nil, span{}
	}
	if segments := j.tail.from(seq); segments != nil {
		r := segments[0].records
		return r[seq-r[0].Seq], span{}
	}
	return nil, j.spanLocked(seq, 1)
}

// Place returns where the durable record with an identity stands.
func (j *Journal) Place(_ context.Context, id weir.Identity) (weir.Item, bool) {
	if id == (weir.Identity{}) {
		return weir.Item{}, false
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	for _, f := range slices.Backward(j.chapters) {
		if item, ok := f.lookUp(id); ok {
			return item, true
		}
	}
	return weir.Item{}, false
}

// lookUp finds a durable record of the chapter by its identity.
func (f *file) lookUp(id weir.Identity) (weir.Item, bool) {
	f.identities.mu.RLock()
	place, ok := f.identities.findLocked(id)
	f.identities.mu.RUnlock()
	if !ok || place >= f.count {
		return weir.Item{}, false
	}
	return weir.Item{Seq: f.seq(place), At: f.atOf(place)}, true
}
