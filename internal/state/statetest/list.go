package statetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

func version(kind weir.DefinitionKind, name string, revision uint64, body string) fold.Installed {
	d := weir.Definition{Kind: kind, Name: name, Revision: revision}
	if body != "" {
		d.Body = []byte(body)
	}
	return fold.Installed{Project: weir.DefaultProject, Definition: d}
}

func versionsStay(t *testing.T, s suite) {
	e := s.new(t)
	first := version(weir.KindTrigger, "usage", 1, `{"match":[]}`)
	pipeline := version(weir.KindPipeline, "usage", 1, `{"steps":[]}`)
	second := version(weir.KindTrigger, "usage", 2, `{"match":[1]}`)
	flush(t, e, fold.Layer{Installed: []fold.Installed{first, pipeline}})
	flush(t, e, fold.Layer{Installed: []fold.Installed{second}})

	inForce, revision := must2(e.Definitions(t.Context(), weir.DefaultProject))(t)
	if diff := cmp.Diff([]weir.Definition{pipeline.Definition, second.Definition}, inForce); diff != "" || revision != 2 {
		t.Errorf("revision %d (-want +got):\n%s", revision, diff)
	}
	for _, want := range []weir.Definition{first.Definition, second.Definition, pipeline.Definition} {
		got := must(e.Definition(t.Context(), weir.DefaultProject, want.Kind, want.Name, want.Revision))(t)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	p := must(e.Load(t.Context()))(t)
	if diff := cmp.Diff([]fold.Installed{pipeline, first, second}, p.Versions); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
	if p.Projects[0].Revision != 2 {
		t.Errorf("loaded revision %d", p.Projects[0].Revision)
	}

	_, err := e.Definition(t.Context(), weir.DefaultProject, weir.KindPipeline, "usage", 2)
	wantCode(t, err, weir.NotFound)
	_, _, err = e.Definitions(t.Context(), 99)
	wantCode(t, err, weir.NotFound)
}

func deletedNotInForce(t *testing.T, s suite) {
	e := s.new(t)
	made := version(weir.KindTrigger, "usage", 1, `{}`)
	deleted := version(weir.KindTrigger, "usage", 2, "")
	again := version(weir.KindTrigger, "usage", 3, `{"run":"a"}`)

	flush(t, e, fold.Layer{Installed: []fold.Installed{made, deleted}})
	inForce, revision := must2(e.Definitions(t.Context(), weir.DefaultProject))(t)
	if len(inForce) != 0 || revision != 2 {
		t.Errorf("revision %d, in force: %v", revision, inForce)
	}
	got := must(e.Definition(t.Context(), weir.DefaultProject, weir.KindTrigger, "usage", 2))(t)
	if got.Body != nil {
		t.Errorf("the version that deletes has a body: %s", got.Body)
	}

	flush(t, e, fold.Layer{Installed: []fold.Installed{again}})
	inForce, _ = must2(e.Definitions(t.Context(), weir.DefaultProject))(t)
	if diff := cmp.Diff([]weir.Definition{again.Definition}, inForce); diff != "" {
		t.Errorf("made again (-want +got):\n%s", diff)
	}
}

func countersAdd(t *testing.T, s suite) {
	e := s.new(t)
	other := must(e.CreateProject(t.Context(), "other"))(t)
	count := func(p weir.ProjectID, trigger, what string, n int64) fold.Counter {
		return fold.Counter{Project: p, Trigger: trigger, What: what, N: n}
	}

	flush(t, e, fold.Layer{Counters: []fold.Counter{count(1, "a", "matched", 2), count(1, "b", "matched", 1), count(other.ID, "a", "fired", 7)}})
	flush(t, e, fold.Layer{Counters: []fold.Counter{count(1, "a", "fired", 1), count(1, "a", "matched", 40)}})

	want := map[string]weir.TriggerCounters{"a": {"matched": 42, "fired": 1}, "b": {"matched": 1}}
	if diff := cmp.Diff(want, must(e.Counters(t.Context(), 1))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// runNumbers lists pages of runs to their end.
func runNumbers(t testing.TB, e Engine, f state.RunFilter) (all []int) {
	t.Helper()
	for {
		page, listed := must2(e.ListRuns(t.Context(), f))(t)
		if at, _ := must2(e.Cursor(t.Context()))(t); listed.AsOf != at {
			t.Errorf("as of %d, not %d", listed.AsOf, at)
		}
		for _, r := range page {
			all = append(all, fromRunID(r.ID))
		}
		if f.After = listed.Reached; !listed.More() {
			return all
		}
	}
}

func groupNumbers(t testing.TB, e Engine, f state.GroupFilter) (all []int) {
	t.Helper()
	for {
		page, listed := must2(e.ListGroups(t.Context(), f))(t)
		for _, g := range page {
			all = append(all, fromGroupID(g.ID))
		}
		if f.After = listed.Reached; !listed.More() {
			return all
		}
	}
}

// down returns the numbers from n to 1 for which keep holds.
func down(n int, keep func(int) bool) (all []int) {
	for ; n > 0; n-- {
		if keep(n) {
			all = append(all, n)
		}
	}
	return all
}

func any1(int) bool { return true }

func runsPage(t *testing.T, s suite) {
	e := s.new(t)
	l := fold.Layer{}
	for n := 1; n <= 130; n++ {
		r := plainRun(n)
		r.State = [...]weir.RunState{weir.RunPending, weir.RunWaiting, weir.RunDead}[n%3]
		l.Runs = append(l.Runs, r)
	}
	flush(t, e, l)

	for _, limit := range []int{0, 1, 7, 130, 1000} {
		if diff := cmp.Diff(down(130, any1), runNumbers(t, e, state.RunFilter{Project: 1, Limit: limit})); diff != "" {
			t.Errorf("by %d (-want +got):\n%s", limit, diff)
		}
	}
	page, _ := must2(e.ListRuns(t.Context(), state.RunFilter{Project: 1}))(t)
	if len(page) != state.DefaultLimit {
		t.Errorf("%d runs without a limit", len(page))
	}
	want := l.Runs[129]
	if diff := cmp.Diff(&want, page[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func runsFiltered(t *testing.T, s suite) {
	e := s.new(t)
	other := must(e.CreateProject(t.Context(), "other"))(t)
	l := fold.Layer{}
	for n := 1; n <= 60; n++ {
		r := plainRun(n)
		if n%2 == 0 {
			r.State = weir.RunDead
		}
		if n%3 == 0 {
			r.Pipeline, r.Lane.Pipeline = "bill", "bill"
		}
		if n%5 == 0 {
			r.Firing.Trigger = "usage"
		}
		if n%7 == 0 {
			r.Project, r.Lane.Project = other.ID, other.ID
		}
		r.Error = []string{"", "refused", "time-out"}[n%3]
		r.Firing.Executions = []string{"all", []string{"x%", "x", "xx"}[n%3]}
		l.Runs = append(l.Runs, r)
	}
	flush(t, e, l)

	mine := func(n int) bool { return n%7 != 0 }
	for _, c := range []struct {
		name   string
		filter state.RunFilter
		keep   func(n int) bool
	}{
		{"none", state.RunFilter{Project: 1}, mine},
		{"project", state.RunFilter{Project: other.ID}, func(n int) bool { return n%7 == 0 }},
		{"state", state.RunFilter{Project: 1, State: weir.RunDead}, func(n int) bool { return mine(n) && n%2 == 0 }},
		{"pipeline", state.RunFilter{Project: 1, Pipeline: "bill"}, func(n int) bool { return mine(n) && n%3 == 0 }},
		{"trigger", state.RunFilter{Project: 1, Trigger: "usage"}, func(n int) bool { return mine(n) && n%5 == 0 }},
		{"execution", state.RunFilter{Project: 1, Execution: "x"}, func(n int) bool { return mine(n) && n%3 == 1 }},
		{"having", state.RunFilter{Project: 1, Having: "time-o"}, func(n int) bool { return mine(n) && n%3 == 2 }},
		{"having what none has", state.RunFilter{Project: 1, Having: "time-out!"}, func(int) bool { return false }},
		{
			"all of them",
			state.RunFilter{Project: 1, State: weir.RunDead, Pipeline: "bill", Trigger: "usage", Execution: "x%"},
			func(n int) bool { return mine(n) && n%30 == 0 },
		},
		{"a state that is not kept", state.RunFilter{Project: 1, State: weir.RunSucceeded}, func(int) bool { return false }},
	} {
		c.filter.Limit = 4
		for _, c.filter.Look = range []int{0, 1, 7, 1000} {
			if diff := cmp.Diff(down(60, c.keep), runNumbers(t, e, c.filter)); diff != "" {
				t.Errorf("%s, looking at %d (-want +got):\n%s", c.name, c.filter.Look, diff)
			}
		}
	}
	none, listed := must2(e.ListRuns(t.Context(), state.RunFilter{Project: 1, Having: "time-out!", Look: 7}))(t)
	if len(none) > 0 || listed.Looked != 7+7 || fromRunID(listed.Reached) != 46 {
		t.Errorf("%d runs, %d rows looked at, down to run %d", len(none), listed.Looked, fromRunID(listed.Reached))
	}
}

func leasedIsRunning(t *testing.T, s suite) {
	e := s.new(t)
	l := fold.Layer{}
	for n := 1; n <= 9; n++ {
		l.Runs = append(l.Runs, plainRun(n))
	}
	l.Leases = []fold.LeaseRow{{Run: runID(4), Node: "a", Try: 1, Began: start}, {Run: runID(8), Node: "a", Try: 1, Began: start}}
	flush(t, e, l)

	filter := state.RunFilter{Project: 1, State: weir.RunRunning, Limit: 1}
	if got := runNumbers(t, e, filter); !slices.Equal(got, []int{8, 4}) {
		t.Errorf("running: %v", got)
	}
	filter.State = weir.RunPending
	if got := runNumbers(t, e, filter); !slices.Equal(got, []int{9, 7, 6, 5, 3, 2, 1}) {
		t.Errorf("pending: %v", got)
	}
	all, _ := must2(e.ListRuns(t.Context(), state.RunFilter{Project: 1}))(t)
	for _, r := range all {
		if n := fromRunID(r.ID); (r.State == weir.RunRunning) != (n == 4 || n == 8) {
			t.Errorf("run %d is listed as %v", n, r.State)
		}
	}
	if got := runsOf(t, e, 4)[0].State; got != weir.RunPending {
		t.Errorf("stored as %v", got)
	}
}

func groupsPage(t *testing.T, s suite) {
	e := s.new(t)
	other := must(e.CreateProject(t.Context(), "other"))(t)
	l := fold.Layer{}
	for n := 1; n <= 120; n++ {
		g := plainGroup(n)
		if n%3 == 0 {
			g.Trigger = "guesses"
		}
		if n%10 == 0 {
			g.Project = other.ID
		}
		l.Groups = append(l.Groups, g)
	}
	flush(t, e, l)

	for _, limit := range []int{0, 1, 11, 1000} {
		want := down(120, func(n int) bool { return n%10 != 0 })
		if diff := cmp.Diff(want, groupNumbers(t, e, state.GroupFilter{Project: 1, Limit: limit})); diff != "" {
			t.Errorf("by %d (-want +got):\n%s", limit, diff)
		}
		want = down(120, func(n int) bool { return n%10 != 0 && n%3 == 0 })
		if diff := cmp.Diff(want, groupNumbers(t, e, state.GroupFilter{Project: 1, Trigger: "guesses", Limit: limit})); diff != "" {
			t.Errorf("of a trigger, by %d (-want +got):\n%s", limit, diff)
		}
	}
	none, listed := must2(e.ListGroups(t.Context(), state.GroupFilter{Project: 1, Having: "nobody", Look: 5}))(t)
	if len(none) > 0 || listed.Looked != 5 || fromGroupID(listed.Reached) != 115 {
		t.Errorf("%d groups, %d rows looked at, down to group %d", len(none), listed.Looked, fromGroupID(listed.Reached))
	}
}

func pagesDoNotShift(t *testing.T, s suite) {
	e := s.new(t)
	l := fold.Layer{}
	for n := 1; n <= 30; n++ {
		l.Runs = append(l.Runs, plainRun(n))
	}
	flush(t, e, l)

	var seen []int
	f := state.RunFilter{Project: 1, Limit: 5}
	for next := 31; ; next++ {
		page, _ := must2(e.ListRuns(t.Context(), f))(t)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			seen = append(seen, fromRunID(r.ID))
			f.After = r.ID
		}
		// What was seen last is gone, something newer is there.
		flush(t, e, fold.Layer{Runs: []weir.Run{plainRun(next)}, RunsGone: []weir.RunID{f.After}})
	}

	if diff := cmp.Diff(down(30, any1), seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// oneSnapshot has every flush write its number into all rows; a reader that sees
// two numbers at once saw a part of one.
func oneSnapshot(t *testing.T, s suite) {
	e := s.new(t)
	const rows, flushes = 70, 40
	layer := func(k int) fold.Layer {
		l := fold.Layer{}
		for n := 1; n <= rows; n++ {
			r, g := plainRun(n), plainGroup(n)
			r.Due, g.Due = weir.Time(k), weir.Time(k)
			l.Runs, l.Groups = append(l.Runs, r), append(l.Groups, g)
		}
		return l
	}
	flush(t, e, layer(1))

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					checkSnapshot(t, e, rows)
				}
			}
		})
	}
	for k := 2; k <= flushes; k++ {
		flush(t, e, layer(k))
	}
	close(done)
	readers.Wait()
}

func checkSnapshot(t *testing.T, e Engine, rows int) {
	groups, listed, err := e.ListGroups(t.Context(), state.GroupFilter{Project: 1})
	if err != nil || len(groups) != rows {
		t.Errorf("%d groups, %v", len(groups), err)
	}
	for _, g := range groups {
		if g.Due != weir.Time(listed.AsOf) {
			t.Errorf("as of %d, a group of %d", listed.AsOf, g.Due)
		}
	}
	runs, listed, err := e.ListRuns(t.Context(), state.RunFilter{Project: 1})
	if err != nil || len(runs) != rows {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	for _, r := range runs {
		if r.Due != weir.Time(listed.AsOf) {
			t.Errorf("as of %d, a run of %d", listed.AsOf, r.Due)
		}
	}
	p, err := e.Load(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	for i := range p.Runs {
		if p.Runs[i].Due != weir.Time(p.Cursor) || p.Groups[i].Due != weir.Time(p.Cursor) {
			t.Errorf("loaded as of %d: %v and %v", p.Cursor, p.Runs[i], p.Groups[i])
		}
	}
}

func runsMove(t *testing.T, s suite) {
	e := s.new(t)
	states := [...]weir.RunState{weir.RunPending, weir.RunWaiting, weir.RunDead}
	for from := range states {
		for to := range states {
			l, moved := fold.Layer{}, fold.Layer{}
			for n := 1; n <= 12; n++ {
				r := plainRun(n)
				r.State = states[from]
				l.Runs = append(l.Runs, r)
				r.State = states[to]
				moved.Runs = append(moved.Runs, r)
			}
			flush(t, e, l)
			flush(t, e, moved)
			for k, st := range states {
				got := runNumbers(t, e, state.RunFilter{Project: 1, State: st})
				if want := down(12, func(int) bool { return k == to }); !slices.Equal(got, want) {
					t.Errorf("from %v to %v: %v are %v", states[from], states[to], got, st)
				}
			}
		}
	}
}
