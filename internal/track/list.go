package track

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/state"
)

// How far one page of a list looks. A page that ends there may be short; it says
// how far it looked and has a next.
const (
	maxLooked = 20_000          // records or rows
	maxLook   = 2 * time.Second // conditions may be dear
	maxSince  = 200_000         // changes since the list began
)

// budget is what a page has left to look at.
type budget struct {
	looked int
	until  time.Time
}

func newBudget() budget { return budget{until: time.Now().Add(maxLook)} }

func (b *budget) left() int { return max(maxLooked-b.looked, 1) }

func (b *budget) spent() bool { return b.looked >= maxLooked || time.Now().After(b.until) }

// cut ends a page before it is full, at a place.
func cut[T any](page *client.Page[T], next string, b budget, backTo weir.Time) {
	page.Next = next
	page.Looked = &client.Looked{Records: b.looked, BackTo: backTo}
}

// list is a list of what stands in state, newest first, and behind that of what
// is on record, last first.
type list[T any] struct {
	reader *Reader
	state  state.RunFilter // of the runs in state; Limit is the page's
	since  weir.Time       // when the runs were made; 0 is no bound
	until  weir.Time

	// live shows a run in state; nil: nothing in state is listed.
	live func(ctx context.Context, run *weir.Run) (T, bool, error)
	// stays: what leaves state goes on record, and keeps its place in a list that had begun.
	stays bool
	// past shows what a change put on record; nil: nothing on record is listed.
	past func(ctx context.Context, rec *weir.Record) (T, bool, error)
	// changes are those among which past finds all, lookUp those by which the list goes.
	changes journal.Query
	lookUp  journal.Query
	// found shows what a change of lookUp leads to, as of a cursor; nil: past does.
	found func(ctx context.Context, rec *weir.Record, upTo weir.Seq) (T, bool, error)
}

// page returns the page behind a place.
func (l *list[T]) page(ctx context.Context, after string) (client.Page[T], error) {
	page := client.Page[T]{Items: []T{}}
	at, err := parseRunPlace(after)
	if err != nil {
		return page, err
	}
	b := newBudget()
	if !at.ended && l.live != nil {
		if full, err := l.fromState(ctx, &at, &page, &b); full || err != nil {
			return page, err
		}
	}
	if at.upTo == 0 {
		if at.upTo, _, err = l.reader.State.Cursor(ctx); err != nil {
			return page, err
		}
	}
	if page.AsOf == 0 {
		page.AsOf = at.upTo
	}
	at.ended = true
	if l.past != nil && at.upTo > 0 {
		err = l.fromJournal(ctx, at, &page, &b)
	}
	return page, err
}

// placed is an item of a list with its place among those in state.
type placed[T any] struct {
	id   weir.RunID
	item T
}

// fromState adds what stands in state, and reports whether the page ends with
// it. What was in state when the first page was read and has left since keeps
// its place, so that none is missed and none shown twice.
func (l *list[T]) fromState(ctx context.Context, at *runPlace, page *client.Page[T], b *budget) (full bool, err error) {
	f := l.state
	if at.run.IsZero() && l.until > 0 {
		at.run = firstMadeAfter(l.until)
	}
	for {
		f.After, f.Look = at.run, b.left()
		runs, listed, err := l.reader.State.ListRuns(ctx, f)
		if err != nil {
			return false, err
		}
		b.looked += listed.Looked
		page.AsOf = listed.AsOf
		down := weir.RunID(listed.Reached)
		all, err := l.left(ctx, at, down, listed.AsOf)
		if err != nil {
			return false, err
		}
		for _, run := range runs {
			item, ok, err := l.live(ctx, run)
			if err != nil {
				return false, err
			}
			if ok {
				all = append(all, placed[T]{run.ID, item})
			}
		}
		slices.SortFunc(all, func(a, b placed[T]) int { return bytes.Compare(b.id[:], a.id[:]) })
		for _, p := range all {
			at.run = p.id
			page.Items = append(page.Items, p.item)
			if len(page.Items) == f.Limit {
				page.Next = at.String()
				return true, nil
			}
		}
		switch {
		case !listed.More() || weir.MadeAt(down)+1000 <= l.since: // a millisecond is all that an id tells
			return false, nil
		case b.spent():
			at.run = down
			cut(page, at.String(), *b, weir.MadeAt(down))
			return true, nil
		}
		at.run = down
	}
}

