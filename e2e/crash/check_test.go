package crash

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/client"
)

// seen is all that is known about a load in the end: what the driver was
// answered, what the API shows, and what the receiver got.
type seen struct {
	acked  map[string]string // id of an event -> the uid that it was acknowledged with
	events []client.Event
	runs   []client.Run // each shown alone, so with its events
	calls  []call
	kills  int // how often a process was killed
}

// check compares what was seen with the plan, and says all that is wrong.
func (p *plan) check(s *seen) []string {
	c := checker{plan: p, seen: s, ids: map[string]string{}, runOf: map[string]string{}}
	c.events()
	c.runs()
	c.effects()
	c.emitted()
	return c.wrong
}

type checker struct {
	*plan
	*seen
	ids   map[string]string // uid -> id of the plan's events
	runOf map[string]string // run -> name of its firing
	wrong []string
}

func (c *checker) say(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// events: what was acknowledged is there, once, where the answer said.
func (c *checker) events() {
	there := map[string][]client.Event{} // by id
	for _, e := range c.seen.events {
		if e.Source == source {
			there[e.ID] = append(there[e.ID], e)
			c.ids[e.UID] = e.ID
		}
	}
	for _, events := range c.publishers {
		for _, e := range events {
			c.event(e, there[e.ID])
			delete(there, e.ID)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(there)) {
		c.say("event %s was sent by nobody", id)
	}
}

func (c *checker) event(sent *weir.Event, there []client.Event) {
	switch acked := c.acked[sent.ID]; {
	case acked == "":
		c.say("event %s was never acknowledged", sent.ID)
	case len(there) == 0:
		c.say("event %s was acknowledged and is lost", sent.ID)
	case len(there) > 1:
		c.say("event %s is there %d times", sent.ID, len(there))
	case there[0].UID != acked:
		c.say("event %s was acknowledged as %s and is there as %s", sent.ID, acked, there[0].UID)
	case there[0].Type != sent.Type || there[0].Time != sent.Time || !bytes.Equal(there[0].Data, sent.Data):
		c.say("event %s is not as it was sent", sent.ID)
	}
}

// batch names a trigger, or a path, with the members of a batch.
func batch(of string, members []string) string { return of + ": " + strings.Join(members, " ") }

// runs: each firing has one run, with its members in their order, which
// succeeded; and there are no others.
func (c *checker) runs() {
	made := map[string][]client.Run{}
	for _, r := range c.seen.runs {
		if r.Trigger == "told" {
			continue // emitted looks at them
		}
		members := make([]string, len(r.Events))
		for i, uid := range r.Events {
			members[i] = c.ids[uid]
		}
		key := batch(r.Trigger, members)
		made[key] = append(made[key], r)
	}
	for _, f := range c.firings {
		key := batch(f.trigger, f.members)
		runs := made[key]
		delete(made, key)
		if len(runs) != 1 {
			c.say("firing %s has %d runs with its %d members", f.name, len(runs), len(f.members))
		}
		for _, r := range runs {
			c.runOf[r.ID] = f.name
			c.succeeded(r)
		}
	}
	for _, runs := range made {
		for _, r := range runs {
			c.say("run %s of trigger %s with %d members belongs to no firing", r.ID, r.Trigger, len(r.Events))
		}
	}
}

func (c *checker) succeeded(r client.Run) {
	if r.State != "succeeded" {
		c.say("run %s of trigger %s is %s: %s", r.ID, r.Trigger, r.State, r.Error)
	}
}

// effects: each step of each firing reached the receiver, under one key of its
// own, and not more often than failures and kills explain.
func (c *checker) effects() {
	calls := map[string][]call{}
	for _, each := range c.calls {
		key := batch(each.path, each.members)
		calls[key] = append(calls[key], each)
	}
	owner := map[string]string{} // Idempotency-Key -> firing and path
	for _, f := range c.firings {
		for _, path := range f.steps {
			key := batch(path, f.members)
			c.effect(f.name+" at "+path, calls[key], owner)
			delete(calls, key)
		}
	}
	for _, list := range calls {
		c.say("the receiver got a batch of %d events at %s that is no firing's", len(list[0].members), list[0].path)
	}
}

func (c *checker) effect(name string, calls []call, owner map[string]string) {
	refused := 0
	keys := map[string]bool{}
	for _, each := range calls {
		keys[each.key] = true
		if each.refused {
			refused++
		}
	}
	switch {
	case len(calls) == refused:
		c.say("firing %s had no effect", name)
	case len(keys) > 1 || keys[""]:
		c.say("firing %s had %d keys: %q", name, len(keys), slices.Sorted(maps.Keys(keys)))
	case len(calls) > 1+refused+c.kills:
		c.say("firing %s came %d times, with %d refused and %d kills", name, len(calls), refused, c.kills)
	}
	for key := range keys {
		if other := owner[key]; other != "" {
			c.say("firings %s and %s had the same key %s", name, other, key)
		}
		owner[key] = name
	}
}

// emitted: each run that emits an event emitted one, and each of these events
// made one run of its own.
func (c *checker) emitted() {
	byRun := map[string]int{}
	told := map[string]int{} // uid of an emitted event -> runs
	for _, r := range c.seen.runs {
		if r.Trigger == "told" {
			told[strings.Join(r.Events, " ")]++
			c.succeeded(r)
		}
	}
	for _, e := range c.seen.events {
		if e.Type != gathered {
			continue
		}
		name := c.runOf[e.Cause.String()]
		byRun[name]++
		if told[e.UID] != 1 {
			c.say("event %s, emitted by the run of %q, made %d runs", e.UID, name, told[e.UID])
		}
		delete(told, e.UID)
	}
	for _, f := range c.firings {
		if want := byRun[f.name]; f.emits && want != 1 {
			c.say("the run of firing %s emitted %d events", f.name, want)
		}
	}
	for uid, n := range told {
		c.say("%d runs were made by %q, which no run emitted", n, uid)
	}
}
