package statetest

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/fold"
)

// universe is how many groups and runs the model has: more than fit into one
// statement.
const universe = 60

// model is state as maps, by number.
type model struct {
	Groups map[int]weir.Group
	Runs   map[int]weir.Run
	Chunks map[int][]weir.Chunk
}

func emptyModel() *model {
	return &model{Groups: map[int]weir.Group{}, Runs: map[int]weir.Run{}, Chunks: map[int][]weir.Chunk{}}
}

// likeAModel flushes random layers and does the same to a model.
func likeAModel(t *testing.T, s suite) {
	e := s.new(t)
	all := numbers()
	rapid.Check(t, func(rt *rapid.T) {
		runs := make([]weir.RunID, 0, universe)
		for _, n := range all {
			runs = append(runs, runID(n))
		}
		flush(t, e, fold.Layer{GroupsGone: groupIDs(all...), ChunksGone: groupIDs(all...), RunsGone: runs})

		m := emptyModel()
		for range rapid.IntRange(1, 4).Draw(rt, "flushes") {
			flush(t, e, m.layer(rt))
			if got := read(t, e, all); !reflect.DeepEqual(m, got) {
				rt.Fatalf("(-model +state):\n%s", cmp.Diff(m, got))
			}
		}
	})
}

// layer draws a layer and does to the model what it says.
func (m *model) layer(rt *rapid.T) (l fold.Layer) {
	for _, n := range draw(rt, "groups") {
		g := fullGroup(n)
		g.Count, g.Tail = rapid.IntRange(0, 1<<20).Draw(rt, "count"), members(n, n%7)
		if len(g.Tail) == 0 {
			g.Tail = nil
		}
		l.Groups, m.Groups[n] = append(l.Groups, g), g
	}
	for _, n := range draw(rt, "runs") {
		r := fullRun(n)
		r.Tries, r.Error, r.Firing.Members = rapid.IntRange(0, 9).Draw(rt, "tries"), rapid.String().Draw(rt, "error"), members(n, 2)
		l.Runs, m.Runs[n] = append(l.Runs, r), r
	}
	for _, n := range draw(rt, "chunks") {
		k := weir.Chunk{Group: groupID(n), Index: len(m.Chunks[n]), Members: members(n, 3)}
		l.Chunks, m.Chunks[n] = append(l.Chunks, k), append(m.Chunks[n], k)
	}
	for _, n := range draw(rt, "gone") {
		if n%2 == 0 {
			l.GroupsGone, l.RunsGone = append(l.GroupsGone, groupID(n)), append(l.RunsGone, runID(n))
			delete(m.Groups, n)
			delete(m.Runs, n)
			continue
		}
		l.ChunksGone = append(l.ChunksGone, groupID(n))
		delete(m.Chunks, n)
	}
	return l
}

// numbers is the universe, in order.
func numbers() []int {
	all := make([]int, universe)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// draw draws which of the universe a layer touches, in order.
func draw(rt *rapid.T, what string) []int {
	few, many := rapid.IntRange(0, 5), rapid.IntRange(0, universe)
	n := rapid.OneOf(few, many).Draw(rt, "number of "+what)
	touched := rapid.Permutation(numbers()).Draw(rt, what)[:n]
	slices.Sort(touched)
	return touched
}

// read reads the universe as a model.
func read(t testing.TB, e Engine, all []int) *model {
	t.Helper()
	m := emptyModel()
	for _, g := range groupsOf(t, e, all...) {
		m.Groups[fromGroupID(g.ID)] = *g
	}
	for _, r := range runsOf(t, e, all...) {
		m.Runs[fromRunID(r.ID)] = *r
	}
	for _, k := range must(e.Chunks(t.Context(), groupIDs(all...)))(t) {
		m.Chunks[fromGroupID(k.Group)] = append(m.Chunks[fromGroupID(k.Group)], k)
	}
	refs := must(e.Load(t.Context()))(t)
	if len(refs.Groups) != len(m.Groups) || len(refs.Runs) != len(m.Runs) {
		t.Errorf("load refers to %d groups and %d runs of %d and %d", len(refs.Groups), len(refs.Runs), len(m.Groups), len(m.Runs))
	}
	return m
}
