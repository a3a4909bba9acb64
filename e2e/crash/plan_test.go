package crash

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"weir"
)

// source is where the events of a plan say that they come from.
const source = "/crash"

// plan is what a driver sends, and all that must come of it. It is known before
// anything is sent: each key has one publisher, which sends its events in order,
// and every key's events make whole firings.
type plan struct {
	publishers [][]*weir.Event // each publisher's events, in order
	firings    []firing
}

// firing is one run that there must be.
type firing struct {
	name    string // for people
	trigger string
	members []string // ids of events, in the order of the batch
	steps   []string // paths at the receiver, in order
	emits   bool     // and then an event of the type gathered
}

// gathered is the type of the events that the pipeline of groups emits.
const gathered = "load.gathered"

// gathering is a trigger of the project that fires when a key has count events.
type gathering struct {
	trigger string
	count   int
	keys    int
	firings int // per key
}

// shape says how large a plan is.
type shape struct {
	publishers int
	single     int // events that fire at once
	gatherings []gathering
}

// fullLoad is 20,000 events. Groups of "many" have more members than state
// keeps in one piece.
func fullLoad() shape {
	return shape{publishers: 8, single: 3000, gatherings: []gathering{
		{"few", 5, 25, 24},
		{"some", 40, 20, 10},
		{"many", 300, 4, 5},
	}}
}

// project writes the project file of a shape.
func (s shape) project(receiver string) string {
	var b strings.Builder
	b.WriteString("triggers:\n  single: {match: {type: load.single}, run: single}\n")
	for _, g := range s.gatherings {
		fmt.Fprintf(&b, `  %[1]s:
    match: {type: load.%[1]s}
    group_by: {key: data.key}
    fire: [{type: load.%[1]s, count: %[2]d}]
    expire: opened + 1d
    run: gather
`, g.trigger, g.count)
	}
	fmt.Fprintf(&b, `  told: {match: {type: %[2]s}, run: [{log: {message: "${data.key}"}}]}
pipelines:
  single:
    steps: [{http: {url: "%[1]s/single"}}]
    retry: {attempts: 100, backoff: 20ms, max: 200ms}
  gather:
    steps:
      - http: {url: "%[1]s/first"}
      - http: {url: "%[1]s/second"}
      - emit: {type: %[2]s, data: {key: "${group.key.key}"}}
    retry: {attempts: 100, backoff: 20ms, max: 200ms}
`, receiver, gathered)
	return b.String()
}

// newPlan makes the plan of a seed.
func newPlan(seed uint64, s shape) *plan {
	p := &plan{publishers: make([][]*weir.Event, s.publishers)}
	rng := rand.New(rand.NewPCG(seed, 1))
	base := weir.TimeOf(time.Now().Add(-time.Minute))
	owners := make([][]draft, s.publishers) // what each publisher sends, one entry per event
	for i := range s.single {
		n := i % s.publishers
		owners[n] = append(owners[n], draft{trigger: "single", count: 1})
	}
	for _, g := range s.gatherings {
		for k := range g.keys {
			n := k % s.publishers
			d := draft{trigger: g.trigger, key: fmt.Sprintf("k%d", k), count: g.count}
			owners[n] = append(owners[n], slices.Repeat([]draft{d}, g.count*g.firings)...)
		}
	}
	for n, drafts := range owners {
		rng.Shuffle(len(drafts), func(i, j int) { drafts[i], drafts[j] = drafts[j], drafts[i] })
		open := map[string][]*weir.Event{} // by trigger and key
		fired := map[string]int{}
		for i, d := range drafts {
			e := d.event(fmt.Sprintf("s%d-p%d-%05d", seed, n, i), base.Add(time.Duration(rng.IntN(2000))*time.Millisecond))
			p.publishers[n] = append(p.publishers[n], e)
			name := d.trigger + " " + cmp.Or(d.key, e.ID)
			if open[name] = append(open[name], e); len(open[name]) == d.count {
				fired[name]++
				p.firings = append(p.firings, d.firing(fmt.Sprintf("%s #%d", name, fired[name]), open[name]))
				open[name] = nil
			}
		}
	}
	return p
}

// draft is what is known of an event before its place among others is.
type draft struct {
	trigger string
	key     string
	count   int // of its trigger
}

func (d draft) event(id string, at weir.Time) *weir.Event {
	return &weir.Event{
		ID: id, Source: source, Type: "load." + d.trigger, Time: at,
		Data: fmt.Appendf(nil, `{"key":%q,"text":"every event brings some data of its own: %s"}`, d.key, id),
	}
}

// firing puts events, which stand in the order in which they were sent, into
// the order of a batch: by time, then place.
func (d draft) firing(name string, events []*weir.Event) firing {
	f := firing{name: name, trigger: d.trigger, steps: []string{"/single"}}
	if d.trigger != "single" {
		f.steps, f.emits = []string{"/first", "/second"}, true
	}
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b *weir.Event) int { return cmp.Compare(a.Time, b.Time) })
	for _, e := range events {
		f.members = append(f.members, e.ID)
	}
	return f
}

// size returns how many events the plan has.
func (p *plan) size() int {
	n := 0
	for _, events := range p.publishers {
		n += len(events)
	}
	return n
}
