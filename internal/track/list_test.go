package track_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir"
	"weir/client"
)

// Whatever ends between the pages of a list, the runs that were there at its
// beginning are listed once each.
func TestEachRunIsListedOnceWhileRunsEnd(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, r *rig) {
				random := rand.New(rand.NewPCG(seed, 1))
				r.apply(each)
				r.events("e", numbers(0, 40)...)
				r.flush()
				kinds := []weir.ChangeKind{weir.Succeeded, weir.Cancelled, weir.Died, weir.Retrying}
				change := func(percent int) {
					for _, run := range r.live() {
						if run.State == weir.RunPending && random.IntN(100) < percent {
							r.end(run, kinds[random.IntN(len(kinds))])
						}
					}
					r.flush()
				}
				change(30)
				made := 40

				all := listAll(t, r.reader, client.RunFilter{}, 1+random.IntN(12), func() {
					change(random.IntN(40))
					if random.IntN(2) == 0 {
						r.events("e", fmt.Sprint(made))
						made++
					}
				})

				seen := map[string]int{}
				for _, run := range all {
					seen[run.ID]++
				}
				for _, run := range all {
					if seen[run.ID] != 1 {
						t.Errorf("%s is listed %d times", run.ID, seen[run.ID])
					}
				}
				if len(all) < 40 {
					t.Errorf("%d runs are listed of the 40 that were there", len(all))
				}
			})
		})
	}
}

func TestRunsAreFilteredAndPagedAlike(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		other := weir.Trigger{Name: "other", Match: each.Match, Run: "p"}
		r.apply(each, other)
		for i := range 6 {
			r.events("e", numbers(10*i, 10*i+10)...)
			r.flush()
		}
		for i, run := range r.live() {
			if kinds := []weir.ChangeKind{0, weir.Succeeded, weir.Cancelled, weir.Died, weir.Retrying}; kinds[i%5] != 0 {
				r.end(run, kinds[i%5])
			}
		}
		r.flush()
		whole := listAll(t, r.reader, client.RunFilter{}, 1000, func() {})
		if len(whole) != 120 {
			t.Fatalf("%d runs, want 120", len(whole))
		}
		var made []weir.Time
		for _, run := range whole {
			made = append(made, run.Made)
		}
		slices.Sort(made)
		middle := made[len(made)/2]
		for _, f := range []client.RunFilter{
			{},
			{State: "pending"},
			{State: "dead"},
			{State: "succeeded"},
			{State: "cancelled"},
			{State: "running"},
			{Trigger: "each"},
			{Trigger: "other", State: "succeeded"},
			{Trigger: "nothing"},
			{Pipeline: "p"},
			{Pipeline: "p", Trigger: "each"},
			{Execution: "x-33"},
			{Execution: "x-33", Pipeline: "p"},
			{Since: middle},
			{Until: middle},
			{Since: middle, State: "succeeded"},
		} {
			var want []string
			for _, run := range whole {
				if (f.State == "" || f.State == run.State) && (f.Trigger == "" || f.Trigger == run.Trigger) &&
					(f.Pipeline == "" || f.Pipeline == run.Pipeline) && (f.Since == 0 || run.Made >= f.Since) &&
					(f.Until == 0 || run.Made < f.Until) && (f.Execution == "" || slices.Contains(run.Executions, f.Execution)) {
					want = append(want, run.ID)
				}
			}
			for _, size := range []int{1, 7, 1000} {
				var got []string
				for _, run := range listAll(t, r.reader, f, size, func() {}) {
					got = append(got, run.ID)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%+v in pages of %d: %d runs, want %d in their order", f, size, len(got), len(want))
				}
			}
		}
	})
}

