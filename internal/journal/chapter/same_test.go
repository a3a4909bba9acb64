package chapter

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/journal"
)

// questions asks a journal all that can be asked, and gives the answers back.
type questions struct {
	kept []*weir.Record // that never go
	by   []journal.Query
}

// ask returns what was wrong with an answer, or nil.
func (q *questions) ask(t *testing.T, j *Journal) error {
	stays := map[weir.Seq]bool{}
	for _, r := range q.kept {
		stays[r.Seq] = true
	}
	only := func(records []*weir.Record) (out []weir.Seq) {
		for _, r := range records {
			if r != nil && stays[r.Seq] {
				out = append(out, r.Seq)
			}
		}
		return out
	}
	want := only(q.kept)
	if got := only(readAll(t, j)); !slices.Equal(got, want) {
		return fmt.Errorf("read %v, want %v", got, want)
	}
	direct, err := j.Records(t.Context(), want)
	if got := only(direct); err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("by place %v, want %v, %w", got, want, err)
	}
	for _, r := range q.kept {
		if item, ok := j.Place(t.Context(), r.Identity()); !ok || item.Seq != r.Seq || item.At != r.At {
			return fmt.Errorf("record %d is at %+v", r.Seq, item)
		}
	}
	again, err := j.Append(t.Context(), weir.Batch{Records: []*weir.Record{event(q.kept[0].Event.ID, 0)}})
	if err != nil || !again[0].Items[0].Repeated || again[0].Items[0].Seq != q.kept[0].Seq {
		return fmt.Errorf("the first again: %+v, %w", again, err)
	}
	for _, query := range q.by {
		var got []weir.Seq
		for {
			page, err := j.Find(t.Context(), query)
			if err != nil {
				return err
			}
			got = append(got, only(page.Records)...)
			if query.Before = page.Next; page.Next == 0 {
				break
			}
		}
		slices.Reverse(got)
		inside := slices.DeleteFunc(slices.Clone(q.kept), func(r *weir.Record) bool {
			return query.From > 0 && r.At < query.From || query.To > 0 && r.At >= query.To
		})
		if !slices.Equal(got, only(inside)) {
			return fmt.Errorf("%+v found %v, want %v", query, got, only(inside))
		}
	}
	return nil
}

// TestTheSameQuestionsHaveTheSameAnswersAllAlong asks beside all that is done to
// chapters: while they are active, being sealed, sealed, trimmed, erased from and
// merged, and when the journal is opened again.
func TestTheSameQuestionsHaveTheSameAnswersAllAlong(t *testing.T) {
	t.Parallel()
	began := time.UnixMicro(1_700_000_000_000_000)
	var passed atomic.Int64
	now := func() time.Time { return began.Add(time.Duration(passed.Load())) }
	o := Options{MaxRecords: 24, Tail: 6, Now: now}
	d := newFaultDisk()
	j := start(t, d, o)
	for n := range 40 {
		passed.Add(int64(time.Second))
		b := events(fmt.Sprint("e", n, "."), 5, 30)
		b.Records[3].Event.Subject = "gone"
		put(t, j, b)
	}
	awaitSealed(t, j, 7)
	written := readAll(t, j)
	q := &questions{kept: slices.DeleteFunc(slices.Clone(written), func(r *weir.Record) bool { return r.Seq%5 != 1 })}
	q.by = []journal.Query{
		{Limit: 17},
		{Limit: 5, Project: 1, Kind: journal.ByType, Value: "t"},
		{Limit: 40, From: written[41].At, To: written[170].At},
		{Limit: 9, Project: 1, Kind: journal.BySource, Value: "/s", From: written[80].At},
	}
	var asking sync.WaitGroup
	ended := make(chan struct{})
	rounds := 0
	asking.Go(func() {
		for {
			if err := q.ask(t, j); err != nil {
				t.Error(err)
				return
			}
			rounds++
			select {
			case <-ended:
				return
			default:
			}
		}
	})

	gone := journal.Erasure{Project: 1, Subject: "gone", UpTo: 200}
	j.Hide([]journal.Erasure{gone})
	if err := eraseAll(t.Context(), j, gone); err != nil {
		t.Error(err)
	}
	j.Hide(nil)
	for _, every := range []weir.Seq{2, 5} {
		stays := func(r *weir.Record) bool { return r.Seq%5 == 1 || r.Seq%every == 1 }
		for upTo := weir.Seq(20); upTo <= 200; upTo += 60 {
			k := journal.Keep{Before: weir.TimeOf(now().Add(72 * time.Hour)), UpTo: upTo, Stays: stays}
			if err := trimAll(t.Context(), j, k); err != nil {
				t.Error(err)
			}
		}
	}
	awaitMerged(t, j, 6)
	close(ended)
	asking.Wait()

	stop(t, j)
	if err := q.ask(t, start(t, d, o)); err != nil {
		t.Error("opened again: ", err)
	}
	t.Logf("asked %d times", rounds)
}

