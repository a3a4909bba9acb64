package track_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/state"
	"weir/internal/track"
)

// allEvents reads a list of events to its end and returns their ids.
func allEvents(t *testing.T, reader *track.Reader, f client.EventFilter, size int) (ids []string, looked int) {
	t.Helper()
	for p := (client.Paging{Limit: size}); ; {
		page, err := reader.Events(t.Context(), 1, f, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			ids = append(ids, e.ID)
		}
		if page.Looked != nil {
			looked += page.Looked.Records
		}
		if p.After = page.Next; p.After == "" {
			return ids, looked
		}
	}
}

func TestEventsAreFilteredByGlobsAndConditions(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		cause := weir.RunID{7}
		for _, e := range []weir.Event{
			{ID: "1", Type: "order.placed", Data: []byte(`{"total":5,"who":"ann","at":{"city":"Rome"}}`)},
			{ID: "2", Type: "order.paid", Data: []byte(`{"total":7.5,"who":"7","open":true}`)},
			{ID: "3", Type: "order.test", Data: []byte(`{"total":"5","who":7,"open":"true"}`)},
			{ID: "4", Type: "image.made", Data: []byte("GIF"), ContentType: "image/gif", Cause: cause},
			{ID: "5", Type: "order,odd", Data: []byte(`[5]`), Cause: cause},
		} {
			e.Source = "/s"
			r.append(&weir.Record{Project: 1, Event: &e})
		}
		r.append(&weir.Record{Project: 1, Event: &weir.Event{ID: "1", Source: "/other", Type: "order.placed"}})
		r.flush()
		for _, c := range []struct {
			filter client.EventFilter
			want   []string
		}{
			{client.EventFilter{Type: "order.*"}, []string{"1", "3", "2", "1"}},
			{client.EventFilter{Type: "order.*,!order.test,image.mad[e]"}, []string{"1", "4", "2", "1"}},
			{client.EventFilter{Type: "!order.*"}, []string{"5", "4"}},
			{client.EventFilter{Type: "order?odd"}, []string{"5"}},
			{client.EventFilter{Type: "order.placed"}, []string{"1", "1"}},
			{client.EventFilter{Cause: cause.String()}, []string{"5", "4"}},
			{client.EventFilter{Source: "/s", ID: "1"}, []string{"1"}},
			{client.EventFilter{Source: "/s", ID: "1", Type: "image.*"}, nil},
			{client.EventFilter{Source: "/s", ID: "9"}, nil},
			{client.EventFilter{Where: []string{"data.total > 4"}}, []string{"2", "1"}},
			{client.EventFilter{Where: []string{"data.total > 4", "event.type.endsWith('paid')"}}, []string{"2"}},
			{client.EventFilter{Where: []string{"event.source == '/other' || data.at.city == 'Rome'"}}, []string{"1", "1"}},
			{client.EventFilter{Data: []string{"total=5"}}, []string{"3", "1"}},
			{client.EventFilter{Data: []string{"total=7.5"}}, []string{"2"}},
			{client.EventFilter{Data: []string{"who=7"}}, []string{"3", "2"}},
			{client.EventFilter{Data: []string{"open=true", "who=7"}}, []string{"3", "2"}},
			{client.EventFilter{Data: []string{"at.city=Rome"}, Type: "order.*"}, []string{"1"}},
			{client.EventFilter{Data: []string{`who=ann" || true || "`}}, nil},
		} {
			for _, size := range []int{1, 100} {
				if got, _ := allEvents(t, r.reader, c.filter, size); !slices.Equal(got, c.want) {
					t.Errorf("%+v in pages of %d: %q, want %q", c.filter, size, got, c.want)
				}
			}
		}
	})
}

