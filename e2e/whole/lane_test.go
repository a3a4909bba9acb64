package whole

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/config"
)

func TestConcurrencyHoldsInAllAndPerKeyAndPerOrigin(t *testing.T) {
	t.Parallel()
	const events = 24
	for name, c := range map[string]struct {
		concurrency, destination string
		most                     int
	}{
		"pipeline": {"concurrency: {limit: 3}", "", 3},
		"key":      {"concurrency: {limit: 1, per: data.key}", "", 4}, // of four keys
		"origin":   {"", `destinations: {"RECEIVER": {limit: 2}}`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			r := receive(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
				// Long enough for others to come, were they let through.
				select {
				case <-time.After(10 * time.Millisecond):
				case <-r.Context().Done():
				}
			})
			s.define(fmt.Sprintf(`
triggers: {all: {match: {type: x}, run: send}}
pipelines:
  send:
    steps: [{http: {url: RECEIVER/in}}]
    %s
%s
`, c.concurrency, c.destination), r)
			batch := make([]*weir.Event, events)
			for i := range batch {
				batch[i] = &weir.Event{ID: fmt.Sprint(i), Source: "/t", Type: "x", Data: fmt.Appendf(nil, `{"key":%d}`, i%4)}
			}

			if _, err := s.Publish(t.Context(), batch...); err != nil {
				t.Fatal(err)
			}

			s.await("all", "succeeded", events)
			if got := r.atOnce(); got > c.most || got < 2 {
				t.Errorf("%d requests at once, want 2 to %d", got, c.most)
			}
			if got := len(r.got("/in")); got != events {
				t.Errorf("%d requests, want %d", got, events)
			}
		})
	}
}

func TestEffectsThatSucceededAreNotRepeated(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.URL.Path == "/b" && n < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s.define(`
triggers: {ab: {match: {type: x}, run: ab}}
pipelines:
  ab:
    steps: [{http: {url: RECEIVER/a}}, {http: {url: RECEIVER/b}}, {emit: {type: done, data: {from: "${event.id}"}}}]
    retry: {attempts: 5, backoff: 10ms}
`, r)

	s.publish("x", "1", `{}`)

	run := s.run(s.await("ab", "succeeded", 1)[0].ID)
	a, b := r.got("/a"), r.got("/b")
	if len(a) != 1 || len(b) != 3 || b[0].key == "" || b[0].key != b[1].key || b[1].key != b[2].key || a[0].key == b[0].key {
		t.Errorf("A got %+v, B got %+v", a, b)
	}
	if got := outcomesOf(run); got != "retrying retrying succeeded" {
		t.Errorf("outcomes %s", got)
	}
	emitted := s.events()[0]
	if emitted.Type != "done" || emitted.Cause.String() != run.ID || emitted.Hops != 1 || emitted.Execution != run.Executions[0] {
		t.Errorf("emitted %+v by %+v", emitted, run)
	}
	byExecution, err := s.Events(t.Context(), client.EventFilter{Execution: emitted.Execution}, client.Paging{})
	if err != nil || len(byExecution.Items) != 2 {
		t.Errorf("the execution has %d events, %v", len(byExecution.Items), err)
	}
	if runs := s.runs(client.RunFilter{Execution: emitted.Execution}); len(runs) != 1 || runs[0].ID != run.ID {
		t.Errorf("the execution has runs %+v", runs)
	}
}

func outcomesOf(run client.Run) string {
	var list []string
	for _, a := range run.Attempts {
		list = append(list, a.Outcome)
	}
	return strings.Join(list, " ")
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	s.define(`
triggers: {one: {match: {type: x}, run: one}}
pipelines: {one: {steps: [{http: {url: RECEIVER/}}], retry: {attempts: 3, backoff: 10ms}}}
`, r)

	s.publish("x", "1", `{}`)

	run := s.run(s.await("one", "succeeded", 1)[0].ID)
	if after := run.Attempts[0].After.Std(); after != time.Second {
		t.Errorf("waited %v, was told 1 s", after)
	}
}

func TestWhatIsFinalIsNotRetried(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusNotFound) })
	s.define(`
triggers:
  one: {match: {type: x}, run: [{http: {url: RECEIVER/}}]}
  told: {match: {type: weir.run.dead}, run: [{log: {message: "${data.pipeline} ${data.error}"}}]}
`, r)

	s.publish("x", "1", `{}`)

	run := s.run(s.await("one", "dead", 1)[0].ID)
	if len(run.Attempts) != 1 || !strings.Contains(run.Error, "404") {
		t.Errorf("got %+v", run)
	}
	told := s.run(s.await("told", "succeeded", 1)[0].ID)
	if !strings.Contains(told.Attempts[0].Log, "one.run") || !strings.Contains(told.Attempts[0].Log, "404") {
		t.Errorf("the log of the run that was told is %q", told.Attempts[0].Log)
	}
}

func TestAddressesThatAreNotPublicAreRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	s := startIn(t, t.TempDir(), func(c *config.Config) { c.AllowDestinations = []netip.Prefix{} })
	r := receive(t, nil)
	s.define(`triggers: {one: {match: {type: x}, run: [{http: {url: RECEIVER/}}]}}`, r)

	s.publish("x", "1", `{}`)

	run := s.run(s.await("one", "dead", 1)[0].ID)
	if len(run.Attempts) != 1 || !strings.Contains(run.Error, "allow-destination") || len(r.got("")) != 0 {
		t.Errorf("got %q after %d attempts", run.Error, len(run.Attempts))
	}
}

