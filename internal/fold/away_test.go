package fold

import (
	"testing"

	"pgregory.net/rapid"

	"weir"
)

func TestAwayKnowsWhichRunsOnlyStateHas(t *testing.T) {
	t.Parallel()
	ids := rapid.Custom(func(t *rapid.T) (id weir.RunID) {
		id[rapid.SampledFrom([]int{0, 15}).Draw(t, "byte")] = byte(rapid.IntRange(0, 20).Draw(t, "id"))
		return id
	})
	rapid.Check(t, func(t *rapid.T) {
		model := map[weir.RunID]bool{}
		var refs []RunRef
		for _, id := range rapid.SliceOfDistinct(ids, func(id weir.RunID) weir.RunID { return id }).Draw(t, "first") {
			refs, model[id] = append(refs, RunRef{ID: id}), true
		}
		a := newAway(refs)
		for _, id := range rapid.SliceOf(ids).Draw(t, "moves") {
			if a.has(id) != model[id] {
				t.Fatalf("%v is away: %v, want %v", id, a.has(id), model[id])
			}
			if a.take(id) != model[id] {
				t.Fatalf("take %v: want %v", id, model[id])
			}
			if !model[id] {
				a.put(id)
			}
			model[id] = !model[id]
		}
	})
}