func TestAFilterThatIsNoneIsRefusedWithItsField(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.flush()
		field := func(err error) string {
			e, ok := errors.AsType[*weir.Error](err)
			if !ok || e.Code != weir.Invalid {
				return fmt.Sprint("not invalid: ", err)
			}
			return e.Field
		}
		for _, c := range []struct {
			filter client.EventFilter
			field  string
		}{
			{client.EventFilter{Type: "a,"}, "type"},
			{client.EventFilter{Type: "["}, "type"},
			{client.EventFilter{Cause: "7"}, "cause"},
			{client.EventFilter{Where: []string{"data.a >"}}, "where"},
			{client.EventFilter{Where: []string{"group.a == 1"}}, "where"},
			{client.EventFilter{Where: []string{"'text'"}}, "where"},
			{client.EventFilter{Where: []string{"[1,2,3].map(a, [1,2,3].map(b, data.map(c, data.map(d, data.map(e, data.map(f, 1)))))) == []"}}, "where"},
			{client.EventFilter{Where: slices.Repeat([]string{"true"}, 11)}, "where"},
			{client.EventFilter{Data: []string{"total"}}, "data"},
			{client.EventFilter{Data: []string{"=5"}}, "data"},
		} {
			if _, err := r.reader.Events(t.Context(), 1, c.filter, client.Paging{}); field(err) != c.field {
				t.Errorf("events %+v: %v", c.filter, err)
			}
		}
		for _, c := range []struct {
			filter client.RunFilter
			field  string
		}{
			{client.RunFilter{State: "happy"}, "state"},
			{client.RunFilter{Event: "7"}, "event"},
		} {
			if _, err := r.reader.Runs(t.Context(), 1, c.filter, client.Paging{}); field(err) != c.field {
				t.Errorf("runs %+v: %v", c.filter, err)
			}
		}
		for _, c := range []struct {
			filter client.GroupFilter
			field  string
		}{
			{client.GroupFilter{State: "closed"}, "state"},
			{client.GroupFilter{Key: "7"}, "key"},
			{client.GroupFilter{Key: "{"}, "key"},
			{client.GroupFilter{Key: "null"}, "key"},
		} {
			if _, err := r.reader.Groups(t.Context(), 1, c.filter, client.Paging{}); field(err) != c.field {
				t.Errorf("groups %+v: %v", c.filter, err)
			}
		}
	})
}

// A page that looked as far as it may is short, perhaps empty, says how far it
// looked, and goes on from there.
func TestAPageSaysHowFarItLooked(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		const events = 50_000
		for at := 0; at < events; at += 1000 {
			r.events("e", numbers(at, at+1000)...)
		}
		r.flush()

		page, err := r.reader.Events(t.Context(), 1, client.EventFilter{ID: "7"}, client.Paging{})
		if err != nil || len(page.Items) > 0 || page.Next == "" || page.Looked == nil || page.Looked.Records != 20_000 {
			t.Fatalf("%+v, %v", page, err)
		}
		last, err := r.journal.Records(t.Context(), []weir.Seq{events - 20_000 + 1})
		if err != nil || last[0].At != page.Looked.BackTo {
			t.Errorf("it looked back to %s, not %s, %v", page.Looked.BackTo, last[0].At, err)
		}
		if got, looked := allEvents(t, r.reader, client.EventFilter{ID: "7"}, 100); !slices.Equal(got, []string{"7"}) || looked != 40_000 {
			t.Errorf("%q, after %d and the last page", got, looked)
		}
		if page, err := r.reader.Events(t.Context(), 1, client.EventFilter{Type: "none"}, client.Paging{}); err != nil || page.Next != "" {
			t.Errorf("by a look-up %+v, %v", page, err)
		}
	})
}

// crowd is a state with very many runs and groups, none of which is asked for.
type crowd struct {
	track.State
	looked int
}

func (c *crowd) look(n int) state.Listed {
	c.looked += n
	l := state.Listed{AsOf: 9, Looked: n}
	binary.BigEndian.PutUint64(l.Reached[:], uint64(1_000_000-c.looked)<<16)
	return l
}

func (c *crowd) ListRuns(_ context.Context, f state.RunFilter) ([]*weir.Run, state.Listed, error) {
	return nil, c.look(f.Look), nil
}

func (c *crowd) ListGroups(_ context.Context, f state.GroupFilter) ([]*weir.Group, state.Listed, error) {
	return nil, c.look(f.Look), nil
}

