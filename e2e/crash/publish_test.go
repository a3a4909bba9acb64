package crash

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"

	"weir"
	"weir/client"
)

// gate is shut while no server is there. A publisher whose request failed waits
// until it is opened the next time.
type gate struct {
	mu     sync.Mutex // guards all below
	opened int        // how often
	next   chan struct{}
}

func newGate() *gate { return &gate{next: make(chan struct{})} }

// open lets through all who wait.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened++
	close(g.next)
	g.next = make(chan struct{})
}

// pass waits until the gate was opened more than after times, and returns how
// often that was.
func (g *gate) pass(ctx context.Context, after int) (int, error) {
	for {
		g.mu.Lock()
		opened, next := g.opened, g.next
		g.mu.Unlock()
		if opened > after {
			return opened, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// acks is what publishers were answered.
type acks struct {
	count *counter // of events acknowledged for the first time

	mu    sync.Mutex // guards all below
	uids  map[string]string
	again int      // events sent again on purpose, or because no answer came
	wrong []string // answers that contradict each other
}

func newAcks() *acks { return &acks{count: newCounter(), uids: map[string]string{}} }

// known returns the uids of what was acknowledged so far.
func (a *acks) known() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.uids)
}

// publisher sends its events in order, alone and in batches, some of them with
// events before them that were acknowledged already, and everything again of
// which no answer came.
type publisher struct {
	client *client.Client
	gate   *gate
	acks   *acks
	rng    *rand.Rand
	events []*weir.Event
	next   int // of events: all before are acknowledged
}

func (p *publisher) run(ctx context.Context) error {
	up := 0 // how often the gate was open when the last request failed
	for p.next < len(p.events) {
		n := 1
		if p.rng.IntN(4) == 0 {
			n = 2 + p.rng.IntN(99)
		}
		from := p.next
		if p.rng.IntN(10) == 0 {
			from = max(0, from-1-p.rng.IntN(5))
		}
		request := p.events[from:min(p.next+n, from+100, len(p.events))]
		for try := 1; ; try++ {
			opened, err := p.gate.pass(ctx, up)
			if err != nil {
				return fmt.Errorf("wait for the server: %w", err)
			}
			receipts, err := p.send(ctx, request)
			if err == nil {
				p.take(request, receipts, try)
				break
			}
			if weir.CodeOf(err) != weir.Unavailable {
				return err
			}
			up = opened
		}
	}
	return nil
}

func (p *publisher) send(ctx context.Context, events []*weir.Event) ([]client.Receipt, error) {
	if len(events) > 1 {
		return p.client.Publish(ctx, events...)
	}
	return p.client.PublishRaw(ctx, client.Raw{ContentType: client.EventType, Body: client.AppendEvent(nil, events[0])})
}

// take notes the answers to a request that was tried so many times.
func (p *publisher) take(request []*weir.Event, receipts []client.Receipt, tries int) {
	fresh := 0
	a := p.acks
	a.mu.Lock()
	if len(receipts) != len(request) {
		a.wrong = append(a.wrong, fmt.Sprintf("%d events had %d receipts", len(request), len(receipts)))
		receipts = receipts[:0]
	}
	for i, r := range receipts {
		id := request[i].ID
		before := a.uids[id]
		switch {
		case r.ID != id:
			a.wrong = append(a.wrong, fmt.Sprintf("event %s was answered as %s", id, r.ID))
		case before != "" && (!r.Duplicate || r.UID != before):
			a.wrong = append(a.wrong, fmt.Sprintf("event %s was acknowledged as %s, and then as %+v", id, before, r))
		case before == "" && r.Duplicate && tries == 1:
			a.wrong = append(a.wrong, fmt.Sprintf("event %s was sent once and is a duplicate: %+v", id, r))
		}
		if before != "" || tries > 1 {
			a.again++
		}
		if before == "" {
			a.uids[id] = r.UID
			fresh++
		}
	}
	a.mu.Unlock()
	p.next += fresh
	a.count.add(fresh)
}
