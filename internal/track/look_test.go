package track_test

import (
	"fmt"
	"strconv"
	"testing"

	"weir"
	"weir/client"
)

const members = 2*weir.ChunkSize + 10 // of a batch that state has in chunks

var (
	each  = weir.Trigger{Name: "each", Match: []weir.Criterion{{Types: []string{"e"}}}}
	batch = weir.Trigger{
		Name: "batch", Match: []weir.Criterion{{Types: []string{"b"}}}, Fire: []weir.Criterion{{Count: members}}, Expire: "opened + 1h",
	}
)

func numbers(from, to int) []string {
	ids := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		ids = append(ids, strconv.Itoa(i))
	}
	return ids
}

// A run may end, and leave state, between any two reads of a look: it is shown
// with its whole batch, as it was or as it is.
func TestARunThatEndsDuringALookIsShownWhole(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 3; n++ {
		t.Run(fmt.Sprintf("after read %d", n), func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, r *rig) {
				r.apply(batch)
				r.events("b", numbers(0, members)...)
				r.flush()
				run := r.live()[0]
				reader := r.interrupted(n, func() {
					r.end(run, weir.Succeeded)
					r.flush()
				})

				got, err := reader.Run(t.Context(), 1, run.ID)

				if err != nil || got.Count != members || len(got.Events) != members || got.State != "pending" && got.State != "succeeded" {
					t.Errorf("%s with %d of %d events, %v", got.State, len(got.Events), got.Count, err)
				}
			})
		})
	}
}

// A group may fire, and its run end and leave state, between any two reads.
func TestAGroupThatEndsDuringALookIsShownWhole(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 3; n++ {
		for _, open := range []bool{true, false} {
			t.Run(fmt.Sprintf("after read %d, open %v", n, open), func(t *testing.T) {
				t.Parallel()
				onEach(t, func(t *testing.T, r *rig) {
					r.apply(batch)
					r.events("b", numbers(0, members-1)...)
					r.flush()
					page, err := r.reader.Groups(t.Context(), 1, client.GroupFilter{}, client.Paging{})
					if err != nil || len(page.Items) != 1 {
						t.Fatalf("groups %+v, %v", page.Items, err)
					}
					id, err := weir.ParseGroupID(page.Items[0].ID)
					if err != nil {
						t.Fatal(err)
					}
					fire := func() {
						r.events("b", "last")
						r.flush()
					}
					if !open {
						fire()
					}
					reader := r.interrupted(n, func() {
						if open {
							fire()
						}
						r.end(r.live()[0], weir.Succeeded)
						r.flush()
					})

					got, err := reader.Group(t.Context(), 1, id)

					want := members
					if got.State == "open" {
						want--
					}
					if err != nil || got.Count != want || len(got.Events) != want || got.Opened/1000 != page.Items[0].Opened/1000 {
						t.Errorf("%s with %d of %d events, want %d, %v", got.State, len(got.Events), got.Count, want, err)
					}
				})
			})
		}
	}
}

func TestLooksByIDReadPastTheCursorAndListsDoNot(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.apply(each)
		r.events("e", "first")
		r.flush()
		run := r.live()[0]

		r.end(run, weir.Succeeded)
		item := r.events("e", "second")[0]
		uid := weir.Place(item.At, 0, item.Seq)

		if e, err := r.reader.Event(t.Context(), 1, uid); err != nil || e.ID != "second" {
			t.Errorf("the event that is not folded: %+v, %v", e, err)
		}
		if got, err := r.reader.Run(t.Context(), 1, run.ID); err != nil || got.State != "succeeded" || len(got.Attempts) != 1 {
			t.Errorf("the run whose end is not folded: %+v, %v", got, err)
		}
		events, err := r.reader.Events(t.Context(), 1, client.EventFilter{}, client.Paging{})
		if err != nil || len(events.Items) != 1 || events.Items[0].ID != "first" {
			t.Errorf("listed events %+v, %v", events.Items, err)
		}
		if runs := listAll(t, r.reader, client.RunFilter{}, 10, func() {}); len(runs) != 1 || runs[0].State != "pending" {
			t.Errorf("listed runs %+v", runs)
		}

		r.flush()

		if runs := listAll(t, r.reader, client.RunFilter{}, 10, func() {}); len(runs) != 2 || runs[0].State != "pending" || runs[1].State != "succeeded" {
			t.Errorf("listed runs after the flush %+v", runs)
		}
	})
}

func TestWhatIsAnothersIsNotThere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.apply(each, batch)
		item := r.events("e", "1")[0]
		r.events("b", "2")
		r.flush()
		run := r.live()[0]
		groups, err := r.reader.Groups(t.Context(), 1, client.GroupFilter{}, client.Paging{})
		if err != nil || len(groups.Items) != 1 {
			t.Fatal(groups, err)
		}
		group, err := weir.ParseGroupID(groups.Items[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		uid := weir.Place(item.At, 0, item.Seq)
		for ended := range 2 {
			for what, look := range map[string]func() error{
				"event":           func() error { _, err := r.reader.Event(t.Context(), 2, uid); return err },
				"run":             func() error { _, err := r.reader.Run(t.Context(), 2, run.ID); return err },
				"group":           func() error { _, err := r.reader.Group(t.Context(), 2, group); return err },
				"event of no seq": func() error { _, err := r.reader.Event(t.Context(), 1, weir.Place(item.At, 0, 1000)); return err },
				"event of no time": func() error {
					_, err := r.reader.Event(t.Context(), 1, weir.Place(item.At+5000, 0, item.Seq))
					return err
				},
				"a change's place": func() error { _, err := r.reader.Event(t.Context(), 1, weir.Place(item.At, 0, 1)); return err },
			} {
				if err := look(); weir.CodeOf(err) != weir.NotFound {
					t.Errorf("%s, %d runs ended: %v", what, ended, err)
				}
			}
			if ended == 0 {
				r.end(run, weir.Cancelled)
				r.flush()
			}
		}
	})
}

// A run may have more changes than are shown; only the first says how it came
// to be.
func TestARunOfVeryManyChangesIsShownWithItsBeginning(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.apply(weir.Trigger{Name: "t", Match: []weir.Criterion{{Types: []string{"x"}}}})
		r.events("x", "1")
		r.flush()
		run := r.live()[0]
		const changes = 1200
		for n := range uint32(changes) {
			c := &weir.Change{Run: run.ID, N: n + 1, Kind: weir.Hastened, Trigger: "t"}
			if n == 0 {
				firing := run.Firing
				c.Firing = &firing
			}
			if n == changes-1 {
				c.Kind = weir.Succeeded
			}
			r.append(&weir.Record{Project: 1, Change: c})
		}
		r.flush()

		shown, err := r.reader.Run(t.Context(), 1, run.ID)
		if err != nil || shown.State != "succeeded" || shown.Reason != "matched" || len(shown.Events) != 1 || shown.Made != run.Firing.Made {
			t.Errorf("shown alone: %s, %s, %d events, %v", shown.State, shown.Reason, len(shown.Events), err)
		}
		page, err := r.reader.Runs(t.Context(), 1, client.RunFilter{Execution: "x-1"}, client.Paging{})
		if err != nil || len(page.Items) != 1 || page.Items[0].Count != 1 {
			t.Errorf("listed: %+v, %v", page.Items, err)
		}
	})
}