// What stands in state is compared by the store, no further than a page may look.
func TestAPageLooksNoFurtherInStateToo(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]func(r *track.Reader) (string, *client.Looked, error){
		"runs": func(r *track.Reader) (string, *client.Looked, error) {
			page, err := r.Runs(t.Context(), 1, client.RunFilter{Error: "refused"}, client.Paging{})
			return page.Next, page.Looked, err
		},
		"groups": func(r *track.Reader) (string, *client.Looked, error) {
			page, err := r.Groups(t.Context(), 1, client.GroupFilter{Key: `{"n":"refused"}`}, client.Paging{})
			return page.Next, page.Looked, err
		},
	} {
		c := &crowd{}

		next, looked, err := list(&track.Reader{State: c})

		want := &client.Looked{Records: 20_000, BackTo: 980_000_000}
		if diff := cmp.Diff(want, looked); diff != "" || err != nil || next == "" || c.looked != 20_000 {
			t.Errorf("%s: %d looked at, next %q, %v (-want +got):\n%s", name, c.looked, next, err, diff)
		}
	}
}

func TestRunsAreFoundByEventAndError(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		other := weir.Trigger{Name: "other", Match: each.Match, Run: "p"}
		r.apply(each, other, batch)
		items := r.events("e", "e1", "e2", "e3")
		members := r.events("b", numbers(0, members)...)
		r.flush()
		live := r.live()
		var ended string
		for _, run := range live {
			if run.Firing.Trigger == "each" && run.Firing.Members[0].Seq == items[0].Seq {
				r.end(run, weir.Succeeded)
				ended = run.ID.String()
			}
			if run.Firing.Trigger == "other" {
				firing := run.Firing
				r.append(&weir.Record{Project: 1, Change: &weir.Change{
					Run: run.ID, N: 1, Kind: weir.Died, Pipeline: "p", Trigger: "other", Error: "connect: refused", Firing: &firing,
				}})
			}
		}
		r.flush()
		uid := func(i weir.Item) string { return weir.Place(i.At, 0, i.Seq).String() }
		for _, c := range []struct {
			filter client.RunFilter
			want   int
		}{
			{client.RunFilter{Event: uid(items[0])}, 2},
			{client.RunFilter{Event: uid(items[0]), State: "succeeded"}, 1},
			{client.RunFilter{Event: uid(items[1])}, 2},
			{client.RunFilter{Event: uid(items[1]), Trigger: "each"}, 1},
			{client.RunFilter{Event: uid(items[1]), State: "dead"}, 1},
			{client.RunFilter{Event: uid(members[0])}, 1},
			{client.RunFilter{Event: uid(members[len(members)-1])}, 1},
			{client.RunFilter{Error: "refused"}, 3},
			{client.RunFilter{Error: "refused", State: "dead"}, 3},
			{client.RunFilter{Error: "refused", State: "pending"}, 0},
			{client.RunFilter{Error: "other"}, 0}, // stands in what is stored, not in the error
		} {
			for _, size := range []int{1, 100} {
				if got := listAll(t, r.reader, c.filter, size, func() {}); len(got) != c.want {
					t.Errorf("%+v in pages of %d: %d runs, want %d", c.filter, size, len(got), c.want)
				}
			}
		}
		if got := listAll(t, r.reader, client.RunFilter{Event: uid(items[0]), State: "succeeded"}, 9, func() {}); got[0].ID != ended {
			t.Errorf("got %s, want %s", got[0].ID, ended)
		}
		absent := weir.Place(items[0].At+1_000_000, 0, items[0].Seq).String()
		if _, err := r.reader.Runs(t.Context(), 1, client.RunFilter{Event: absent}, client.Paging{}); weir.CodeOf(err) != weir.NotFound {
			t.Errorf("an event that there is not: %v", err)
		}
	})
}

var perUser = weir.Trigger{
	Name: "user", Match: []weir.Criterion{{Types: []string{"g"}}}, GroupBy: []weir.KeyPart{{Name: "user", Of: "data.user"}, {Name: "n", Of: "data.n"}},
	Fire: []weir.Criterion{{Count: 2}}, Expire: "opened + 1h",
}

// member appends an event of the trigger perUser.
func (r *rig) member(id, user string, n int) {
	r.t.Helper()
	data := fmt.Sprintf(`{"user":%q,"n":%d}`, user, n)
	r.append(&weir.Record{Project: 1, Event: &weir.Event{ID: id, Source: "/s", Type: "g", Data: []byte(data)}})
}

