package whole

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir"
	"weir/client"
)

// A run that was never tried is cancelled with its whole batch on record, also
// where state has that in parts.
func TestARunCancelledBeforeItsFirstTryKeepsItsBatch(t *testing.T) {
	t.Parallel()
	const events = 2*weir.ChunkSize + 40
	s := start(t)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	r := holding(t, hold)
	s.define(fmt.Sprintf(`
triggers:
  block: {match: {type: block}, run: send}
  many: {match: [{type: x}], fire: [{count: %d}], expire: opened + 1h, run: send}
pipelines: {send: {steps: [{http: {url: RECEIVER/}}], concurrency: {limit: 1}}}
`, events), r)
	s.publish("block", "", `{}`)
	s.until("the first run holds the lane", func() bool { return len(r.got("")) == 1 })
	batch := make([]*weir.Event, events)
	for i := range batch {
		batch[i] = &weir.Event{ID: fmt.Sprint(i), Source: "/s", Type: "x"}
	}
	receipts, err := s.Publish(t.Context(), batch...)
	if err != nil {
		t.Fatal(err)
	}
	waiting := s.await("many", "pending", 1)[0]
	if shown := s.run(waiting.ID); shown.Count != events || !sameEvents(shown.Events, receipts) {
		t.Errorf("while it waits it has %d events, %d shown, want %d", shown.Count, len(shown.Events), events)
	}

	if _, err := s.Cancel(t.Context(), waiting.ID); err != nil {
		t.Fatal(err)
	}

	run := s.run(waiting.ID)
	if run.State != "cancelled" || run.Count != events || run.Trigger != "many" || !sameEvents(run.Events, receipts) {
		t.Errorf("%s of %s with %d events, %d shown", run.State, run.Trigger, run.Count, len(run.Events))
	}
	g, err := s.Group(t.Context(), run.Group)
	if err != nil || g.Count != events || g.Run != run.ID || !sameEvents(g.Events, receipts) {
		t.Errorf("its group has %d events, %d shown, %v", g.Count, len(g.Events), err)
	}
	if a := run.Attempts; len(a) != 1 || a[0].Outcome != "cancelled" || a[0].By != "admin" || a[0].Try != 0 {
		t.Errorf("attempts %+v", a)
	}
}

func sameEvents(uids []string, receipts []client.Receipt) bool {
	return slices.EqualFunc(uids, receipts, func(uid string, r client.Receipt) bool { return uid == r.UID })
}

// A run about Weir's own events tells nothing of itself, or it could go round.
func TestARunAboutADeadRunDiesQuietly(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusNotFound) })
	s.define(`
triggers:
  first: {match: {type: x}, run: [{http: {url: RECEIVER/}}]}
  about: {match: {type: weir.run.dead}, run: [{http: {url: RECEIVER/about}}]}
`, r)

	receipt := s.publish("x", "1", `{}`)

	first, about := s.await("first", "dead", 1)[0], s.await("about", "dead", 1)[0]
	events := s.events()
	if len(events) != 2 || events[0].Type != "weir.run.dead" || events[0].Cause.String() != first.ID || events[0].Hops != 1 {
		t.Errorf("got %+v, want the event and one that tells of %s", events, first.ID)
	}
	if e := events[0].Execution; e != events[1].Execution || !slices.Equal(about.Executions, []string{e}) || events[1].UID != receipt.UID {
		t.Errorf("the executions are %s, %s and of the run %v", events[1].Execution, e, about.Executions)
	}
}

func TestRetryRulesAreFollowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		retry  string
		status int
		tries  int
	}{
		"none":                {"none", 503, 1},
		"so many":             {"{attempts: 3, backoff: 1ms}", 503, 3},
		"listed":              {"{attempts: 2, backoff: 1ms, on: [404]}", 404, 2},
		"not listed":          {"{attempts: 2, backoff: 1ms, on: [404]}", 503, 1},
		"final by default":    {"{attempts: 2, backoff: 1ms}", 400, 1},
		"no retry of a 3xx":   {"{attempts: 2, backoff: 1ms}", 302, 1},
		"too many by default": {"{attempts: 2, backoff: 1ms}", 429, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(c.status) })
			s.define(`
triggers: {one: {match: {type: x}, run: one}}
pipelines: {one: {steps: [{http: {url: RECEIVER/}}], retry: `+c.retry+`}}
`, r)

			s.publish("x", "1", `{}`)

			run := s.run(s.await("one", "dead", 1)[0].ID)
			if n := len(r.got("")); n != c.tries || len(run.Attempts) != c.tries || run.Tries != c.tries {
				t.Errorf("%d requests, %d attempts, %d tries, want %d", n, len(run.Attempts), run.Tries, c.tries)
			}
		})
	}
}

