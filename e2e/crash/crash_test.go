package crash

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/client"
)

// seeds says how many loads are tried: WEIR_CRASH_SEEDS, or all 20, or 3 with
// -short.
func seeds(t *testing.T) int {
	if text := os.Getenv("WEIR_CRASH_SEEDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("WEIR_CRASH_SEEDS is %q", text)
		}
		return n
	}
	if testing.Short() {
		return 3
	}
	return 20
}

func TestNothingIsLostOrDoubledWhenTheServerIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	for seed := range seeds(t) {
		t.Run(fmt.Sprintf("seed%02d", seed), func(t *testing.T) {
			t.Parallel()
			underLoad(t, uint64(seed))
		})
	}
}

// load is one seed on its way.
type load struct {
	seed   uint64
	shape  shape
	plan   *plan
	server *server
	to     *receiver
	gate   *gate
	acks   *acks
	rng    *rand.Rand // of who interrupts
	began  time.Time
	loaded time.Duration

	counted  []restart // what was seen after kills that count
	idle     int       // kills at which nothing was unflushed or unfolded
	starting int       // kills of a server that was just starting
}

func newLoad(t *testing.T, seed uint64, s shape) *load {
	return &load{
		seed: seed, shape: s, plan: newPlan(seed, s), server: newServer(t), to: newReceiver(t, hesitant),
		gate: newGate(), acks: newAcks(), rng: rand.New(rand.NewPCG(seed, 2)), began: time.Now(),
	}
}

func underLoad(t *testing.T, seed uint64) {
	l := newLoad(t, seed, fullLoad())
	wrong := l.run(t, func(ctx context.Context) {
		for wanted := 4 + l.rng.IntN(3); len(l.counted) < wanted; {
			if l.idle > 10 {
				t.Fatalf("only %d kills of %d found anything unflushed or unfolded", len(l.counted), wanted)
			}
			l.await(ctx, t, wanted-len(l.counted))
			l.kill(t)
		}
	})
	l.tell(len(wrong))
}

// run sends the whole load, while interrupt does what it likes to the server,
// and returns what is wrong afterwards, of which it fails the test.
func (l *load) run(t *testing.T, interrupt func(ctx context.Context)) (wrong []string) {
	t.Helper()
	l.server.start(t)
	l.server.apply(t, l.shape.project(l.to.url))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	published := l.publish(ctx)
	l.gate.open()
	interrupt(ctx)
	for range l.plan.publishers {
		if err := <-published; err != nil {
			t.Fatalf("publish: %v\n%s", err, l.server.process.said())
		}
	}
	l.loaded = time.Since(l.began)
	l.end(ctx, t)
	wrong = append(l.acks.wrong, l.plan.check(l.look(ctx, t))...)
	for _, w := range wrong[:min(len(wrong), 20)] {
		t.Error(w)
	}
	return wrong
}

// hesitant makes a receiver answer some requests late, so that tries are old
// enough for their leases to be written, and refuse some at first.
func hesitant(path, key string, n int) bool {
	draw := fnv.New32a()
	draw.Write([]byte(key))
	sum := draw.Sum32() / 7
	if n == 1 && sum%100 == 0 {
		pause(300 * time.Millisecond)
	}
	return n == 1 && path == "/second" && sum%4 == 0
}

// publish starts the publishers.
func (l *load) publish(ctx context.Context) <-chan error {
	ended := make(chan error, len(l.plan.publishers))
	for i, events := range l.plan.publishers {
		p := &publisher{
			client: l.server.Client, gate: l.gate, acks: l.acks, events: events,
			rng: rand.New(rand.NewPCG(l.seed, uint64(100+i))),
		}
		go func() { ended <- p.run(ctx) }()
	}
	return ended
}

// await waits for the moment to interrupt, when so many interruptions are left:
// at a random count of what was acknowledged or of what reached the receiver,
// whichever comes first, and then some time.
func (l *load) await(ctx context.Context, t *testing.T, left int) {
	t.Helper()
	size, acked, effects := l.plan.size(), l.acks.count.now(), l.to.count.now()
	part := (size - acked) / left
	select {
	case <-l.acks.count.reached(min(acked+part/4+l.rng.IntN(part+1), size)):
	case <-l.to.count.reached(effects + 50 + l.rng.IntN(1500)):
	case <-ctx.Done():
		t.Fatalf("wait for the moment to interrupt: %v\n%s", ctx.Err(), l.server.process.said())
	}
	pause(time.Duration(l.rng.IntN(20_000)) * time.Microsecond)
}