// left returns what left state after the list began, up to a cursor, and stands
// behind what the list has shown, down to a run. Where more happened than may be
// looked at, the list begins anew from there, and may show things twice.
func (l *list[T]) left(ctx context.Context, at *runPlace, down weir.RunID, cursor weir.Seq) (all []placed[T], err error) {
	if at.upTo == 0 {
		at.upTo = cursor
	}
	if at.upTo == cursor || !l.stays {
		return nil, nil
	}
	q := l.changes
	q.UpTo, q.Limit, q.Look = cursor, 1000, maxLooked
	for looked := 0; looked < maxSince; {
		found, err := l.reader.Journal.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range found.Records {
			if rec.Seq <= at.upTo {
				return all, nil
			}
			id := rec.Change.Run
			if bytes.Compare(id[:], down[:]) < 0 || !at.run.IsZero() && bytes.Compare(id[:], at.run[:]) >= 0 {
				continue
			}
			item, ok, err := l.past(ctx, rec)
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, placed[T]{id, item})
			}
		}
		if looked += found.Looked; found.Next <= at.upTo {
			return all, nil
		}
		q.Before = found.Next
	}
	at.upTo = cursor
	return nil, nil
}

// fromJournal adds what is on record.
func (l *list[T]) fromJournal(ctx context.Context, at runPlace, page *client.Page[T], b *budget) error {
	q := l.lookUp
	q.Before, q.UpTo, q.From = at.seq, at.upTo, l.since // what was made since was on record since
	for {
		q.Limit, q.Look = min((l.state.Limit-len(page.Items))*4, 1000), b.left()
		found, err := l.reader.Journal.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, rec := range found.Records {
			at.seq = rec.Seq
			item, ok, err := l.show(ctx, rec, at.upTo)
			if err != nil {
				return err
			}
			if ok {
				page.Items = append(page.Items, item)
			}
			if len(page.Items) == l.state.Limit {
				page.Next = at.String()
				return nil
			}
		}
		b.looked += found.Looked
		if found.Next == 0 {
			return nil
		}
		if at.seq = found.Next; b.spent() {
			cut(page, at.String(), *b, found.BackTo)
			return nil
		}
		q.Before = found.Next
	}
}

func (l *list[T]) show(ctx context.Context, rec *weir.Record, upTo weir.Seq) (T, bool, error) {
	if l.found != nil {
		return l.found(ctx, rec, upTo)
	}
	return l.past(ctx, rec)
}

// firstMadeAfter returns an id above those of the runs made at or before a time.
func firstMadeAfter(at weir.Time) (id weir.RunID) {
	binary.BigEndian.PutUint64(id[:], (uint64(at/1000)+1)<<16)
	return id
}

// runPlace is where a page ended: among what is in state, or among what was on
// record when the list began.
type runPlace struct {
	ended bool
	run   weir.RunID
	seq   weir.Seq
	upTo  weir.Seq // the cursor at which the list began
}

// String returns "RUN-CURSOR" or "SEQ-CURSOR".
func (at runPlace) String() string {
	if !at.ended {
		return at.run.String() + "-" + seqText(at.upTo)
	}
	return seqText(at.seq) + "-" + seqText(at.upTo)
}

func parseRunPlace(after string) (at runPlace, err error) {
	if after == "" {
		return at, nil
	}
	place, cursor, _ := strings.Cut(after, "-")
	upTo, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return at, badAfter(after)
	}
	at.upTo = weir.Seq(upTo)
	if strings.HasPrefix(place, "run_") {
		if at.run, err = weir.ParseRunID(place); err != nil {
			return at, badAfter(after)
		}
		return at, nil
	}
	seq, err := strconv.ParseUint(place, 10, 64)
	if err != nil {
		return at, badAfter(after)
	}
	at.ended, at.seq = true, weir.Seq(seq)
	return at, nil
}