func groupKeys(t *testing.T, reader *track.Reader, f client.GroupFilter, size int, between func()) (keys []string) {
	t.Helper()
	for p := (client.Paging{Limit: size}); ; {
		page, err := reader.Groups(t.Context(), 1, f, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.Items {
			keys = append(keys, string(g.Key))
		}
		if p.After = page.Next; p.After == "" {
			return keys
		}
		between()
	}
}

func TestGroupsAreFilteredByStateAndKey(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.apply(perUser)
		for i, user := range []string{"ann", "b b", `c"<é`} {
			for n := range 3 {
				r.member(fmt.Sprint(i, n, "a"), user, n)
				if n < 2 {
					r.member(fmt.Sprint(i, n, "b"), user, n) // it fires
				}
			}
		}
		r.flush()
		for _, run := range r.live()[:3] {
			r.end(run, weir.Succeeded)
		}
		r.flush()
		for _, c := range []struct {
			filter client.GroupFilter
			want   int
		}{
			{client.GroupFilter{}, 3},
			{client.GroupFilter{State: "open", Trigger: "user"}, 3},
			{client.GroupFilter{Trigger: "none"}, 0},
			{client.GroupFilter{Key: `{"user": "ann"}`}, 1},
			{client.GroupFilter{Key: `{"user":"b b"}`}, 1},
			{client.GroupFilter{Key: `{"user":"c\"\u003c\u00e9"}`}, 1},
			{client.GroupFilter{Key: `{"n":2}`}, 3},
			{client.GroupFilter{Key: `{"n":2.0}`}, 0},
			{client.GroupFilter{Key: `{"n":"2"}`}, 0},
			{client.GroupFilter{Key: `{"n":2,"user":"ann"}`}, 1},
			{client.GroupFilter{Key: `{"none":null}`}, 0},
			{client.GroupFilter{State: "ended"}, 6},
			{client.GroupFilter{State: "fired", Trigger: "user", Key: `{"user":"ann"}`}, 2},
			{client.GroupFilter{State: "fired", Key: `{"user":"c\"<é","n":1}`}, 1},
			{client.GroupFilter{State: "expired"}, 0},
		} {
			for _, size := range []int{1, 2, 100} {
				if got := groupKeys(t, r.reader, c.filter, size, func() {}); len(got) != c.want {
					t.Errorf("%+v in pages of %d: %q, want %d", c.filter, size, got, c.want)
				}
			}
		}
	})
}

// Whatever opens and ends between the pages, the groups that were there at the
// beginning, and still are what was asked for, are listed once each.
func TestEachGroupIsListedOnceWhileGroupsEnd(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, r *rig) {
				random := rand.New(rand.NewPCG(seed, 3))
				r.apply(perUser)
				made := 0
				open := func(count, ends int) {
					for range count {
						made++
						r.member(fmt.Sprint(made, "a"), "u", made)
						if random.IntN(100) < ends {
							r.member(fmt.Sprint(made, "b"), "u", made)
						}
					}
				}
				end := func() {
					for _, run := range r.live() {
						if random.IntN(3) == 0 {
							r.end(run, weir.Succeeded)
						}
					}
				}
				open(40, 50)
				r.flush()
				before := map[string][]string{}
				for _, state := range []string{"open", "ended"} {
					before[state] = groupKeys(t, r.reader, client.GroupFilter{State: state}, 1000, func() {})
				}

				for _, state := range []string{"ended", "open"} {
					got := groupKeys(t, r.reader, client.GroupFilter{State: state}, 1+random.IntN(6), func() {
						end()
						open(random.IntN(4), 50)
						r.flush()
					})
					seen := map[string]int{}
					for _, key := range got {
						if seen[key]++; seen[key] > 1 {
							t.Errorf("%s: %s is listed %d times", state, key, seen[key])
						}
					}
					for _, key := range before[state] {
						if seen[key] == 0 {
							t.Errorf("%s: %s is not listed", state, key)
						}
					}
				}
			})
		})
	}
}