// kill kills the server and starts it again, now and then with a kill in
// between, and says what it found.
func (l *load) kill(t *testing.T) {
	t.Helper()
	l.server.process.kill()
	if l.rng.IntN(3) == 0 {
		l.killAtStart(t)
	}
	acked, effects := l.acks.count.now(), l.to.count.now()
	r := l.server.start(t).caughtUp(t)
	l.gate.open() // only now: what is folded again is what the kill left
	word := "counts"
	if r.Records > 0 {
		l.counted = append(l.counted, r)
	} else {
		l.idle++
		word = "does not count"
	}
	fmt.Printf("seen: crash seed %2d: killed at %d acknowledged and %d effects, %s: %v\n", l.seed, acked, effects, word, r)
}

// killAtStart starts a process and kills it somewhere on its way to catch up, or
// just after.
func (l *load) killAtStart(t *testing.T) {
	t.Helper()
	l.starting++
	p := l.server.launch(t)
	pause(time.Duration(l.rng.IntN(100)) * time.Millisecond)
	p.kill()
}

// pause makes what follows come at another moment. No test relies on it.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// end waits until everything that must come of the load has come, then stops
// the server and starts it once more: what is looked at stands on the disk.
func (l *load) end(ctx context.Context, t *testing.T) {
	t.Helper()
	l.server.settle(ctx, t)
	// All that runs emitted stands before this event, and it is seen when that is.
	if _, err := l.server.Publish(ctx, &weir.Event{ID: "last", Source: "/other", Type: "last"}); err != nil {
		t.Fatal(err)
	}
	l.server.settle(ctx, t)
	l.server.HTTP.CloseIdleConnections() // a server waits some seconds for one that was never used
	l.server.process.stop(t)
	if r := l.server.start(t).caughtUp(t); r.Records != 0 || r.Lost != 0 || r.Due != 0 {
		t.Errorf("after a clean stop: %v", r)
	}
}

// look reads everything through the API.
func (l *load) look(ctx context.Context, t *testing.T) *seen {
	t.Helper()
	s := &seen{acked: l.acks.uids, calls: l.to.all(), kills: len(l.counted) + l.idle + l.starting}
	s.events = all(t, func(p client.Paging) (client.Page[client.Event], error) {
		return l.server.Events(ctx, client.EventFilter{}, p)
	})
	s.runs = all(t, func(p client.Paging) (client.Page[client.Run], error) {
		return l.server.Runs(ctx, client.RunFilter{}, p)
	})
	var readers sync.WaitGroup
	for part := range slices.Chunk(s.runs, len(s.runs)/4+1) {
		readers.Go(func() {
			for i := range part {
				run, err := l.server.Run(ctx, part[i].ID)
				if err != nil {
					t.Errorf("show run: %v", err)
				}
				part[i] = run // shown alone it has its events
			}
		})
	}
	readers.Wait()
	return s
}

// all reads a list to its end.
func all[T any](t *testing.T, page func(client.Paging) (client.Page[T], error)) []T {
	t.Helper()
	var list []T
	for p := (client.Paging{Limit: 1000}); ; {
		part, err := page(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, part.Items...)
		if part.Next == "" {
			return list
		}
		p.After = part.Next
	}
}

// tell prints the summary of a seed.
func (l *load) tell(wrong int) {
	var sum restart
	for _, r := range l.counted {
		sum.Records += r.Records
		sum.Changes += r.Changes
		sum.Due += r.Due
		sum.Lost += r.Lost
	}
	l.acks.mu.Lock()
	defer l.acks.mu.Unlock()
	fmt.Printf("seen: crash seed %2d: %d events, %d sent again, %d firings, %d effects; %d kills counted, %d idle, %d at start; "+
		"folded again %d records with %d changes, %d runs due, %d tries lost; %d wrong; loaded in %.1f s, all in %.1f s\n",
		l.seed, len(l.acks.uids), l.acks.again, len(l.plan.firings), l.to.count.now(), len(l.counted), l.idle, l.starting,
		sum.Records, sum.Changes, sum.Due, sum.Lost, wrong, l.loaded.Seconds(), time.Since(l.began).Seconds())
}
