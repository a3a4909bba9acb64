package whole

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"weir"
	"weir/client"
)

// A limit that is raised by an apply lets those start that wait for it, though
// they keep the version that they were made with.
func TestARaisedLimitLetsWaitingRunsStart(t *testing.T) {
	t.Parallel()
	for name, project := range map[string]string{
		"pipeline": `pipelines: {send: {steps: [{http: {url: RECEIVER/}}], concurrency: {limit: LIMIT}}}`,
		"key":      `pipelines: {send: {steps: [{http: {url: RECEIVER/}}], concurrency: {limit: LIMIT, per: data.k}}}`,
		"origin": `
pipelines: {send: {steps: [{http: {url: RECEIVER/}}]}}
destinations: {"RECEIVER": {limit: LIMIT}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			hold := make(chan struct{})
			release := sync.OnceFunc(func() { close(hold) })
			defer release()
			r := holding(t, hold)
			limit := func(n int) string {
				return "triggers: {all: {match: {type: x}, run: send}}\n" + strings.ReplaceAll(project, "LIMIT", strconv.Itoa(n))
			}
			s.define(limit(1), r)
			for i := range 5 {
				s.publish("x", strconv.Itoa(i), `{"k":1}`)
			}
			s.until("one is under way", func() bool { return r.atOnce() == 1 })

			s.define(limit(3), r)

			s.until("three are under way", func() bool { return r.atOnce() == 3 })
			release()
			s.await("all", "succeeded", 5)
			if most := r.atOnce(); most > 3 {
				t.Errorf("%d at once, 3 are the most", most)
			}
		})
	}
}

// Runs of groups are limited by parts of the group's key.
func TestConcurrencyPerPartOfAGroupsKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	r := holding(t, hold)
	s.define(`
triggers: {pair: {match: [{type: x}], group_by: {shop: data.shop, n: data.n}, fire: [{count: 2}], expire: opened + 1h, run: send}}
pipelines: {send: {steps: [{http: {url: RECEIVER/}}], concurrency: {limit: 1, per: group.key.shop}}}
`, r)
	for i := range 12 { // groups of two: n 0, 1, 2 of the shops a and b
		s.publish("x", strconv.Itoa(i), fmt.Sprintf(`{"shop":%q,"n":%d}`, string("ab"[i%2]), i/4))
	}

	s.until("one of each shop is under way", func() bool { return r.atOnce() == 2 })
	if runs := s.runs(client.RunFilter{}); len(runs) != 6 {
		t.Errorf("%d runs, want 6", len(runs))
	}
	release()
	s.await("pair", "succeeded", 6)
	if most := r.atOnce(); most != 2 {
		t.Errorf("%d at once, want 2", most)
	}
}

// An event that is in a request twice is kept and acts once.
func TestAnEventThatIsTwiceInABatchIsTakenOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`triggers: {all: {match: {type: x}, run: [{log: {message: m}}]}}`)
	e := &weir.Event{ID: "1", Source: "/s", Type: "x", Data: []byte(`{"n":1}`)}
	again := &weir.Event{ID: "1", Source: "/s", Type: "x", Data: []byte(`{"n":2}`)}

	receipts, err := s.Publish(t.Context(), e, again, &weir.Event{ID: "1", Source: "/other", Type: "x"})

	if err != nil || len(receipts) != 3 || receipts[0].Duplicate || !receipts[1].Duplicate || receipts[2].Duplicate ||
		receipts[0].UID != receipts[1].UID || receipts[0].Seq != receipts[1].Seq {
		t.Fatalf("receipts %+v, %v", receipts, err)
	}
	s.await("all", "succeeded", 2)
	if shown, err := s.Event(t.Context(), receipts[0].UID); err != nil || string(shown.Data) != `{"n":1}` {
		t.Errorf("kept: %s, %v", shown.Data, err)
	}
}

// A secret is looked up at each try: what died for want of it succeeds when it
// is set, and a new value is used at once.
func TestASecretIsReadAtEachTry(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t, nil)
	s.define(`triggers: {one: {match: {type: x}, run: [{http: {url: "RECEIVER/${secret.key}"}}]}}`, r)
	s.publish("x", "1", `{}`)
	run := s.await("one", "dead", 1)[0]
	for _, value := range []string{"first", "second"} {
		if err := s.SetSecret(t.Context(), "key", value); err != nil {
			t.Fatal(err)
		}
		if value == "first" {
			if _, err := s.Redrive(t.Context(), run.ID); err != nil {
				t.Fatal(err)
			}
			s.await("one", "succeeded", 1)
		} else {
			s.publish("x", "2", `{}`)
			s.await("one", "succeeded", 2)
		}
		if calls := r.got("/" + value); len(calls) != 1 {
			t.Errorf("with %s the receiver got %+v", value, r.got(""))
		}
	}
	if err := s.DeleteSecret(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}

	s.publish("x", "3", `{}`)

	s.await("one", "dead", 1)
	if calls := r.got(""); len(calls) != 2 {
		t.Errorf("without the secret the receiver got %+v", calls)
	}
}
