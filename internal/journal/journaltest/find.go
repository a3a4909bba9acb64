package journaltest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"weir"
	"weir/internal/journal"
)

// fill appends drawn records in batches of drawn sizes and returns all.
func (f *fixture) fill(rng *rand.Rand, n int) []*weir.Record {
	f.Helper()
	left := drawn(rng, n)
	for len(left) > 0 {
		k := min(len(left), 1+rng.IntN(9))
		f.append(free(left[:k]...))
		left = left[k:]
	}
	return f.all()
}

// values are the queries that drawn records may answer.
func values() (out []journal.Query) {
	add := func(k journal.Kind, values ...string) {
		for _, v := range values {
			out = append(out, journal.Query{Kind: k, Value: v})
		}
	}
	add(journal.All, "")
	add(journal.ByType, "x.made", "x.gone", "y", "never")
	add(journal.BySource, "/a", "/b")
	add(journal.BySubject, "s", "a-longer-subject")
	add(journal.ByExecution, "e1", "e2", "e3", "e4")
	for i := range byte(7) {
		add(journal.ByRun, weir.RunID{0, i + 1}.String())
		add(journal.ByCause, weir.RunID{0, i + 1}.String())
	}
	add(journal.ByTrigger, "t", "u")
	add(journal.ByPipeline, "p", "q", "")
	add(journal.ByBlob, "b1", "b2", "never")
	for i := range 20 {
		add(journal.ByLink, fmt.Sprint(i*10+1))
	}
	return out
}

// plain answers a query by looking at every record.
func plain(f *fixture, all []*weir.Record, q journal.Query) (found []*weir.Record) {
	f.Helper()
	look, err := q.Prepare()
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range slices.Backward(all) {
		inside := (q.Before == 0 || r.Seq < q.Before) && (q.UpTo == 0 || r.Seq <= q.UpTo) &&
			(q.From == 0 || r.At >= q.From) && (q.To == 0 || r.At < q.To)
		if inside && look.Matches(r) {
			found = append(found, r)
		}
	}
	return found
}

func findLikePlain(f *fixture) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := f.fill(rng, 200)
	for round := range 2 {
		for _, q := range values() {
			for range 5 {
				q.Project = weir.ProjectID(1 + rng.IntN(2))
				q.Only = journal.Only(rng.IntN(3))
				q.Limit = 1 + rng.IntN(250)
				q.From, q.To, q.Before, q.UpTo = 0, 0, 0, 0
				if rng.IntN(3) == 0 {
					q.Before = weir.Seq(1 + rng.IntN(len(all)))
				}
				if rng.IntN(3) == 0 {
					q.UpTo = weir.Seq(1 + rng.IntN(len(all)))
				}
				if rng.IntN(3) == 0 {
					q.From = all[rng.IntN(len(all))].At + weir.Time(rng.IntN(2))
				}
				if rng.IntN(3) == 0 {
					q.To = all[rng.IntN(len(all))].At + weir.Time(rng.IntN(2))
				}
				f.compare(all, q)
			}
		}
		if round == 0 {
			f.reopen()
		}
	}
}

// compare checks one page against the plain answer.
func (f *fixture) compare(all []*weir.Record, q journal.Query) {
	f.Helper()
	got, err := f.j.Find(f.Context(), q)
	if err != nil {
		f.Fatal(err)
	}
	want, wantNext := plain(f, all, q), weir.Seq(0)
	if len(want) > q.Limit {
		want = want[:q.Limit]
		wantNext = want[q.Limit-1].Seq
	}
	f.equal(fmt.Sprintf("found by %+v", q), got.Records, want)
	f.equal("next", got.Next, wantNext)
}

func findPages(f *fixture) {
	rng := rand.New(rand.NewPCG(3, 4))
	all := f.fill(rng, 100)
	cursor := weir.Seq(80)
	for _, q := range values() {
		q.Project, q.UpTo, q.Limit = 1, cursor, 3
		want := plain(f, all, q)

		var got []*weir.Record
		for {
			page, err := f.j.Find(f.Context(), q)
			if err != nil {
				f.Fatal(err)
			}
			got = append(got, page.Records...)
			if q.Before = page.Next; page.Next == 0 {
				break
			}
			// What comes in meanwhile is in no page.
			f.append(free(event(fmt.Sprint("late", q.Kind, q.Value, page.Next))))
		}

		f.equal(fmt.Sprintf("pages of %+v", q), got, want)
	}
}