func TestEventsAreFilteredAndPagedAlike(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		random := rand.New(rand.NewPCG(1, 1))
		pick := func(list ...string) string { return list[random.IntN(len(list))] }
		for i := range 20 {
			var records []*weir.Record
			for k := range 10 {
				records = append(records, &weir.Record{Project: 1, Event: &weir.Event{
					ID: fmt.Sprint(10*i + k), Source: pick("/a", "/b"), Type: pick("t", "u", "v"), Subject: pick("", "s", "r"), Execution: pick("x", "y"),
				}})
			}
			r.append(records...)
		}
		r.flush()
		whole, err := r.reader.Events(t.Context(), 1, client.EventFilter{}, client.Paging{Limit: 1000})
		if err != nil || len(whole.Items) != 200 {
			t.Fatalf("%d events, %v", len(whole.Items), err)
		}
		for range 60 {
			f := client.EventFilter{
				Type: pick("", "", "t", "u"), Source: pick("", "", "/a"), Subject: pick("", "", "s"), Execution: pick("", "", "x"), ID: pick("", "", "", "7"),
			}
			if random.IntN(3) == 0 {
				f.Since = whole.Items[random.IntN(200)].At
			}
			if random.IntN(3) == 0 {
				f.Until = whole.Items[random.IntN(200)].At
			}
			var want []string
			for _, e := range whole.Items {
				if (f.Type == "" || f.Type == e.Type) && (f.Source == "" || f.Source == e.Source) && (f.Subject == "" || f.Subject == e.Subject) &&
					(f.Execution == "" || f.Execution == e.Execution) && (f.ID == "" || f.ID == e.ID) &&
					(f.Since == 0 || e.At >= f.Since) && (f.Until == 0 || e.At < f.Until) {
					want = append(want, e.UID)
				}
			}
			size := 1 + random.IntN(20)
			var got []string
			for p := (client.Paging{Limit: size}); ; {
				page, err := r.reader.Events(t.Context(), 1, f, p)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Items {
					got = append(got, e.UID)
				}
				if p.After = page.Next; p.After == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%+v in pages of %d: %d events, want %d in their order", f, size, len(got), len(want))
			}
		}
	})
}

func TestAPlaceThatNoPageGaveIsRefused(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		for _, after := range []string{"x", "-", "5", "5-", "-5", "1-2-3", "run_1-2", "run_01a20d1fcdd17bc199118e89d08d183f", "99999999999999999999-1"} {
			if _, err := r.reader.Runs(t.Context(), 1, client.RunFilter{}, client.Paging{After: after}); weir.CodeOf(err) != weir.Invalid {
				t.Errorf("runs after %q: %v", after, err)
			}
		}
		if _, err := r.reader.Groups(t.Context(), 1, client.GroupFilter{}, client.Paging{After: "x"}); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("groups: %v", err)
		}
		if _, err := r.reader.Events(t.Context(), 1, client.EventFilter{}, client.Paging{After: "-1"}); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("events: %v", err)
		}
		if _, err := r.reader.Runs(t.Context(), 1, client.RunFilter{State: "happy"}, client.Paging{}); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("a state that there is not: %v", err)
		}
	})
}

// What is being tried is said by the dispatcher, but a list of one state, which
// is as of the cursor, shows no other.
func TestARunThatIsBeingTriedIsShownAsRunning(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.apply(each)
		r.events("e", "1")
		r.flush()
		run := r.live()[0]

		r.trying[run.ID] = true

		if got, err := r.reader.Run(t.Context(), 1, run.ID); err != nil || got.State != "running" {
			t.Errorf("shown alone it is %s, %v", got.State, err)
		}
		if all := listAll(t, r.reader, client.RunFilter{}, 10, func() {}); all[0].State != "running" {
			t.Errorf("in a list of all it is %s", all[0].State)
		}
		if all := listAll(t, r.reader, client.RunFilter{State: "pending"}, 10, func() {}); all[0].State != "pending" {
			t.Errorf("in a list of those that are pending it is %s", all[0].State)
		}
	})
}

func TestAPageOfLargeEventsIsShortAndGoesOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		data := []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
		const events = 20
		for i := range events {
			r.append(&weir.Record{Project: 1, Event: &weir.Event{ID: strconv.Itoa(i), Source: "/s", Type: "x", Data: data}})
		}
		r.flush()

		seen, pages := 0, 0
		for p := (client.Paging{Limit: 1000}); ; pages++ {
			page, err := r.reader.Events(t.Context(), 1, client.EventFilter{}, p)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Items) > 8 {
				t.Errorf("a page has %d events of a MiB", len(page.Items))
			}
			seen += len(page.Items)
			if p.After = page.Next; p.After == "" {
				break
			}
		}
		if seen != events || pages < 2 {
			t.Errorf("%d events on %d pages", seen, pages+1)
		}
	})
}
