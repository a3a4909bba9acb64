package whole

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/client"
	"weir/internal/config"
)

// echo answers with the body that it got, but with status for the first call
// at a path.
func echo(t *testing.T, status map[string]int) *receiver {
	var r *receiver
	r = receive(t, func(w http.ResponseWriter, req *http.Request, n int) {
		if s := status[req.URL.Path]; s != 0 && n == 1 {
			w.WriteHeader(s)
			return
		}
		calls := r.got(req.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, calls[len(calls)-1].body)
	})
	return r
}

// The answers of a step are the batch of the next, also when the next fails and
// is tried again, over a restart, without the first being asked again; and they
// are events, each once, although the step that got them failed in between.
func TestAnswersBecomeTheBatchAndEventsOverTriesAndARestart(t *testing.T) {
	t.Parallel()
	r := echo(t, map[string]int{"/rate/2": 503, "/bill/20": 503})
	dir := t.TempDir()
	s := startIn(t, dir, func(*config.Config) {})
	s.define(`
triggers:
  usage: {match: {type: used}, fire: [{count: 3}], expire: opened + 1h, run: bill}
  billed: {match: {type: billed.*}, run: note}
pipelines:
  bill:
    steps:
      - http: {url: "RECEIVER/rate/${data.n}", each: true, body: {n: "${data.n * 10}"}, response: replace}
      - http: {url: "RECEIVER/bill/${data.n}", each: true, mode: binary, response: "emit billed.${data.n}"}
      - log: {message: "billed ${result.map(r, r.n)}"}
    retry: {backoff: 300ms}
  note: {steps: [{http: {url: "RECEIVER/note", method: PUT, body: "${event.type}: ${data.n}"}}]}
`, r)
	for i := 1; i <= 3; i++ {
		s.publish("used", fmt.Sprint(i), fmt.Sprintf(`{"n":%d}`, i))
	}

	s.until("the second step has failed", func() bool { return len(r.got("/bill/20")) > 0 })
	s.until("that is on record", func() bool {
		runs := s.runs(client.RunFilter{Trigger: "usage"})
		return len(runs) == 1 && runs[0].Tries >= 2 || len(r.got("/bill/20")) > 1
	})
	s.stop()
	s = startIn(t, dir, func(*config.Config) {})
	bill := s.await("usage", "succeeded", 1)[0]
	s.await("billed", "succeeded", 3)

	run := bill.ID
	want := []call{
		{"/rate/1", run + ".0.0", `{"n":10}`},
		{"/rate/2", run + ".0.1", `{"n":20}`},
		{"/rate/2", run + ".0.1", `{"n":20}`},
		{"/rate/3", run + ".0.2", `{"n":30}`},
		{"/bill/10", run + ".1.0", `{"n":10}`},
		{"/bill/20", run + ".1.1", `{"n":20}`},
		{"/bill/20", run + ".1.1", `{"n":20}`},
		{"/bill/30", run + ".1.2", `{"n":30}`},
	}
	var got []call
	for _, c := range r.got("") {
		if c.path != "/note" {
			got = append(got, c)
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(call{})); diff != "" {
		t.Error(diff)
	}
	notes := map[string]int{}
	for _, c := range r.got("/note") {
		notes[c.body]++
	}
	if diff := cmp.Diff(map[string]int{"billed.10: 10": 1, "billed.20: 20": 1, "billed.30: 30": 1}, notes); diff != "" {
		t.Error(diff)
	}
	if shown := s.run(run); !strings.Contains(shown.Attempts[len(shown.Attempts)-1].Log, "billed [10,20,30]") {
		t.Errorf("log %s", shown.Attempts[len(shown.Attempts)-1].Log)
	}
}

// What destinations say holds for runs that are under way, without their
// pipeline being applied again.
func TestHeadersOfADestinationAreThoseOfNow(t *testing.T) {
	t.Parallel()
	teams := make(chan string, 10)
	r := receive(t, func(w http.ResponseWriter, req *http.Request, n int) {
		teams <- req.Header.Get("X-Team")
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	s := start(t)
	const project = `
triggers: {all: {match: {type: x}, run: send}}
pipelines: {send: {steps: [{http: {url: RECEIVER/in}}], retry: {backoff: 1s}}}
destinations: {"RECEIVER": {headers: {x-team: %s}}}
`
	s.define(fmt.Sprintf(project, "red"), r)
	s.publish("x", "1", `{}`)

	first := <-teams
	s.define(fmt.Sprintf(project, "blue"), r)
	s.await("all", "succeeded", 1)

	if second := <-teams; first != "red" || second != "blue" {
		t.Errorf("first %s, then %s", first, second)
	}
}

// An each whose events go to origins of which one is shut is held, and goes on
// where it was when that opens.
func TestEachThatMeetsAFullOriginGoesOnLater(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	slow := receive(t, func(_ http.ResponseWriter, req *http.Request, n int) {
		if n == 1 {
			select {
			case <-open:
			case <-req.Context().Done():
			}
		}
	})
	other := receive(t, nil)
	s := start(t)
	s.define(`
triggers:
  first: {match: {type: first}, run: block}
  both: {match: {type: x}, fire: [{count: 2}], expire: opened + 1h, run: each}
pipelines:
  block: {steps: [{http: {url: RECEIVER/in}}]}
  each: {steps: [{http: {url: "${data.to}/in", each: true}}]}
destinations: {"RECEIVER": {limit: 1}}
`, slow)
	s.publish("first", "0", `{}`)
	s.until("the origin is full", func() bool { return len(slow.got("/in")) == 1 })
	for i, to := range []string{other.URL, slow.URL} {
		e := &weir.Event{ID: fmt.Sprint(i), Source: "/t", Type: "x", Time: weir.TimeOf(time.Now()) + weir.Time(i), Data: fmt.Appendf(nil, `{"to":%q}`, to)}
		if _, err := s.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	s.until("the first event has its effect", func() bool { return len(other.got("/in")) == 1 })

	close(open)

	id := s.await("both", "succeeded", 1)[0].ID
	if got := outcomesOf(s.run(id)); got != "held succeeded" && got != "succeeded" {
		t.Errorf("outcomes: %s", got)
	}
	if len(other.got("/in")) != 1 || len(slow.got("/in")) != 2 {
		t.Errorf("requests: %v, %v", other.got(""), slow.got(""))
	}
}