func findLooksNoFurther(f *fixture) {
	rng := rand.New(rand.NewPCG(5, 6))
	all := f.fill(rng, 150)
	for _, q := range values() {
		q.Project, q.Only, q.Limit, q.Look = 1, journal.Only(rng.IntN(3)), 1+rng.IntN(9), 1+rng.IntN(12)
		want := plain(f, all, q)

		var got []*weir.Record
		for {
			page, err := f.j.Find(f.Context(), q)
			if err != nil {
				f.Fatal(err)
			}
			if page.Looked > q.Look || len(page.Records) > q.Limit {
				f.Errorf("%+v found %d records and looked at %d", q, len(page.Records), page.Looked)
			}
			got = append(got, page.Records...)
			if page.Next == 0 {
				break
			}
			if at := all[page.Next-1].At; page.BackTo != at {
				f.Errorf("%+v looked back to %s, and place %d is of %s", q, page.BackTo, page.Next, at)
			}
			q.Before = page.Next
		}

		f.equal(fmt.Sprintf("pages of %+v", q), got, want)
	}
}

func findLooksAtWhatItFinds(f *fixture) {
	for i := range 200 {
		e := event(fmt.Sprint(i))
		e.Event.Type = fmt.Sprint("of.", i%20)
		f.append(free(e))
	}

	got, err := f.j.Find(f.Context(), journal.Query{Project: 1, Kind: journal.ByType, Value: "of.7", Limit: 4})
	if err != nil || len(got.Records) != 4 || got.Looked != 5 {
		f.Errorf("looked at %d records for %d, %v", got.Looked, len(got.Records), err)
	}
}

func findByTime(f *fixture) {
	var times []weir.Time
	for i := range 30 {
		times = append(times, f.append(free(event(fmt.Sprint(i)), event(fmt.Sprint(i, "b"))))[0].Items[0].At)
	}
	all := f.all()
	for _, from := range times {
		for _, to := range []weir.Time{0, times[0], times[15], times[29], times[29] + 1} {
			f.compare(all, journal.Query{From: from, To: to, Limit: 100})
			f.compare(all, journal.Query{Project: 1, Kind: journal.ByType, Value: "a.made", From: from, To: to, Limit: 100})
		}
	}
	f.compare(all, journal.Query{From: times[29] + 1, Limit: 5})
	f.compare(all, journal.Query{To: 1, Limit: 5})
}

// findBlob looks for a blob, which only its id tells: whoever keeps the files
// knows no projects.
func findBlob(f *fixture) {
	named := event("named")
	named.Project, named.Event.Data, named.Event.Blob = 2, nil, &weir.Blob{ID: "b7", Size: 5}
	f.append(free(event("a"), named, event("b")))
	for range 2 {
		for id, want := range map[string][]string{"b7": {"named"}, "b8": nil} {
			got, err := f.j.Find(f.Context(), journal.Query{Kind: journal.ByBlob, Value: id, Limit: 1})
			if err != nil {
				f.Fatal(err)
			}
			f.equal("events of "+id, ids(got.Records), want)
		}
		f.reopen()
	}
}

func findInvalid(f *fixture) {
	for _, q := range []journal.Query{
		{Kind: journal.ByType, Value: "t"},
		{Project: 1, Kind: journal.ByType},
		{Project: 1, Kind: journal.ByRun, Value: "run_1"},
		{Project: 1, Kind: journal.ByCause, Value: ""},
		{Project: 1, Kind: journal.ByLink, Value: "-1"},
	} {
		_, err := f.j.Find(f.Context(), q)
		f.code(err, weir.Invalid)
	}
}

func findAfterAppend(f *fixture) {
	for i := range 100 {
		e := event(fmt.Sprint(i))
		f.append(free(e, event(fmt.Sprint(i, "b"))))

		got, err := f.j.Find(f.Context(), journal.Query{Project: 1, Kind: journal.ByExecution, Value: e.Event.Execution})
		if err != nil {
			f.Fatal(err)
		}
		f.equal("ids", ids(got.Records), []string{e.Event.ID})
	}
}
