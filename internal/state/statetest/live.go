package statetest

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir"
	"weir/internal/fold"
)

// members makes n of them, not all in order.
func members(from, n int) []weir.Member {
	list := make([]weir.Member, n)
	for i := range list {
		list[i] = weir.Member{Time: start + weir.Time(i*i%97) - weir.Time(i%3)*weir.Minute, Seq: weir.Seq(from + i)}
	}
	return list
}

// fullGroup has a value in every field.
func fullGroup(n int) weir.Group {
	g := plainGroup(n)
	g.Revision, g.Late, g.Full, g.Quiet = 1<<40, true, true, true
	g.Joined, g.First, g.Last = start+9, start-weir.Minute, start+5
	g.Count, g.Have, g.Hops, g.DueReason = 1027, []int{5, 0, 300}, 15, weir.Late
	g.Executions, g.Chunks, g.Tail = []string{"a", "b c", "ü"}, 4, members(n, 3)
	g.Key = `{"a":null,"b":"x\u0000y","c":1.0}`
	return g
}

// fullRun has a value in every field.
func fullRun(n int) weir.Run {
	r := plainRun(n)
	r.State, r.N, r.Tries, r.Error, r.Ended = weir.RunDead, 1<<31, 8, "POST https://a.example: 500", start+7
	r.Lane.Key = `"tenant 7"`
	r.Queued, r.Holds = weir.Precedence{Due: start - 9, Seq: 1 << 50}, true
	r.Firing = weir.Firing{
		Reason: weir.Expired, Trigger: "usage", Revision: 1 << 50, Key: `{"n":1}`, Group: groupID(n), PipeRev: 12,
		Made: start - 1, Executions: []string{"a", "b"}, Members: members(n, 255), Chunks: 3, Hops: 16, Quiet: true,
	}
	r.Done = []weir.StepOutcome{
		{Index: 0, Kind: "http", Finished: true, Took: 17 * time.Millisecond, Detail: "POST 200", Output: []byte(`{"a":[1]}`)},
		{Index: 2, Kind: "emit", Finished: true, Took: time.Nanosecond, Error: "late", Emitted: 3},
	}
	return r
}

func groupRoundTrip(t *testing.T, s suite) {
	e := s.new(t)
	want := []*weir.Group{new(fullGroup(1)), new(plainGroup(2)), {ID: groupID(3), Project: 1, Trigger: "usage"}}
	flush(t, e, fold.Layer{Groups: []weir.Group{*want[0], *want[1], *want[2]}})
	if diff := gocmp.Diff(want, groupsOf(t, e, 1, 2, 3)); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}

	// A put is the whole row: what a group no longer has is gone.
	*want[0], *want[2] = plainGroup(1), fullGroup(3)
	flush(t, e, fold.Layer{Groups: []weir.Group{*want[0], *want[2]}})
	if diff := gocmp.Diff(want, groupsOf(t, e, 1, 2, 3)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}

func runRoundTrip(t *testing.T, s suite) {
	e := s.new(t)
	empty := weir.Run{ID: runID(3), Project: 1, State: weir.RunWaiting, Lane: weir.Lane{Project: 1}}
	want := []*weir.Run{new(fullRun(1)), new(plainRun(2)), &empty}
	flush(t, e, fold.Layer{Runs: []weir.Run{*want[0], *want[1], *want[2]}})
	if diff := gocmp.Diff(want, runsOf(t, e, 1, 2, 3)); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}

	*want[0], *want[1] = plainRun(1), fullRun(2)
	flush(t, e, fold.Layer{Runs: []weir.Run{*want[0], *want[1]}})
	if diff := gocmp.Diff(want, runsOf(t, e, 1, 2, 3)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}