func TestSecretsAreMaskedWhereverTheyCouldAppear(t *testing.T) {
	t.Parallel()
	const value = "a-very-secret-value"
	s := start(t)
	if err := s.SetSecret(t.Context(), "key", value); err != nil {
		t.Fatal(err)
	}
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"you sent": %q}`, r.Header.Get("X-Key"))
	})
	s.define(`
triggers: {one: {match: {type: x}, run: [{log: {message: "with ${secret.key}"}}, {http: {url: "RECEIVER/?k=${secret.key}", headers: {x-key: "${secret.key}"}}}]}}
`, r)

	s.publish("x", "1", `{}`)

	id := s.await("one", "dead", 1)[0].ID
	_, shown := s.get("/v1/runs/" + id)
	if strings.Contains(shown, value) || !strings.Contains(shown, "***") {
		t.Errorf("the run shows %s", shown)
	}
	_, definition := s.get("/v1/pipelines/one.run")
	_, names := s.get("/v1/secrets")
	if strings.Contains(definition+names, value) || !strings.Contains(names, `"key"`) {
		t.Errorf("shown: %s %s", definition, names)
	}
}

func TestPeopleOrderWhatARunDoesNext(t *testing.T) {
	t.Parallel()
	s := start(t)
	hold := make(chan struct{})
	broken := true
	cut := make(chan struct{}, 1)
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		switch r.URL.Path {
		case "/hang":
			select {
			case <-r.Context().Done():
				cut <- struct{}{}
			case <-hold:
			}
		case "/broken":
			if broken {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}
	})
	defer close(hold)
	s.define(`
triggers:
  hang: {match: {type: hang}, run: [{http: {url: RECEIVER/hang}}]}
  wait: {match: {type: wait}, run: wait}
  die: {match: {type: die}, run: die}
pipelines:
  wait: {steps: [{http: {url: RECEIVER/broken}}], retry: {attempts: 5, backoff: 1h, max: 2h}}
  die: {steps: [{http: {url: RECEIVER/broken}}], retry: {attempts: 1}}
`, r)
	ctx := t.Context()
	refused := func(what string, call func(context.Context, string) (client.Ordered, error), id string, code weir.Code) {
		t.Helper()
		if _, err := call(ctx, id); weir.CodeOf(err) != code {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
	}
	ordered := func(call func(context.Context, string) (client.Ordered, error), id string) {
		t.Helper()
		if _, err := call(ctx, id); err != nil {
			t.Fatal(err)
		}
	}

	s.publish("hang", "1", `{}`)
	s.until("the request is under way", func() bool { return len(r.got("/hang")) == 1 })
	hanging := s.runs(client.RunFilter{Trigger: "hang"})[0]
	refused("retry what is being tried", s.Retry, hanging.ID, weir.Conflict)
	refused("redrive what is not dead", s.Redrive, hanging.ID, weir.Conflict)
	refused("purge what is not dead", s.Purge, hanging.ID, weir.Conflict)
	ordered(s.Cancel, hanging.ID)
	<-cut
	if run := s.run(hanging.ID); run.State != "cancelled" || outcomesOf(run) != "cancelled" && outcomesOf(run) != "cancelled stale" {
		t.Errorf("after the cancel: %s, %s", run.State, outcomesOf(run))
	}
	refused("cancel what has ended", s.Cancel, hanging.ID, weir.Conflict)

	s.publish("wait", "2", `{}`)
	var waiting client.Run
	s.until("the run waits for its second try", func() bool {
		runs := s.runs(client.RunFilter{Trigger: "wait", State: "pending"})
		if len(runs) == 1 && runs[0].Tries == 1 {
			waiting = runs[0]
		}
		return waiting.ID != ""
	})
	ordered(s.Retry, waiting.ID)
	s.until("it was tried again", func() bool { return s.run(waiting.ID).Tries == 2 })
	ordered(s.Cancel, waiting.ID)
	if run := s.run(waiting.ID); run.State != "cancelled" {
		t.Errorf("a waiting run that was cancelled is %s", run.State)
	}

	s.publish("die", "3", `{}`)
	s.publish("die", "4", `{}`)
	dead := s.await("die", "dead", 2)
	refused("cancel what is dead", s.Cancel, dead[0].ID, weir.Conflict)
	refused("retry what is dead", s.Retry, dead[0].ID, weir.Conflict)
	ordered(s.Purge, dead[0].ID)
	if left := s.runs(client.RunFilter{Trigger: "die", State: "dead"}); len(left) != 1 {
		t.Errorf("%d dead runs are left, want 1", len(left))
	}
	before := len(r.got("/broken"))
	r.mu.Lock()
	broken = false
	r.mu.Unlock()
	ordered(s.Redrive, dead[1].ID)
	s.await("die", "succeeded", 1)
	calls := r.got("/broken")
	if len(calls) != before+1 || !sameKey(calls, calls[len(calls)-1].key, 2) {
		t.Errorf("redriven: %+v", calls[before:])
	}
	refused("cancel what never was", s.Cancel, "run_0190000000007000800000000000000f", weir.NotFound)
}

func sameKey(calls []call, key string, want int) bool {
	n := 0
	for _, c := range calls {
		if c.key == key {
			n++
		}
	}
	return n == want
}
