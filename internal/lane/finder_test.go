package lane

import (
	"testing"

	"pgregory.net/rapid"

	"weir"
)

func TestFinderFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var s slots
		var f finder
		model := map[weir.RunID]int32{}
		if rapid.Bool().Draw(r, "expected") {
			f.expect(rapid.IntRange(0, 300).Draw(r, "many"))
		}
		ids := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) (id weir.RunID) {
			id[15] = byte(rapid.IntRange(0, 200).Draw(r, "id"))
			return id
		}), 1, 500).Draw(r, "ids")
		for _, id := range ids {
			at, ok := f.find(&s, id)
			if want, there := model[id]; ok != there || ok && at != want {
				r.Fatalf("%v in slot %d, %v; want %d, %v", id, at, ok, want, there)
			}
			if ok {
				f.remove(&s, id)
				s.drop(at)
				delete(model, id)
				continue
			}
			at = s.put(slot{id: id})
			f.add(&s, at)
			model[id] = at
		}

		left := 0
		for slot := range f.all() {
			left++
			if want, ok := model[s.items[slot].id]; !ok || want != slot {
				r.Fatalf("slot %d holds %v", slot, s.items[slot].id)
			}
		}
		if left != len(model) || f.count != left {
			r.Fatalf("%d are left, %d counted, want %d", left, f.count, len(model))
		}
	})
}