// awaitMerged returns when there are no more than n chapters.
func awaitMerged(t *testing.T, j *Journal, n int) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		moved, err := j.sealer.look()
		if err != nil {
			t.Fatal(err)
		}
		if j.Stats().Chapters <= n {
			return
		}
		select {
		case <-moved:
		case <-late:
			t.Fatalf("%d chapters", j.Stats().Chapters)
		}
	}
}

func TestADuplicateIsFoundForTheWholeWindow(t *testing.T) {
	t.Parallel()
	began := time.UnixMicro(1_700_000_000_000_000)
	var passed atomic.Int64
	o := Options{MaxRecords: 4, Tail: 2, Now: func() time.Time { return began.Add(time.Duration(passed.Load())) }}
	d := newFaultDisk()
	j := start(t, d, o)
	first := put(t, j, events("first", 4, 0))[0].Items[0]
	put(t, j, events("second", 4, 0))
	awaitSealed(t, j, 1)
	passed.Add(int64(69 * 24 * time.Hour / 10))

	got := put(t, j, events("first", 1, 0))[0].Items[0]

	first.Repeated = true
	if got != first {
		t.Errorf("after 6.9 days: %+v, want %+v", got, first)
	}
	stop(t, j)
	j = start(t, d, o)
	if got := put(t, j, events("first", 1, 0))[0].Items[0]; got != first {
		t.Errorf("opened again: %+v, want %+v", got, first)
	}
	// When a chapter is sealed, what is older than the window is forgotten.
	passed.Add(int64(3 * 24 * time.Hour / 10))
	put(t, j, events("third", 4, 0))
	put(t, j, events("fourth", 4, 0))
	awaitSealed(t, j, 3)
	if got := put(t, j, events("first", 1, 0))[0].Items[0]; got.Repeated {
		t.Errorf("after 7.2 days: %+v", got)
	}
}

func TestSmallChaptersAreMerged(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	o := Options{MaxRecords: 8, Tail: 2}
	j := start(t, d, o)
	for n := range 33 {
		put(t, j, events(fmt.Sprint(n, "."), 8, 10))
	}
	awaitSealed(t, j, 32)
	want := readAll(t, j)
	stays := func(r *weir.Record) bool { return r.Seq%8 == 2 }

	if err := trimAll(t.Context(), j, old(256, stays)); err != nil {
		t.Fatal(err)
	}
	awaitMerged(t, j, 16)

	want = slices.DeleteFunc(want, func(r *weir.Record) bool { return r.Seq <= 256 && !stays(r) })
	same(t, "what is left", readAll(t, j), want)
	stop(t, j)
	j = start(t, d, o)
	same(t, "what is left after reopening", readAll(t, j), want)
	if names, err := d.List(); err != nil || len(names) > 40 {
		t.Errorf("%d files: %v, %v", len(names), names, err)
	}
}