func TestEventsAreListedOnceWhileOthersCome(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.events("e", numbers(0, 95)...)
		r.flush()
		want := numbers(0, 95)
		slices.Reverse(want)
		for _, f := range []client.EventFilter{{}, {Type: "e"}, {Type: "e*"}, {Source: "/s", Where: []string{"event.type == 'e'"}}} {
			var got []string
			for p := (client.Paging{Limit: 9}); ; {
				page, err := r.reader.Events(t.Context(), 1, f, p)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Items {
					if e.Seq <= 95 {
						got = append(got, e.ID)
					}
				}
				if p.After = page.Next; p.After == "" {
					break
				}
				r.events("e", strconv.Itoa(int(r.journal.Head())+1000))
				r.flush()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", f, diff)
			}
		}
	})
}

// A list is as of what was flushed: it says so, and shows nothing newer.
func TestListsSayWhatTheyAreAsOf(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.apply(each, perUser)
		events, err := r.reader.Events(t.Context(), 1, client.EventFilter{}, client.Paging{})
		if err != nil || events.AsOf != 0 || len(events.Items) > 0 {
			t.Errorf("before the first flush: %+v, %v", events, err)
		}
		r.events("e", "1", "2")
		r.flush()
		r.events("e", "3")
		events, err = r.reader.Events(t.Context(), 1, client.EventFilter{}, client.Paging{})
		if err != nil || events.AsOf != 3 || len(events.Items) != 2 {
			t.Errorf("events as of %d: %d, %v", events.AsOf, len(events.Items), err)
		}
		for _, state := range []string{"", "pending", "succeeded"} {
			runs, err := r.reader.Runs(t.Context(), 1, client.RunFilter{State: state}, client.Paging{})
			if err != nil || runs.AsOf != 3 {
				t.Errorf("%s runs as of %d, %v", state, runs.AsOf, err)
			}
		}
		for _, state := range []string{"", "ended"} {
			groups, err := r.reader.Groups(t.Context(), 1, client.GroupFilter{State: state}, client.Paging{})
			if err != nil || groups.AsOf != 3 {
				t.Errorf("%s groups as of %d, %v", state, groups.AsOf, err)
			}
		}
	})
}

// counting is a journal that counts the records that were looked at.
type counting struct {
	track.Journal
	looked int
}

func (c *counting) Find(ctx context.Context, q journal.Query) (journal.Found, error) {
	found, err := c.Journal.Find(ctx, q)
	c.looked += found.Looked
	return found, err
}

// By an attribute that has a look-up, a page looks at what it shows, however much
// else there is.
func TestALookUpLooksAtWhatItShows(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.apply(each)
		const others = 40_000
		for at := 0; at < others; at += 1000 {
			r.events("other", numbers(at, at+1000)...)
			r.events("rare", fmt.Sprint("r", at))
		}
		r.events("e", "e1")
		r.flush()
		r.end(r.live()[0], weir.Succeeded)
		r.flush()
		counted := &counting{Journal: r.journal}
		reader := &track.Reader{Journal: counted, State: r.state, Dispatcher: r}
		for _, c := range []struct {
			filter client.EventFilter
			shown  int
		}{
			{client.EventFilter{Type: "rare"}, 10},
			{client.EventFilter{Type: "rare", Source: "/s"}, 10},
			{client.EventFilter{Execution: "x-r7000"}, 1},
			{client.EventFilter{Source: "/s", ID: "100"}, 1},
			{client.EventFilter{Type: "other"}, 10},
		} {
			counted.looked = 0
			page, err := reader.Events(t.Context(), 1, c.filter, client.Paging{Limit: 10})
			if err != nil || len(page.Items) != c.shown || counted.looked > c.shown+1 {
				t.Errorf("%+v: looked at %d records to show %d, %v", c.filter, counted.looked, len(page.Items), err)
			}
		}
		counted.looked = 0
		page, err := reader.Runs(t.Context(), 1, client.RunFilter{Execution: "x-e1"}, client.Paging{})
		if err != nil || len(page.Items) != 1 || counted.looked > 3 { // its event, its change, and that by its run
			t.Errorf("looked at %d records to show %d runs, %v", counted.looked, len(page.Items), err)
		}
	})
}