// Of orders that exclude each other one holds, whoever gives them.
func TestOrdersThatRaceHoldOnce(t *testing.T) {
	t.Parallel()
	const people = 6
	s := start(t)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	dying := true
	var mu sync.Mutex
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		mu.Lock()
		dies := dying
		mu.Unlock()
		if dies {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	})
	s.define(`triggers: {one: {match: {type: x}, run: [{http: {url: RECEIVER/}}]}}`, r)
	s.publish("x", "1", `{}`)
	run := s.await("one", "dead", 1)[0]
	mu.Lock()
	dying = false
	mu.Unlock()
	race := func(order func(context.Context, string) (client.Ordered, error)) (held int) {
		t.Helper()
		errs := make(chan error, people)
		for range people {
			go func() {
				_, err := order(t.Context(), run.ID)
				errs <- err
			}()
		}
		for range people {
			switch err := <-errs; weir.CodeOf(err) {
			case "":
				held++
			case weir.Conflict:
			default:
				t.Error(err)
			}
		}
		return held
	}

	if n := race(s.Redrive); n != 1 {
		t.Errorf("%d of %d redrives held, want 1", n, people)
	}
	s.until("it is tried again", func() bool { return len(r.got("")) == 2 })
	if n := race(s.Cancel); n != 1 {
		t.Errorf("%d of %d cancels held, want 1", n, people)
	}
	s.until("the try that was cut tells of itself", func() bool {
		return outcomesOf(s.run(run.ID)) == "died redriven cancelled stale"
	})
}

// A purged run is gone from what waits for somebody, and stays on record.
func TestAPurgedRunIsGoneAndOnRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusNotFound) })
	s.define(`triggers: {one: {match: {type: x}, run: [{http: {url: RECEIVER/}}]}}`, r)
	receipt := s.publish("x", "1", `{}`)
	id := s.await("one", "dead", 1)[0].ID

	if _, err := s.Purge(t.Context(), id); err != nil {
		t.Fatal(err)
	}

	if runs := s.runs(client.RunFilter{}); len(runs) != 0 {
		t.Errorf("listed: %+v", runs)
	}
	if run := s.run(id); outcomesOf(run) != "died purged" || !slices.Equal(run.Events, []string{receipt.UID}) {
		t.Errorf("shown: %+v", run)
	}
	for what, order := range map[string]func(context.Context, string) (client.Ordered, error){
		"purge": s.Purge, "redrive": s.Redrive, "cancel": s.Cancel, "retry": s.Retry,
	} {
		if _, err := order(t.Context(), id); weir.CodeOf(err) != weir.Conflict || !strings.Contains(err.Error(), "was purged") {
			t.Errorf("%s what was purged: %v", what, err)
		}
	}
}

// What an apply does not name stays in force, and If-Match holds it to a revision.
func TestAnApplyAddsAndReplacesAndDeletesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	apply := func(match, text string) (int, string) {
		return s.post("/v1/apply", "application/yaml", text, "If-Match", match)
	}
	const first = `triggers: {a: {match: {type: x}, run: [{log: {message: one}}]}, b: {match: {type: x}, run: [{log: {message: one}}]}}`
	for _, c := range []struct {
		match, text string
		status      int
	}{
		{`"0"`, first, 200},
		{`"0"`, first, 409},
		{`"1"`, first, 200}, // nothing to do: no revision
		{`"1"`, `triggers: {a: {match: {type: x}, run: [{log: {message: two}}]}}`, 200},
		{`"1"`, first, 409},
		{`"3"`, first, 409},
	} {
		if status, answer := apply(c.match, c.text); status != c.status {
			t.Errorf("at %s: %d %s, want %d", c.match, status, answer, c.status)
		}
	}

	s.publish("x", "1", `{}`)

	for trigger, log := range map[string]string{"a": " two\n", "b": " one\n"} {
		if run := s.run(s.await(trigger, "succeeded", 1)[0].ID); !strings.HasSuffix(run.Attempts[0].Log, log) {
			t.Errorf("%s logged %q, want %q", trigger, run.Attempts[0].Log, log)
		}
	}
	if d, err := s.Definition(t.Context(), weir.KindTrigger, "b"); err != nil || d.Revision != 1 {
		t.Errorf("b is of revision %d, %v, want the first", d.Revision, err)
	}
}

func TestABatchRemembersTheExecutionsOfItsEvents(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`
triggers:
  pair: {match: [{type: x}], fire: [{count: 3}], expire: opened + 1h, run: [{emit: {type: done, data: {n: "${size(events)}"}}}]}
`)
	for i, execution := range []string{"order-1", "order-2", "order-1"} {
		if _, err := s.Publish(t.Context(), &weir.Event{ID: fmt.Sprint(i), Source: "/s", Type: "x", Execution: execution, Hops: i}); err != nil {
			t.Fatal(err)
		}
	}

	run := s.await("pair", "succeeded", 1)[0]
	if !slices.Equal(run.Executions, []string{"order-1", "order-2"}) {
		t.Errorf("executions %v", run.Executions)
	}
	for execution, want := range map[string]int{"order-1": 3, "order-2": 1} { // the emitted one is of the first
		events, err := s.Events(t.Context(), client.EventFilter{Execution: execution}, client.Paging{})
		if err != nil || len(events.Items) != want {
			t.Errorf("%s has %d events, %v, want %d", execution, len(events.Items), err, want)
		}
		if runs := s.runs(client.RunFilter{Execution: execution}); len(runs) != 1 || runs[0].ID != run.ID {
			t.Errorf("%s has the runs %+v", execution, runs)
		}
	}
	if e := s.events()[0]; e.Type != "done" || e.Hops != 3 || e.Execution != "order-1" || string(e.Data) != `{"n":3}` && string(e.Data) != `{"n":"3"}` {
		t.Errorf("emitted %+v with %s", e, e.Data)
	}
}
