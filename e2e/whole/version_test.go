package whole

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir"
	"weir/client"
)

// A run that was made is of the version in force then, however long it waits:
// over applies, also one that no longer has its pipeline, and over a restart.
func TestARunThatWaitsKeepsTheVersionThatItWasMadeWith(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mended := make(chan struct{})
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		select {
		case <-mended:
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	first := startIn(t, dir, same)
	first.define(`
triggers:
  named: {match: {type: x}, run: send}
  own: {match: {type: x}, run: [{http: {url: RECEIVER/own/old}}]}
pipelines: {send: {steps: [{http: {url: RECEIVER/named/old}}]}}
`, r)
	first.publish("x", "1", `{}`)
	dead := append(first.await("named", "dead", 1), first.await("own", "dead", 1)...)
	first.define(`
triggers: {own: {match: {type: x}, run: send}}
pipelines: {send: {steps: [{http: {url: RECEIVER/new}}]}}
`, r)
	first.stop()
	close(mended)

	second := startIn(t, dir, same)
	for _, run := range dead {
		if _, err := second.Redrive(t.Context(), run.ID); err != nil {
			t.Fatal(err)
		}
	}
	second.await("named", "succeeded", 1)
	second.await("own", "succeeded", 1)

	if n := len(r.got("/new")); n != 0 || len(r.got("/named/old")) != 2 || len(r.got("/own/old")) != 2 {
		t.Errorf("the receiver got %+v", r.got(""))
	}
	second.publish("x", "2", `{}`)
	second.await("named", "succeeded", 2)
	second.await("own", "succeeded", 2)
	if n := len(r.got("/new")); n != 2 {
		t.Errorf("the next event made %d requests to the new address, want 2", n)
	}
}

// A group whose trigger was given another shape ends at its time under its own
// version, with the steps that stood in it.
func TestAGroupThatWasNotTakenOverEndsUnderItsOwnVersion(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"server goes on": false, "server starts anew": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, r := startIn(t, dir, same), receive(t, nil)
			s.define(`
triggers:
  g: {match: [{type: x}], fire: [{count: 3}], expire: opened + 500ms, on_expire: [{http: {url: RECEIVER/old}}]}
`, r)
			s.publish("x", "1", `{}`)
			s.define(`
triggers: {g: {match: [{type: x}], fire: [{count: 2}], expire: opened + 1h, run: send, on_expire: send}}
pipelines: {send: {steps: [{http: {url: RECEIVER/new}}]}}
`, r)
			s.publish("x", "2", `{}`)
			if again {
				s.stop()
				s = startIn(t, dir, same)
			}

			old := s.await("g", "succeeded", 1)[0]
			s.publish("x", "3", `{}`)
			s.await("g", "succeeded", 2)

			if old.Reason != "expired" || old.Count != 1 || old.Pipeline != "g.on_expire" {
				t.Errorf("the old group made %+v", old)
			}
			if a, b := r.got("/old"), r.got("/new"); len(a) != 1 || len(b) != 1 || !slices.Equal(dataOfIDs(a[0].body), []string{"1"}) || !slices.Equal(dataOfIDs(b[0].body), []string{"2", "3"}) {
				t.Errorf("the receiver got %+v", r.got(""))
			}
		})
	}
}

// dataOfIDs returns the ids of the test's events in a body, in order.
func dataOfIDs(body string) []string {
	var ids []string
	for i := range 10 {
		if strings.Contains(body, fmt.Sprintf(`"id":"%d"`, i)) {
			ids = append(ids, fmt.Sprint(i))
		}
	}
	return ids
}

// A trigger that comes back in the shape of a group that is still open takes it over again.
func TestATriggerThatComesBackInItsShapeTakesItsGroupsOver(t *testing.T) {
	t.Parallel()
	s := start(t)
	project := func(count int) string {
		return fmt.Sprintf(`triggers: {g: {match: [{type: x}], fire: [{count: %d}], expire: opened + 1h, run: [{log: {message: m}}]}}`, count)
	}
	for i, count := range []int{3, 4, 3} {
		s.define(project(count))
		s.publish("x", fmt.Sprint(i), `{}`)
	}
	s.publish("x", "3", `{}`)

	run := s.await("g", "succeeded", 1)[0]

	groups, err := s.Groups(t.Context(), client.GroupFilter{}, client.Paging{})
	if run.Count != 3 || err != nil || len(groups.Items) != 1 || groups.Items[0].Count != 1 {
		t.Errorf("fired with %d events; open: %+v, %v", run.Count, groups.Items, err)
	}
}

