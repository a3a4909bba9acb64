package journaltest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"weir"
	"weir/internal/journal"
)

func roundTrip(f *fixture) {
	written := every()
	f.append(free(written...))

	check := func() {
		f.Helper()
		read := f.all()
		f.equal("records read", read, written)
		var seqs []weir.Seq
		for i := range read {
			seqs = append(seqs, weir.Seq(len(read)-i))
		}
		direct, err := f.j.Records(f.Context(), append(seqs, 0, 999))
		if err != nil {
			f.Fatal(err)
		}
		for i, seq := range seqs {
			f.equal("record by seq", direct[i], written[seq-1])
		}
		if direct[len(seqs)] != nil || direct[len(seqs)+1] != nil {
			f.Error("a record where there is none")
		}
	}
	check()
	f.reopen()
	check()
}

func appendersAndReader(f *fixture) {
	const appenders, batches = 8, 40
	var sent sync.WaitGroup
	for a := range appenders {
		sent.Go(func() {
			last := weir.Seq(0)
			for b := range batches {
				got, err := f.j.Append(f.Context(), free(event(fmt.Sprint(a, "-", b, "-0")), event(fmt.Sprint(a, "-", b, "-1"))))
				if err != nil {
					f.Error(err)
					return
				}
				one, two := got[0].Items[0], got[0].Items[1]
				if one.Seq <= last || two.Seq != one.Seq+1 || f.j.Head() < two.Seq {
					f.Errorf("answered %+v after %d", got, last)
				}
				last = two.Seq
			}
		})
	}
	next := map[string]int{}
	for after, total := weir.Seq(0), appenders*batches*2; int(after) < total; {
		if err := f.j.Wait(f.Context(), after); err != nil {
			f.Fatal(err)
		}
		got, err := f.j.Read(f.Context(), after, 13)
		if err != nil || len(got) == 0 {
			f.Fatal("nothing read: ", err)
		}
		for _, r := range got {
			if after++; r.Seq != after {
				f.Fatalf("read %d, want %d", r.Seq, after)
			}
			var a, b, i int
			if _, err := fmt.Sscanf(r.Event.ID, "%d-%d-%d", &a, &b, &i); err != nil {
				f.Fatal(err)
			}
			if who := fmt.Sprint(a); next[who] != b*2+i {
				f.Fatalf("%s out of its order", r.Event.ID)
			} else {
				next[who]++
			}
		}
	}
	sent.Wait()
	f.all()
}

func freeRepeats(f *fixture) {
	first := f.append(free(event("a"), event("b")))[0]

	got := f.append(free(event("c"), event("a"), event("d"), event("b")))[0]

	at := f.all()[2].At
	f.equal("receipt", got, weir.Receipt{Items: []weir.Item{
		{Seq: 3, At: at},
		{Seq: 1, At: first.Items[0].At, Repeated: true},
		{Seq: 4, At: at},
		{Seq: 2, At: first.Items[1].At, Repeated: true},
	}})
	f.equal("ids", ids(f.all()), []string{"a", "b", "c", "d"})
}

func ids(records []*weir.Record) (out []string) {
	for _, r := range records {
		if r.Event != nil {
			out = append(out, r.Event.ID)
		}
	}
	return out
}

func twiceInABatch(f *fixture) {
	got := f.append(free(event("a"), event("a")))[0].Items

	f.equal("second", got[1], weir.Item{Seq: 1, At: got[0].At, Repeated: true})
	f.equal("ids", ids(f.all()), []string{"a"})
}

func boundRefused(f *fixture) {
	first := f.append(bound(change(1, 1), event("a")))[0]

	got := f.append(bound(change(1, 1), event("b"), event("c")), free(event("d")))

	if !got[0].Refused || len(got[0].Items) != 3 {
		f.Fatalf("got %+v", got[0])
	}
	f.equal("original", got[0].Items[0], weir.Item{Seq: 1, At: first.Items[0].At, Repeated: true})
	f.equal("ids", ids(f.all()), []string{"a", "d"})
	if _, ok := f.j.Place(f.Context(), event("b").Identity()); ok {
		f.Error("an event of a refused batch has its identity taken")
	}
	f.append(free(event("b")))
	f.equal("ids", ids(f.all()), []string{"a", "d", "b"})
}

func boundWithRepeatedEvents(f *fixture) {
	f.append(free(event("a")))

	got := f.append(bound(change(1, 1), event("a"), event("b")))[0]

	if got.Refused || got.Items[0].Repeated || !got.Items[1].Repeated || got.Items[1].Seq != 1 || got.Items[2].Seq != 3 {
		f.Errorf("got %+v", got)
	}
	f.equal("ids", ids(f.all()), []string{"a", "b"})
}

func sameIdentityInOneAppend(f *fixture) {
	got := f.append(bound(change(1, 1), event("a")), bound(change(1, 1), event("b")), bound(change(1, 2), event("c")))

	if got[0].Refused || !got[1].Refused || got[2].Refused || got[1].Items[0].Seq != 1 {
		f.Errorf("got %+v", got)
	}
	f.equal("ids", ids(f.all()), []string{"a", "c"})
}

