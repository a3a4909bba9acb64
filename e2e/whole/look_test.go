package whole

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"weir"
	"weir/client"
)

// A group that ended is known by its id at every moment: also while the run
// that it made waits and nothing has happened to that run yet.
func TestAGroupThatEndedIsShownBeforeItsRunStarts(t *testing.T) {
	t.Parallel()
	s := start(t)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	r := holding(t, hold)
	s.define(`
triggers: {pair: {match: [{type: x}], group_by: {k: data.k}, fire: [{count: 2}], expire: opened + 1h, run: send}}
pipelines: {send: {steps: [{http: {url: RECEIVER/}}], concurrency: {limit: 1}}}
`, r)
	s.publish("x", "0", `{"k":0}`)
	s.publish("x", "1", `{"k":0}`)
	s.until("the first run is under way", func() bool { return len(r.got("")) == 1 })
	s.publish("x", "2", `{"k":1}`)
	s.publish("x", "3", `{"k":1}`)

	runs := s.runs(client.RunFilter{})
	if len(runs) != 2 || runs[0].State != "pending" || runs[1].State != "running" {
		t.Fatalf("got %+v, want one that waits for the other", runs)
	}
	g, err := s.Group(t.Context(), runs[0].Group)
	if err != nil || g.State != "fired" || g.Run != runs[0].ID || g.Count != 2 || len(g.Events) != 2 || string(g.Key) != `{"k":1}` {
		t.Errorf("while its run waits: %+v, %v", g, err)
	}

	release()
	s.await("pair", "succeeded", 2)
	after, err := s.Group(t.Context(), runs[0].Group)
	if err != nil || fmt.Sprint(after) != fmt.Sprint(g) {
		t.Errorf("after its run: %+v, %v, want %+v", after, err, g)
	}
}

func TestWhatIsBeingTriedIsListedAsRunning(t *testing.T) {
	t.Parallel()
	s := start(t)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	r := holding(t, hold)
	s.define(`triggers: {slow: {match: {type: x}, run: [{http: {url: RECEIVER/}}]}}`, r)

	s.publish("x", "1", `{}`)
	s.runs(client.RunFilter{}) // asks for a flush at a moment when the try is young

	running := s.await("slow", "running", 1)
	if pending := s.runs(client.RunFilter{State: "pending"}); running[0].State != "running" || len(pending) != 0 {
		t.Errorf("running %+v, pending %+v", running, pending)
	}
	release()
	s.await("slow", "succeeded", 1)
}

// Runs end while they are listed page by page: none is missed.
func TestNoRunIsMissedWhileRunsEnd(t *testing.T) {
	t.Parallel()
	const events = 40
	s := start(t)
	gate := make(chan struct{})
	r := receive(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	})
	s.define(`
triggers: {all: {match: {type: x}, run: send}}
pipelines: {send: {steps: [{http: {url: RECEIVER/}}], concurrency: {limit: 4}}}
`, r)
	for i := range events {
		s.publish("x", strconv.Itoa(i), `{}`)
	}

	seen := map[string]int{}
	ended := 0
	for p := (client.Paging{Limit: 7}); ; {
		page, err := s.Runs(t.Context(), client.RunFilter{}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range page.Items {
			seen[run.ID]++
		}
		for range 4 {
			if ended < events {
				gate <- struct{}{}
				ended++
			}
		}
		s.until("some have ended", func() bool {
			s.publish("nothing", "", `{}`) // for whose place the next read asks
			return len(s.runs(client.RunFilter{State: "succeeded"})) == ended
		})
		if p.After = page.Next; p.After == "" {
			break
		}
	}

	for ; ended < events; ended++ {
		gate <- struct{}{}
	}
	for _, run := range s.await("all", "succeeded", events) {
		if seen[run.ID] != 1 {
			t.Errorf("%s was listed %d times", run.ID, seen[run.ID])
		}
	}
}

func TestGroupsAndRefusalsPage(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`triggers: {keyed: {match: [{type: x}], group_by: {k: data.k}, fire: [{count: 2}], expire: opened + 1h}}`)
	for i := range 5 {
		s.publish("x", strconv.Itoa(i), fmt.Sprintf(`{"k":%d}`, i))
		s.post("/v1/events", "text/csv", "a,b")
	}

	keys := map[string]int{}
	for p := (client.Paging{Limit: 2}); ; {
		page, err := s.Groups(t.Context(), client.GroupFilter{Trigger: "keyed"}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.Items {
			keys[string(g.Key)]++
		}
		if p.After = page.Next; p.After == "" {
			break
		}
		// A group that opens while one reads stands before the first page, and one
		// that ends leaves no gap.
		s.publish("x", "new"+p.After, fmt.Sprintf(`{"k":%q}`, p.After))
	}
	for i := range 5 {
		if n := keys[fmt.Sprintf(`{"k":%d}`, i)]; n != 1 {
			t.Errorf("group %d was listed %d times", i, n)
		}
	}

	var numbers []int64
	for p := (client.Paging{Limit: 2}); ; {
		page, err := s.Refusals(t.Context(), client.RefusalFilter{}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Items {
			numbers = append(numbers, r.N)
		}
		if p.After = page.Next; p.After == "" {
			break
		}
		s.post("/v1/events", "text/csv", "a,b")
	}
	if fmt.Sprint(numbers) != "[5 4 3 2 1]" {
		t.Errorf("refusals %v, want 5 to 1", numbers)
	}
}

func TestAReadWaitsForThePlaceItAsksFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`triggers: {one: {match: [{type: x}], fire: [{count: 2}], expire: opened + 1h}}`)
	for i := range 50 {
		receipt := s.publish("y", strconv.Itoa(i), `{}`)
		events, err := s.Events(t.Context(), client.EventFilter{ID: strconv.Itoa(i)}, client.Paging{})
		if err != nil || len(events.Items) != 1 || events.Items[0].UID != receipt.UID {
			t.Fatalf("event %d is not shown to who sent it: %+v, %v", i, events.Items, err)
		}
	}

	status, answer := s.do(http.MethodGet, "/v1/events", "", client.HeaderAfter, "1000000")
	if p := problem(t, answer); status != http.StatusServiceUnavailable || p.Code != weir.Behind {
		t.Errorf("a place that is not there yet: %d %s", status, answer)
	}
	status, answer = s.do(http.MethodGet, "/v1/events", "", client.HeaderAfter, "soon")
	if p := problem(t, answer); status != http.StatusBadRequest || p.Code != weir.Invalid {
		t.Errorf("a place that is none: %d %s", status, answer)
	}
}