// Of applies that expect the same revision one holds, and its definitions are in force.
func TestOfAppliesThatExpectTheSameRevisionOneHolds(t *testing.T) {
	t.Parallel()
	const applies = 6
	s := start(t)
	project := func(i int) client.File {
		text := fmt.Sprintf(`triggers: {one: {match: {type: x}, run: [{log: {message: "by %d"}}]}}`, i)
		return client.File{Name: "weir.yaml", Text: []byte(text)}
	}
	if _, err := s.Apply(t.Context(), project(applies)); err != nil {
		t.Fatal(err)
	}
	answers := make([]error, applies)
	var all sync.WaitGroup
	for i := range applies {
		all.Go(func() {
			f := project(i)
			f.Expect = 1
			_, answers[i] = s.Apply(t.Context(), f)
		})
	}
	all.Wait()

	first := slices.Index(answers, nil)
	for i, err := range answers {
		if i != first && weir.CodeOf(err) != weir.Conflict {
			t.Errorf("apply %d: %v, want a conflict after apply %d", i, err, first)
		}
	}
	s.publish("x", "1", `{}`)
	run := s.run(s.await("one", "succeeded", 1)[0].ID)
	if want := fmt.Sprintf("by %d\n", first); !strings.HasSuffix(run.Attempts[0].Log, want) {
		t.Errorf("the log is %q, want %q", run.Attempts[0].Log, want)
	}
}

// Groups that a new shape cuts off are dropped where the apply asks for it, also
// those that only state has after a restart; nothing runs for them, and they are
// on record with their events.
func TestGroupsOfAnOldShapeAreDroppedByAnApplyThatAsks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const file = `
triggers:
  cut: {match: {type: x}, group_by: {k: data.k}, fire: [{type: x, count: 3}], expire: opened + 1h, run: log, on_expire: log}
  kept: {match: {type: x}, group_by: {k: data.k}, fire: [{type: x, count: 3}], expire: opened + 1h, run: log, on_expire: log}
pipelines: {log: {steps: [{log: {message: "an end"}}]}}
`
	first := startIn(t, dir, same)
	first.define(file)
	a := first.publish("x", "1", `{"k": "a"}`)
	first.publish("x", "2", `{"k": "b"}`)
	first.publish("x", "3", `{"k": "b"}`)
	first.stop()

	s := startIn(t, dir, same)
	changed := strings.Replace(file, "count: 3", "count: 2", 1)
	applied, err := s.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte(changed), DropGroups: true})
	if err != nil {
		t.Fatal(err)
	}
	if c := applied.Changes; len(c) != 1 || c[0].Groups != 2 {
		t.Errorf("the apply tells %+v", c)
	}

	dropped := s.await("cut", "succeeded", 2)
	for _, run := range dropped {
		if run.Reason != "dropped" || run.Pipeline != "" {
			t.Errorf("a dropped group made %+v", run)
		}
	}
	groups := func(trigger, state string) []client.Group {
		page, err := s.Groups(t.Context(), client.GroupFilter{Trigger: trigger, State: state}, client.Paging{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return page.Items
	}
	if n, m := len(groups("cut", "open")), len(groups("kept", "open")); n != 0 || m != 2 {
		t.Errorf("%d groups of the changed trigger are open, and %d of the other", n, m)
	}
	ended := groups("cut", "dropped")
	if len(ended) != 2 || !slices.ContainsFunc(ended, func(g client.Group) bool { return g.Count == 1 }) {
		t.Fatalf("dropped are %+v", ended)
	}
	i := slices.IndexFunc(ended, func(g client.Group) bool { return g.Count == 1 })
	g, err := s.Group(t.Context(), ended[i].ID)
	if err != nil || !slices.Equal(g.Events, []string{a.UID}) {
		t.Errorf("the group with one event is shown as %+v, %v", g, err)
	}

	s.publish("x", "4", `{"k": "a"}`)
	s.publish("x", "5", `{"k": "a"}`)
	if runs := s.await("cut", "succeeded", 3); !slices.ContainsFunc(runs, func(r client.Run) bool { return r.Reason == "fired" && r.Count == 2 }) {
		t.Errorf("the new shape's group made %+v", runs)
	}
}
