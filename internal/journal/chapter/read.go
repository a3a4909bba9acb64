package chapter

import (
	"context"
	"slices"

	"weir"
	"weir/internal/journal/file"
	"weir/internal/journal/sealed"
	"weir/internal/journal/table"
)

// publish lets readers see what became durable.
func (j *Journal) publish(f *file.Chapter, g *group, end int64) {
	last := g.records[len(g.records)-1]
	t := f.Table()
	t.Add(g.at, g.offsets...)
	f.Grow(end, last.Seq)
	j.mu.Lock()
	j.tail.Add(g.records, g.bytes)
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
		if f.Through() < seq || f.Through() < f.First {
			continue
		}
		records, place, err := f.ReadFrom(f.Place(max(seq, f.First)), limit, head)
		return records, f.Seq(place), err
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
	if records := j.tail.Read(seq, limit); records != nil {
		return records, 0, nil
	}
	j.edition.uses.Add(1)
	return nil, j.head, j.edition
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
		return f.ReadOne(f.Place(seq))
	}
	return nil, nil
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
	if row, ok, _ := active.Table().Identity(id); ok {
		return weir.Item{Seq: active.Seq(row.Place), At: row.At}, true
	}
	var covered weir.Seq // the filters say that they have not got it
	if filters := *j.filters.Load(); len(filters) > 0 {
		covered = filters[0].Span().First
	}
	for _, f := range slices.Backward(e.files) {
		if f.Sealed() && (covered == 0 || f.First < covered) {
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
	for _, f := range slices.Backward(e.full()) {
		if !f.Sealed() {
			if item, ok := j.identityIn(f, id); ok {
				return item, true
			}
		}
	}
	// After the tables: a chapter has its filter before its table is given up.
	for span := range sealed.Perhaps(*j.filters.Load(), id) {
		for _, f := range slices.Backward(e.files) {
			if f.First > span.Last || f.Through() < span.First || !f.Sealed() {
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
func (j *Journal) identityIn(f *file.Chapter, id weir.Identity) (weir.Item, bool) {
	var row sealed.Row
	var ok bool
	err := f.Ask(func(l file.Look) (err error) {
		row, ok, err = l.Identity(id)
		return err
	})
	if err != nil {
		j.log.Error("identities of a chapter cannot be read, a repeated record may be taken again", "chapter", f.Name, "err", err)
		return weir.Item{}, false
	}
	return weir.Item{Seq: f.Seq(row.Place), At: row.At}, ok
}