func chunksCollect(t *testing.T, s suite) {
	e := s.new(t)
	var want []weir.Chunk
	for i := range 12 { // more than nine, so that text order would show
		for _, g := range []int{1, 2} {
			want = append(want, weir.Chunk{Group: groupID(g), Index: i, Members: members(i*weir.ChunkSize, weir.ChunkSize)})
		}
		flush(t, e, fold.Layer{Chunks: want[len(want)-2:]})
	}
	slices.SortFunc(want, compareChunks)

	got := must(e.Chunks(t.Context(), []weir.GroupID{groupID(2), groupID(1), groupID(3), groupID(2)}))(t)

	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func compareChunks(a, b weir.Chunk) int {
	return cmp.Or(slices.Compare(a.Group[:], b.Group[:]), a.Index-b.Index)
}

func chunksGo(t *testing.T, s suite) {
	e := s.new(t)
	chunk := func(g, i int) weir.Chunk {
		return weir.Chunk{Group: groupID(g), Index: i, Members: members(1, weir.ChunkSize)}
	}
	flush(t, e, fold.Layer{
		Groups: []weir.Group{plainGroup(1), plainGroup(2)},
		Chunks: []weir.Chunk{chunk(1, 0), chunk(1, 1), chunk(2, 0)},
	})

	flush(t, e, fold.Layer{GroupsGone: []weir.GroupID{groupID(1)}})
	if n := len(must(e.Chunks(t.Context(), []weir.GroupID{groupID(1)}))(t)); n != 2 {
		t.Errorf("%d chunks of a group that ended: its run has two", n)
	}

	flush(t, e, fold.Layer{ChunksGone: []weir.GroupID{groupID(1)}})
	got := must(e.Chunks(t.Context(), []weir.GroupID{groupID(1), groupID(2)}))(t)
	if len(got) != 1 || got[0].Group != groupID(2) {
		t.Errorf("left: %v", got)
	}
	if n := len(groupsOf(t, e, 2)); n != 1 {
		t.Errorf("the other group is gone")
	}
}

func absentLeftOut(t *testing.T, s suite) {
	e := s.new(t)
	l := fold.Layer{}
	var groups []weir.GroupID
	var runs []weir.RunID
	for n := 1; n <= 700; n++ { // several statements; every other one is there, and asked for twice
		groups, runs = append(groups, groupID(n), groupID(n)), append(runs, runID(n), runID(n))
		if n%2 == 0 {
			l.Groups, l.Runs = append(l.Groups, plainGroup(n)), append(l.Runs, plainRun(n))
		}
	}
	flush(t, e, l)

	for _, n := range []int{0, 1, 2, 15, 16, 17, 31, 256, 257, 512, 513, 700} {
		if got := must(e.Groups(t.Context(), groups[:2*n]))(t); len(got) != n/2 {
			t.Errorf("%d groups of %d", len(got), n)
		}
		if got := must(e.Runs(t.Context(), runs[:2*n]))(t); len(got) != n/2 {
			t.Errorf("%d runs of %d", len(got), n)
		}
	}
}

func loadRefers(t *testing.T, s suite) {
	e := s.new(t)
	l := fold.Layer{}
	want := fold.Checkpoint{Cursor: 1, At: start + 1}
	for n := 1; n <= 120; n++ {
		r, g := plainRun(n), plainGroup(n)
		if n%3 == 0 {
			r = fullRun(n)
		}
		l.Runs, l.Groups = append(l.Runs, r), append(l.Groups, g)
		want.Runs = append(want.Runs, fold.RunRef{ID: r.ID, State: r.State, Due: r.Due, Lane: &r.Lane, Queued: r.Queued, Holds: r.Holds})
		want.Groups = append(want.Groups, fold.GroupRef{ID: g.ID, KeyHash: g.KeyHash, Due: g.Due, Project: g.Project, Trigger: g.Trigger})
	}
	never := plainGroup(121)
	never.Due = 0
	l.Groups = append(l.Groups, never)
	want.Groups = append(want.Groups, fold.GroupRef{ID: never.ID, KeyHash: never.KeyHash, Project: never.Project, Trigger: never.Trigger})
	l.Leases = []fold.LeaseRow{{Run: runID(2), Node: "a", Try: 1, Began: start}, {Run: runID(5), Node: "b", Try: 9, Began: start + 1}}
	l.Breakers = []fold.BreakerRow{
		{Project: 1, Origin: "http://a.example", Failures: 3},
		{Project: 1, Origin: "http://b.example", Failures: 10, Until: start},
		{Project: 2, Origin: "http://a.example", Failures: 1},
	}
	want.Leases, want.Breakers = l.Leases, l.Breakers
	flush(t, e, l)

	got := must(e.Load(t.Context()))(t)

	byID := cmpopts.SortSlices(func(a, b fold.RunRef) bool { return slices.Compare(a.ID[:], b.ID[:]) < 0 })
	byGroup := cmpopts.SortSlices(func(a, b fold.GroupRef) bool { return slices.Compare(a.ID[:], b.ID[:]) < 0 })
	got.Projects = nil
	if diff := gocmp.Diff(want, *got, byID, byGroup); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func leasesReplaced(t *testing.T, s suite) {
	e := s.new(t)
	lease := func(n int) fold.LeaseRow { return fold.LeaseRow{Run: runID(n), Node: "here", Try: n, Began: start} }
	for _, leases := range [][]fold.LeaseRow{{lease(1), lease(2)}, {lease(2), lease(3)}, {}, {lease(1)}} {
		flush(t, e, fold.Layer{Leases: leases})
		got := must(e.Load(t.Context()))(t).Leases
		if diff := gocmp.Diff(leases, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func breakersReplaced(t *testing.T, s suite) {
	e := s.new(t)
	at := func(origin string) fold.BreakerRow { return fold.BreakerRow{Project: 1, Origin: origin, Failures: 1} }
	for _, breakers := range [][]fold.BreakerRow{{at("a"), at("b")}, {at("b"), at("c")}, {}, {at("a")}} {
		flush(t, e, fold.Layer{Breakers: breakers})
		got := must(e.Load(t.Context()))(t).Breakers
		if diff := gocmp.Diff(breakers, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func groupIDs(ns ...int) []weir.GroupID {
	ids := make([]weir.GroupID, len(ns))
	for i, n := range ns {
		ids[i] = groupID(n)
	}
	return ids
}

// groupsOf reads groups and sorts them.
func groupsOf(t testing.TB, e Engine, ns ...int) []*weir.Group {
	t.Helper()
	got := must(e.Groups(t.Context(), groupIDs(ns...)))(t)
	slices.SortFunc(got, func(a, b *weir.Group) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return got
}

// runsOf reads runs and sorts them.
func runsOf(t testing.TB, e Engine, ns ...int) []*weir.Run {
	t.Helper()
	ids := make([]weir.RunID, len(ns))
	for i, n := range ns {
		ids[i] = runID(n)
	}
	got := must(e.Runs(t.Context(), ids))(t)
	slices.SortFunc(got, func(a, b *weir.Run) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return got
}