func sameIdentityAtOnce(f *fixture) {
	const appenders, rounds = 8, 30
	for n := range uint32(rounds) {
		receipts := make([]weir.Receipt, appenders)
		var sent sync.WaitGroup
		for a := range appenders {
			sent.Go(func() {
				got, err := f.j.Append(f.Context(), bound(change(1, n+1), event(fmt.Sprint(n, "-", a))))
				if err != nil {
					f.Error(err)
					return
				}
				receipts[a] = got[0]
			})
		}
		sent.Wait()
		won, place := 0, map[weir.Item]bool{}
		for _, r := range receipts {
			if len(r.Items) == 0 {
				f.FailNow()
			}
			if !r.Refused {
				won++
			}
			item := r.Items[0]
			item.Repeated = false
			place[item] = true
		}
		if won != 1 || len(place) != 1 {
			f.Fatalf("change %d: got %+v", n+1, receipts)
		}
	}
	if got := len(f.all()); got != 2*rounds {
		f.Errorf("%d records, want %d", got, 2*rounds)
	}
}

func withoutIdentity(f *fixture) {
	stale := func() *weir.Record {
		r := change(1, 1)
		r.Change.Kind, r.Change.N = weir.Stale, 0
		return r
	}

	got := f.append(bound(stale()), bound(stale()), free(&weir.Record{}, &weir.Record{}))

	if got[0].Refused || got[1].Refused || got[2].Items[1].Seq != 4 {
		f.Errorf("got %+v", got)
	}
	if _, ok := f.j.Place(f.Context(), weir.Identity{}); ok {
		f.Error("no identity has a place")
	}
}

func projectsApart(f *fixture) {
	other := event("a")
	other.Project = 2

	f.append(free(event("a"), other))

	f.equal("ids", ids(f.all()), []string{"a", "a"})
}

func identitiesKept(f *fixture) {
	var want []weir.Item
	for i := range 50 {
		want = append(want, f.append(free(event(fmt.Sprint(i))))[0].Items[0])
	}
	f.reopen()

	for i, w := range want {
		got, ok := f.j.Place(f.Context(), event(fmt.Sprint(i)).Identity())
		if !ok || got != w {
			f.Fatalf("event %d is at %+v, want %+v", i, got, w)
		}
		w.Repeated = true
		f.equal("repeated", f.append(free(event(fmt.Sprint(i))))[0].Items[0], w)
	}
	if _, ok := f.j.Place(f.Context(), event("new").Identity()); ok {
		f.Error("an event that was never appended has a place")
	}
}

func acceptanceTimes(f *fixture) {
	last := weir.Time(1)
	for i := range 20 {
		got := f.append(free(event(fmt.Sprint(i, "a")), event(fmt.Sprint(i, "b"))))[0].Items
		if got[0].At < last || got[0].At != got[1].At {
			f.Fatalf("got %+v after %s", got, last)
		}
		last = got[0].At
	}
	for _, r := range f.all() {
		if item, _ := f.j.Place(f.Context(), r.Identity()); item.At != r.At {
			f.Errorf("record %d has %s, its identity %s", r.Seq, r.At, item.At)
		}
	}
}

func badRecord(f *fixture) {
	bad := event("bad")
	bad.Event.Data = bytes.Repeat([]byte{'x'}, 33<<20)

	_, err := f.j.Append(f.Context(), free(event("a"), bad, event("b")), free(event("c")))

	f.code(err, weir.TooLarge)
	f.equal("records", len(f.all()), 0)
	f.equal("then", f.append(free(event("a")))[0].Items[0].Repeated, false)
}

func endedContext(f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()

	_, err := f.j.Append(ctx, free(event("a")))

	if !isContext(err) {
		f.Errorf("got %v", err)
	}
	f.equal("records", len(f.all()), 0)
}

func waiting(f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	waited := make(chan error)
	go func() { waited <- f.j.Wait(ctx, 0) }()
	go func() { waited <- f.j.Wait(f.Context(), 1) }()

	f.append(free(event("a")))
	if err := <-waited; err != nil {
		f.Error(err)
	}
	f.append(free(event("b")))
	if err := <-waited; err != nil {
		f.Error(err)
	}

	go func() { waited <- f.j.Wait(ctx, 2) }()
	cancel()
	if err := <-waited; !isContext(err) {
		f.Errorf("got %v", err)
	}
}

func emptyAppends(f *fixture) {
	if got := f.append(); len(got) != 0 {
		f.Errorf("got %+v", got)
	}
	if got := f.append(free(), bound()); len(got) != 2 || got[0].Refused || got[1].Refused {
		f.Errorf("got %+v", got)
	}
	got, err := f.j.Find(f.Context(), journal.Query{})
	if err != nil || len(got.Records) > 0 || len(f.all()) > 0 {
		f.Errorf("found %d records in an empty journal, %v", len(got.Records), err)
	}
}

func tryTooOld(f *fixture) {
	old := change(1, 1)
	old.Change.Attempt = &weir.Attempt{Try: 1, Began: weir.TimeOf(time.Now().Add(-8 * 24 * time.Hour))}

	_, err := f.j.Append(f.Context(), bound(old, event("a")))

	f.code(err, weir.Invalid)
	f.equal("records", len(f.all()), 0)
	young := change(1, 1)
	young.Change.Attempt = &weir.Attempt{Try: 1, Began: weir.TimeOf(time.Now().Add(-6 * 24 * time.Hour))}
	f.equal("refused", f.append(bound(young))[0].Refused, false)
}
