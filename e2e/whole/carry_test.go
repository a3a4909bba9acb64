package whole

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/client"
)

// A lane goes on after a restart where it was: in order, within its limit, each
// run once.
func TestALaneGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	const events = 8
	dir := t.TempDir()
	first, r := startIn(t, dir, same), newTurnstile(t)
	first.define(gated("{limit: 1}"), r.receiver)
	for i := range events {
		first.publish("x", fmt.Sprint(i), `{}`)
	}
	first.until("one is tried", func() bool { return r.inside() == 1 })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		first.stop()
	}()
	for going := true; going; {
		select {
		case r.gate <- struct{}{}:
		case <-stopped:
			going = false
		}
	}

	second := startIn(t, dir, same)
	go func() {
		for {
			select {
			case r.gate <- struct{}{}:
			case <-t.Context().Done():
				return
			}
		}
	}()

	second.await("all", "succeeded", events)
	var paths []string
	for _, c := range r.got("") {
		paths = append(paths, c.path)
	}
	if !slices.IsSorted(paths) || len(paths) != events || r.atOnce() != 1 {
		t.Errorf("requests %v, %d at once", paths, r.atOnce())
	}
}

// What people ordered, and what was late or of an old version, is after a restart
// as it was before.
func TestOrdersAndOddGroupsOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startIn(t, dir, same)
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path == "/dies" {
			w.WriteHeader(http.StatusNotFound)
		} else {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	project := func(count int) string {
		return fmt.Sprintf(`
triggers:
  dies: {match: {type: d}, run: [{http: {url: RECEIVER/dies}}]}
  waits: {match: {type: w}, run: waits}
  groups: {match: [{type: g}], group_by: {k: data.k}, fire: [{count: %d}], expire: last + 1h}
pipelines: {waits: {steps: [{http: {url: RECEIVER/waits}}], retry: {attempts: 3, backoff: 1h, max: 2h}}}
`, count)
	}
	first.define(project(5), r)
	first.publish("d", "1", `{}`)
	first.publish("d", "2", `{}`)
	first.publish("w", "3", `{}`)
	first.publish("g", "4", `{"k":"cut"}`)
	first.define(project(6), r)
	first.publish("g", "5", `{"k":"open"}`)
	late := &weir.Event{ID: "6", Source: "/s", Type: "g", Time: weir.TimeOf(time.Now().Add(-2 * time.Hour)), Data: []byte(`{"k":"late"}`)}
	if _, err := first.Publish(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	dead := first.await("dies", "dead", 2)
	first.until("the run waits for its second try", func() bool {
		runs := first.runs(client.RunFilter{Trigger: "waits"})
		return len(runs) == 1 && runs[0].Tries == 1
	})
	waiting := first.runs(client.RunFilter{Trigger: "waits"})[0]
	if _, err := first.Purge(t.Context(), dead[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Cancel(t.Context(), waiting.ID); err != nil {
		t.Fatal(err)
	}
	look := func(s *server) string {
		groups, err := s.Groups(t.Context(), client.GroupFilter{}, client.Paging{})
		if err != nil {
			t.Fatal(err)
		}
		triggers, err := s.Definitions(t.Context(), weir.KindTrigger, client.Paging{})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%+v\n%+v\n%+v\n%+v\n%+v\n%+v", groups.Items, s.runs(client.RunFilter{}),
			s.run(dead[0].ID), s.run(dead[1].ID), s.run(waiting.ID), triggers)
	}
	before := look(first)
	if n := strings.Count(before, "Late:true"); n != 1 {
		t.Fatalf("%d late groups in %s", n, before)
	}
	first.stop()

	second := startIn(t, dir, same)

	if after := look(second); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	if _, err := second.Redrive(t.Context(), dead[0].ID); weir.CodeOf(err) != weir.Conflict {
		t.Errorf("redrive of what was purged: %v", err)
	}
	for i := range 5 {
		second.publish("g", fmt.Sprint("more", i), `{"k":"open"}`)
	}
	if run := second.await("groups", "succeeded", 1)[0]; string(run.Key) != `{"k":"open"}` || run.Count != 6 {
		t.Errorf("fired: %+v", run)
	}
}

// New runs stand before the page on which one began to read: the others follow,
// each once.
func TestPagesOfRunsDoNotShiftWhileRunsAreMade(t *testing.T) {
	t.Parallel()
	for state, project := range map[string]string{
		"succeeded": `triggers: {all: {match: {type: x}, run: [{log: {message: m}}]}}`,
		"dead":      `triggers: {all: {match: {type: x}, run: [{emit: {type: "${data.none}"}}]}}`,
		"":          `triggers: {all: {match: {type: x}, run: [{filter: "event.id != '5'"}, {emit: {type: "${event.id == '7' ? data.none : 'y'}"}}]}}`,
	} {
		t.Run("state "+state, func(t *testing.T) {
			t.Parallel()
			const events = 23
			s := start(t)
			s.define(project)
			for i := range events {
				s.publish("x", fmt.Sprint(i), `{}`)
			}
			s.until("all have ended", func() bool {
				return !slices.ContainsFunc(s.runs(client.RunFilter{}), func(run client.Run) bool {
					return run.State == "pending" || run.State == "running"
				})
			})
			old := s.runs(client.RunFilter{})

			seen := map[string]int{}
			for p := (client.Paging{Limit: 5}); ; {
				page, err := s.Runs(t.Context(), client.RunFilter{State: state}, p)
				if err != nil {
					t.Fatal(err)
				}
				for _, run := range page.Items {
					seen[run.ID]++
				}
				s.publish("x", "new"+p.After, `{}`)
				s.publish("x", "newer"+p.After, `{}`)
				if p.After = page.Next; p.After == "" {
					break
				}
			}
			for _, run := range old {
				if seen[run.ID] != 1 {
					t.Errorf("%s run %s was listed %d times", run.State, run.ID, seen[run.ID])
				}
			}
			if len(old) != events || len(seen) != events {
				t.Errorf("%d runs were there, %d were listed, want %d", len(old), len(seen), events)
			}
		})
	}
}
