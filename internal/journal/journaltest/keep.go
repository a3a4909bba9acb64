package journaltest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/journal"
)

// everything says that all up to the head may go, whatever its age.
func (f *fixture) everything(stays func(*weir.Record) bool) journal.Keep {
	return journal.Keep{Before: weir.TimeOf(time.Now().Add(72 * time.Hour)), UpTo: f.j.Head(), Stays: stays}
}

// steps calls what works in steps until it is done, and sums up.
func (f *fixture) steps(step func() (journal.Trimmed, error)) (records int) {
	f.Helper()
	for range 10_000 {
		done, err := step()
		if err != nil {
			f.Fatal(err)
		}
		if records += done.Records; !done.More {
			return records
		}
	}
	f.Fatal("the steps have no end")
	return 0
}

func (f *fixture) trim(k journal.Keep) int {
	f.Helper()
	return f.steps(func() (journal.Trimmed, error) { return f.j.Trim(f.Context(), k) })
}

func (f *fixture) erase(e journal.Erasure) int {
	f.Helper()
	return f.steps(func() (journal.Trimmed, error) { return f.j.Erase(f.Context(), e) })
}

// kept reads all that there is, which may have gaps.
func (f *fixture) kept() (out []*weir.Record) {
	f.Helper()
	for after := weir.Seq(0); ; {
		got, err := f.j.Read(f.Context(), after, 7)
		if err != nil {
			f.Fatal(err)
		}
		if len(got) == 0 {
			return out
		}
		out, after = append(out, got...), got[len(got)-1].Seq
	}
}

// left checks by every way of reading that of all records those are there for
// which is says so, as they were.
func (f *fixture) left(all []*weir.Record, is func(*weir.Record) bool) {
	f.Helper()
	want := slices.DeleteFunc(slices.Clone(all), func(r *weir.Record) bool { return !is(r) })
	f.equal("read", f.kept(), want)
	var seqs []weir.Seq
	for _, r := range all {
		seqs = append(seqs, r.Seq)
	}
	direct, err := f.j.Records(f.Context(), seqs)
	if err != nil {
		f.Fatal(err)
	}
	for i, r := range all {
		if there := direct[i] != nil; there != is(r) {
			f.Fatalf("record %d read by its place: %v", r.Seq, there)
		}
	}
	for _, r := range want {
		item, ok := f.j.Place(f.Context(), r.Identity())
		if has := r.Identity() != (weir.Identity{}); ok != has || ok && (item.Seq != r.Seq || item.At != r.At) {
			f.Fatalf("the identity of record %d is at %+v", r.Seq, item)
		}
	}
	for _, q := range values() {
		q.Project, q.Limit = 1, 1000
		f.compare(want, q)
		q.Limit = 3
		f.compare(want, q)
		q.From, q.Before = all[len(all)/3].At, weir.Seq(len(all)*2/3)
		f.compare(want, q)
	}
}

// sparse lets some records stay, and none of a longer stretch.
func sparse(r *weir.Record) bool { return r.Seq%7 == 3 && (r.Seq < 60 || r.Seq > 140) }

func trimLeavesSurvivors(f *fixture) {
	all := f.fill(rand.New(rand.NewPCG(7, 8)), 200)
	if first := f.j.First(); first > 1 {
		f.Fatalf("first is %d before anything was trimmed", first)
	}
	gone := 0
	for _, r := range all {
		if !sparse(r) {
			gone++
		}
	}

	got := f.trim(f.everything(sparse))

	f.equal("records gone", got, gone)
	for range 2 {
		f.left(all, sparse)
		if first := f.j.First(); first != 201 && first != 200 { // 199 stays
			f.Errorf("first is %d", first)
		}
		f.equal("head", f.j.Head(), weir.Seq(200))
		f.reopen()
	}
	next := f.append(free(event("new")))[0].Items[0]
	f.equal("the next seq", next.Seq, weir.Seq(201))
	fewer := func(r *weir.Record) bool { return r.Seq > 200 || sparse(r) && r.Seq%2 == 0 }
	f.trim(f.everything(fewer))
	f.left(append(all, f.kept()[len(f.kept())-1]), fewer)
}

