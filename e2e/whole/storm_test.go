package whole

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"weir"
	"weir/client"
)

const (
	stormRounds, stormPeople, stormEvents = 3, 3, 30 // a restart after each round
	stormProject                          = `
triggers:
  flaky: {match: {type: flaky}, run: flaky}
  dead: {match: {type: dead}, run: [{http: {url: RECEIVER/dead}}]}
  five:
    match: [{type: [flaky, dead]}]
    group_by: {k: data.k}
    fire: [{count: 5}]
    expire: opened + 100ms
    run: [{emit: {type: done}}]
    on_expire: [{log: {message: m}}]
pipelines:
  flaky: {steps: [{http: {url: RECEIVER/ok}}, {http: {url: RECEIVER/flaky}}], retry: {attempts: 4, backoff: 5ms}}
`
)

// Several people publish and order at random what runs do, while steps fail and
// the server is stopped and started: lists, looks and groups tell the same, and
// each event is in one group.
func TestAllViewsAgreeAfterAStormOfOrders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	calls := map[string]int{} // by key
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		mu.Lock()
		calls[r.Header.Get("Idempotency-Key")]++
		n := calls[r.Header.Get("Idempotency-Key")]
		mu.Unlock()
		switch {
		case r.URL.Path == "/flaky" && n%3 != 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/dead" && n%2 != 0:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	s := startIn(t, dir, same)
	s.define(stormProject, r)
	for round := range stormRounds {
		var people sync.WaitGroup
		for person := range stormPeople {
			people.Go(func() { storm(t, s, round, person) })
		}
		people.Wait()
		s.stop()
		s = startIn(t, dir, same)
	}
	s.until("nothing is open", func() bool {
		groups, err := s.Groups(t.Context(), client.GroupFilter{}, client.Paging{})
		return err == nil && len(groups.Items) == 0 &&
			len(s.runs(client.RunFilter{State: "pending"})) == 0 && len(s.runs(client.RunFilter{State: "running"})) == 0
	})

	grouped := map[string]int{}
	for _, listed := range s.runs(client.RunFilter{}) {
		shown := s.run(listed.ID)
		if shown.State != listed.State || shown.Tries != listed.Tries || shown.Made != listed.Made || shown.Ended != listed.Ended ||
			shown.Count != listed.Count || len(shown.Events) != listed.Count {
			t.Errorf("listed %+v, shown %+v", listed, shown)
		}
		if listed.Trigger != "five" {
			continue
		}
		g, err := s.Group(t.Context(), listed.Group)
		if err != nil || g.Run != listed.ID || len(g.Events) != listed.Count {
			t.Errorf("the run %+v has the group %+v, %v", listed, g, err)
		}
		for _, uid := range shown.Events {
			grouped[uid]++
		}
	}
	for uid, n := range grouped {
		if n != 1 {
			t.Errorf("%s is in %d groups", uid, n)
		}
	}
	if want := stormRounds * stormPeople * stormEvents; len(grouped) != want {
		t.Errorf("%d events are in groups, want %d", len(grouped), want)
	}
}

// storm is what one person does in one round.
func storm(t *testing.T, s *server, round, person int) {
	random := rand.New(rand.NewPCG(uint64(round), uint64(person)))
	ctx := t.Context()
	orders := []func(context.Context, string) (client.Ordered, error){s.Cancel, s.Retry, s.Redrive, s.Purge}
	for i := range stormEvents {
		e := &weir.Event{
			ID: fmt.Sprintf("%d-%d-%d", round, person, i), Source: "/s", Type: []string{"flaky", "dead"}[random.IntN(2)],
			Data: fmt.Appendf(nil, `{"k":%d}`, random.IntN(3)),
		}
		if _, err := s.Publish(ctx, e); err != nil {
			t.Error(err)
		}
		if i%5 > 0 {
			continue
		}
		page, err := s.Runs(ctx, client.RunFilter{}, client.Paging{Limit: 20})
		if err != nil {
			t.Error(err)
		}
		for _, run := range page.Items {
			// Not what a group made: its members are counted in the end.
			if run.Trigger == "five" || random.IntN(2) == 0 {
				continue
			}
			if _, err := orders[random.IntN(len(orders))](ctx, run.ID); err != nil && weir.CodeOf(err) != weir.Conflict {
				t.Error(err)
			}
		}
	}
}
