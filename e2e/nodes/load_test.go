package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir"
	"weir/client"
)

// Of each type a run is made: one calls the receiver, the other publishes an event
// of its own.
const (
	calling = "load.call"
	passing = "load.pass"
	passed  = "load.passed"
)

func project(r *receiver) string {
	return fmt.Sprintf(`triggers:
  call: {match: {type: %s}, run: call}
  pass: {match: {type: %s}, run: pass}
pipelines:
  call:
    steps: [{http: {url: "%s/call"}}]
    retry: {attempts: 100, backoff: 50ms, max: 500ms}
  pass:
    steps: [{emit: {type: %s}}]
    retry: {attempts: 100, backoff: 50ms, max: 500ms}
`, calling, passing, r.url, passed)
}

// load is events that are sent, and what is expected of them.
type load struct {
	to   *receiver
	call []string // ids of the events that call
	pass []string

	mu    sync.Mutex // guards:
	acked []string
}

func newLoad(to *receiver, name string, call, pass int) *load {
	l := &load{to: to}
	for i := range call {
		l.call = append(l.call, fmt.Sprintf("%s-c%05d", name, i))
	}
	for i := range pass {
		l.pass = append(l.pass, fmt.Sprintf("%s-p%05d", name, i))
	}
	return l
}

// events returns all, those that call spread among the others.
func (l *load) events() []*weir.Event {
	all := make([]*weir.Event, 0, len(l.call)+len(l.pass))
	for i := range max(len(l.call), len(l.pass)) {
		if i < len(l.call) {
			all = append(all, event(l.call[i], calling))
		}
		if i < len(l.pass) {
			all = append(all, event(l.pass[i], passing))
		}
	}
	return all
}

const publishers = 4

// publish sends all through a node, in batches, and waits for the answers.
func (l *load) publish(ctx context.Context, t *testing.T, door *node) {
	var all sync.WaitGroup
	batches := make(chan []*weir.Event)
	for range publishers {
		all.Go(func() {
			for batch := range batches {
				if _, err := door.Publish(ctx, batch...); err != nil {
					t.Errorf("publish: %v", err)
				}
				l.ack(batch)
			}
		})
	}
	for batch := range slices.Chunk(l.events(), 100) {
		batches <- batch
	}
	close(batches)
	all.Wait()
}

func (l *load) ack(batch []*weir.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range batch {
		l.acked = append(l.acked, e.ID)
	}
}

// check asks a node what became of all, when all runs have ended.
func (l *load) check(t *testing.T, asked *node) {
	t.Helper()
	runs := asked.allRuns(t)
	effects, repeated := l.to.effects()
	var wrong []string
	for _, id := range l.call {
		if len(runs[id]) != 1 || effects[id] != 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d runs, %d effects", id, len(runs[id]), effects[id]))
		}
	}
	emitted := l.emitted(t, asked)
	for _, id := range l.pass {
		if len(runs[id]) != 1 || emitted[id] != 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d runs, %d events of it", id, len(runs[id]), emitted[id]))
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%d events are wrong:\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
	}
	if dead, err := asked.Runs(t.Context(), client.RunFilter{State: "dead"}, client.Paging{Limit: 1}); err != nil || len(dead.Items) > 0 {
		t.Errorf("dead runs: %+v, %v", dead.Items, err)
	}
	t.Logf("seen: %d events, each folded once; %d effects, of which %d were repeated with the same key",
		len(l.call)+len(l.pass), len(l.call), repeated)
}

// emitted counts the events that were published by runs, by what caused them.
func (l *load) emitted(t *testing.T, asked *node) map[string]int {
	t.Helper()
	all := map[string]int{}
	after := ""
	for {
		page, err := asked.Events(t.Context(), client.EventFilter{Type: passed}, client.Paging{Limit: 1000, After: after})
		if err != nil {
			t.Fatalf("list events: %v", err)
		}
		for _, e := range page.Items {
			all[e.Execution]++
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// share tells how many tries each node ended.
func share(t *testing.T, asked *node) {
	t.Helper()
	var parts []string
	for _, n := range asked.listed(t) {
		parts = append(parts, fmt.Sprintf("%s (%s) ended %d tries", n.Name, n.State, n.Tries))
	}
	t.Logf("seen: %s", strings.Join(parts, ", "))
}