func trimLeavesNothing(f *fixture) {
	f.fill(rand.New(rand.NewPCG(9, 10)), 50)

	f.trim(f.everything(nil))

	for range 2 {
		f.equal("records kept", len(f.kept()), 0)
		f.equal("head", f.j.Head(), weir.Seq(50))
		f.equal("first", f.j.First(), weir.Seq(51))
		f.reopen()
	}
	f.equal("the next seq", f.append(free(event("new")))[0].Items[0].Seq, weir.Seq(51))
	f.equal("records kept", len(f.kept()), 1)
}

func trimLeavesWhatItMust(f *fixture) {
	all := f.fill(rand.New(rand.NewPCG(11, 12)), 100)
	k := f.everything(nil)

	k.UpTo = 40
	f.trim(k)
	got := f.kept()
	f.equal("past the cursor", got[max(0, len(got)-60):], all[40:])
	if first := f.j.First(); first > 41 {
		f.Errorf("first is %d", first)
	}

	k.UpTo, k.Before = 100, all[40].At
	f.trim(k)
	f.equal("too young", f.kept(), got)

	k = f.everything(func(*weir.Record) bool { return true })
	f.equal("gone, though all stays", f.trim(k), 0)
	f.equal("what stays", f.kept(), got)
}

// trimBesideAppends lets appenders and readers go on.
func trimBesideAppends(f *fixture) {
	const appends = 60
	stays := func(r *weir.Record) bool { return r.Event.Type == "stays" }
	var want []string
	var sent sync.WaitGroup
	done := make(chan struct{})
	sent.Go(func() {
		defer close(done)
		for i := range appends {
			one, two := event(fmt.Sprint("a", i)), event(fmt.Sprint("b", i))
			one.Event.Type = "stays"
			want = append(want, one.Event.ID)
			if _, err := f.j.Append(f.Context(), free(one, two)); err != nil {
				f.Error(err)
				return
			}
		}
	})
	for going := true; going; {
		select {
		case <-done:
			going = false
		default:
		}
		f.trim(f.everything(stays))
		last := weir.Seq(0)
		for _, r := range f.kept() {
			if r.Seq <= last {
				f.Fatalf("read %d after %d", r.Seq, last)
			}
			last = r.Seq
		}
	}
	sent.Wait()

	f.trim(f.everything(stays))

	f.equal("ids", ids(f.kept()), want)
}

func eraseSubject(f *fixture) {
	all := f.fill(rand.New(rand.NewPCG(13, 14)), 200)
	e := journal.Erasure{Project: 1, Subject: "a-longer-subject", UpTo: 150}
	others := func(r *weir.Record) bool { return !e.Means(r) }

	f.j.Hide([]journal.Erasure{e})
	f.left(all, others)
	f.j.Hide(nil)
	f.left(all, func(*weir.Record) bool { return true })

	got := f.erase(e)

	f.equal("records gone", got, len(all)-len(f.kept()))
	for range 2 {
		f.left(all, others)
		f.equal("first", f.j.First() <= 1, true)
		f.reopen()
	}
	f.equal("gone again", f.erase(e), 0)
}

func eraseProject(f *fixture) {
	all := f.fill(rand.New(rand.NewPCG(15, 16)), 120)
	e := journal.Erasure{Project: 2, UpTo: 120}

	f.j.Hide([]journal.Erasure{e})
	f.erase(e)
	f.j.Hide(nil)

	for range 2 {
		f.left(all, func(r *weir.Record) bool { return r.Project != 2 })
		f.reopen()
	}
}

// hidePages: pages of a list are as full as if the hidden were not there.
func hidePages(f *fixture) {
	for i := range 40 {
		e := event(fmt.Sprint(i))
		e.Event.Subject = fmt.Sprint("s", i%4)
		f.append(free(e))
	}
	f.j.Hide([]journal.Erasure{{Project: 1, Subject: "s1", UpTo: 40}, {Project: 1, Subject: "s3", UpTo: 20}})

	for _, q := range []journal.Query{{Limit: 5}, {Project: 1, Kind: journal.ByType, Value: "a.made", Limit: 5}} {
		var got []string
		for {
			page, err := f.j.Find(f.Context(), q)
			if err != nil {
				f.Fatal(err)
			}
			if q.Before = page.Next; page.Next != 0 && len(page.Records) != 5 {
				f.Errorf("a page of %d", len(page.Records))
			}
			got = append(got, ids(page.Records)...)
			if page.Next == 0 {
				break
			}
		}
		f.equal("records shown", len(got), 25)
	}
}
