package whole

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/client"
)

// One event goes to every trigger that it matches, and what their runs emit goes
// on, of the same execution, each caused by its run, one hop further.
func TestWhatARunEmitsGoesItsOwnWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`
triggers:
  left: {match: {type: order}, run: [{emit: {type: part.left, data: {of: "${data.n}"}}}]}
  right: {match: {type: order}, run: [{emit: {type: part.right}}]}
  both:
    match: [{type: part.*}]
    fire: [{type: part.left}, {type: part.right}]
    expire: opened + 1h
    run: [{emit: {type: whole, subject: all, data: {n: 2}}}, {emit: {type: copy, each: true}}]
  last: {match: {type: whole}, run: [{log: {message: "the end"}}]}
`)
	receipt := s.publish("order", "o1", `{"n":7}`)

	last := s.await("last", "succeeded", 1)[0]
	both := s.await("both", "succeeded", 1)[0]
	left, right := s.await("left", "succeeded", 1)[0], s.await("right", "succeeded", 1)[0]

	execution := left.Executions[0]
	for _, run := range []client.Run{left, right, both, last} {
		if !slices.Equal(run.Executions, []string{execution}) {
			t.Errorf("the run of %s has the executions %v", run.Trigger, run.Executions)
		}
	}
	if runs := s.runs(client.RunFilter{Execution: execution}); len(runs) != 4 {
		t.Errorf("the execution has %d runs", len(runs))
	}
	var got []string
	for _, e := range s.events() {
		if e.Execution != execution {
			t.Errorf("%s is of the execution %s", e.Type, e.Execution)
		}
		got = append(got, fmt.Sprintf("%s %s by %s after %d", e.Type, e.ID, e.Cause, e.Hops))
	}
	want := []string{
		"order o1 by  after 0",
		"part.left 0.0 by " + left.ID + " after 1",
		"part.right 0.0 by " + right.ID + " after 1",
		"whole 0.0 by " + both.ID + " after 2",
		"copy 1.0 by " + both.ID + " after 2",
		"copy 1.1 by " + both.ID + " after 2",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if e, err := s.Event(t.Context(), receipt.UID); err != nil || e.ID != "o1" {
		t.Errorf("the first event is %+v, %v", e, err)
	}
}

// What a finished step emitted is there once, whatever becomes of later steps,
// also over a redrive.
func TestAnEventIsEmittedOnceThoughALaterStepFails(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	s.define(`
triggers: {one: {match: {type: x}, run: one}}
pipelines:
  one:
    steps: [{emit: {type: begun}}, {http: {url: RECEIVER/}}, {emit: {type: done}}]
    retry: {attempts: 2, backoff: 1ms}
`, r)

	s.publish("x", "1", `{}`)
	run := s.await("one", "dead", 1)[0]
	if _, err := s.Redrive(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	run = s.run(s.await("one", "succeeded", 1)[0].ID)

	if got := outcomesOf(run); got != "retrying died redriven retrying succeeded" || run.Tries != 2 {
		t.Errorf("outcomes %s, %d tries", got, run.Tries)
	}
	types := map[string]int{}
	for _, e := range s.events() {
		types[e.Type]++
	}
	if types["begun"] != 1 || types["done"] != 1 || types["weir.run.dead"] != 1 || len(r.got("")) != 4 {
		t.Errorf("events %v, %d requests", types, len(r.got("")))
	}
	if keys := r.got(""); !sameKey(keys, keys[0].key, 4) {
		t.Errorf("the key did not stay: %+v", keys)
	}
}

// A batch is told of as far as the filter leaves it, and not at all if nothing is left.
func TestABatchFilteredToNothingSucceeds(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t, nil)
	s.define(`
triggers:
  three: {match: [{type: x}], group_by: {k: data.k}, fire: [{count: 3}], expire: opened + 1h, run: big}
pipelines: {big: {steps: [{filter: data.n > 1}, {http: {url: "RECEIVER/${group.key.k}"}}]}}
`, r)
	var batch []*weir.Event
	for i, data := range []string{
		`{"k":"some","n":1}`, `{"k":"none","n":0}`, `{"k":"some","n":2}`, `{"k":"none","n":1}`, `{"k":"none","n":1}`, `{"k":"some","n":3}`,
	} {
		batch = append(batch, &weir.Event{ID: fmt.Sprint(i), Source: "/s", Type: "x", Data: []byte(data)})
	}
	if _, err := s.Publish(t.Context(), batch...); err != nil {
		t.Fatal(err)
	}

	s.await("three", "succeeded", 2)

	if calls := r.got(""); len(calls) != 1 || calls[0].path != "/some" || !slices.Equal(dataOfIDs(calls[0].body), []string{"2", "5"}) {
		t.Errorf("the receiver got %+v", calls)
	}
}

// Every ending of a group is on record, also where nothing is to be done.
func TestAGroupThatEndsWithNothingToDoIsOnRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`
triggers:
  fires: {match: [{type: x}], fire: [{count: 2}], expire: opened + 1h}
  expires: {match: [{type: x}], fire: [{count: 3}], expire: opened + 100ms, run: [{log: {message: m}}]}
`)
	both := []*weir.Event{{ID: "1", Source: "/s", Type: "x"}, {ID: "2", Source: "/s", Type: "x"}}
	if _, err := s.Publish(t.Context(), both...); err != nil {
		t.Fatal(err)
	}

	for trigger, reason := range map[string]string{"fires": "fired", "expires": "expired"} {
		run := s.run(s.await(trigger, "succeeded", 1)[0].ID)
		if run.Reason != reason || run.Pipeline != "" || len(run.Events) != 2 {
			t.Errorf("%s: %+v", trigger, run)
		}
		if g, err := s.Group(t.Context(), run.Group); err != nil || g.State != reason || g.Run != run.ID || len(g.Events) != 2 {
			t.Errorf("%s: the group is %+v, %v", trigger, g, err)
		}
		if d, err := s.Definition(t.Context(), weir.KindTrigger, trigger); err != nil || d.Counters["matched"] != 2 || d.Counters[reason] != 1 {
			t.Errorf("%s: counters %v, %v", trigger, d.Counters, err)
		}
	}
}
