package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/dispatch"
	"weir/internal/fold"
)

// host is a process that may stand still: while it is paused, nothing that it
// calls answers. It has workers of its own and takes what is granted to it.
type host struct {
	name   string
	hosts  *hosts
	d      *dispatch.Dispatcher // of its newest tenure; nil before
	tenure tenure

	mu     sync.Mutex // guards all below
	paused chan struct{}
	trying map[weir.RunID]context.CancelFunc // its own workers', and granted ones
	loops  sync.WaitGroup
}

// hosts are the processes on one journal and one state, and who tries what.
type hosts struct {
	t     *testing.T
	r     *rig
	f     *fleet
	ctx   context.Context
	tries sync.WaitGroup

	mu      sync.Mutex // guards all below
	random  *rand.Rand
	active  map[int]int // tries under way of a dispatcher's own workers, by its token; 0: those granted to others
	most    int         // at once of the newest tenure, and granted
	granted int
}

const hostSlots = 2

func (h *hosts) rand(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.random.IntN(n)
}

// runs waits while the host is paused.
func (h *host) runs() {
	h.mu.Lock()
	paused := h.paused
	h.mu.Unlock()
	if paused != nil {
		<-paused
	}
}

func (h *host) pause() (resume func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	paused := make(chan struct{})
	h.paused = paused
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.paused = nil
		close(paused)
	}
}

// hostJournal and hostState are the stores as a host reaches them.
type hostJournal struct {
	*refusal
	host *host
}

func (j hostJournal) Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error) {
	j.host.runs()
	return j.refusal.Read(ctx, after, limit)
}

func (j hostJournal) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	j.host.runs()
	return j.refusal.Append(ctx, batches...)
}

type hostState struct {
	tenure
	host *host
}

func (s hostState) Flush(ctx context.Context, l *fold.Layer) error {
	s.host.runs()
	return s.tenure.Flush(ctx, l)
}

// Take, Free and Cancel make a host the workers of its dispatcher.
func (h *host) Take(leases []weir.Lease) {
	for i := range leases {
		h.try(&leases[i].Run, leases[i].Began, true)
	}
}

func (h *host) Free() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(0, hostSlots-len(h.trying))
}

func (h *host) Cancel(run weir.RunID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if cancel := h.trying[run]; cancel != nil {
		cancel()
	}
}

// try tries a run for a while, then appends what became of it.
func (h *host) try(run *weir.Run, began weir.Time, own bool) {
	id, n := run.ID, run.N+1
	ctx, cancel := context.WithCancel(h.hosts.ctx)
	h.mu.Lock()
	if h.trying[id] != nil {
		h.mu.Unlock()
		cancel()
		if own {
			h.d.Finish([]weir.Finish{{Run: id, Began: began, Unbegun: true}})
		}
		return
	}
	h.trying[id] = cancel
	d := h.d
	h.mu.Unlock()
	token := 0
	if own {
		token = h.tenure.token
	}
	h.hosts.began(token)
	h.hosts.tries.Go(func() {
		defer cancel()
		timer := time.NewTimer(time.Duration(1+h.hosts.rand(1500)) * time.Millisecond)
		defer timer.Stop()
		cancelled := false
		select {
		case <-ctx.Done():
			cancelled = true
		case <-timer.C:
		}
		h.runs()
		h.hosts.ended(token) // before anybody can know
		if !cancelled {
			h.hosts.settle(id, n, h.name)
		}
		h.mu.Lock()
		delete(h.trying, id)
		h.mu.Unlock()
		if own {
			d.Finish([]weir.Finish{{Run: id, Began: began}})
		}
	})
}

func (h *hosts) began(token int) {
	newest := h.f.newest()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active[token]++
	if token == 0 {
		h.granted++
	}
	h.most = max(h.most, h.active[0]+h.active[newest])
}

func (h *hosts) ended(token int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active[token]--
}

// newest returns the token that is in force.
func (f *fleet) newest() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.token
}

// settle appends a change of a run: one time in three another try.
func (h *hosts) settle(run weir.RunID, n uint32, node string) {
	c := &weir.Change{Run: run, N: n, Kind: weir.Succeeded, Attempt: &weir.Attempt{Try: 1, Node: node}}
	if n == 1 {
		c.Firing = &weir.Firing{Trigger: "each"}
	}
	if h.rand(3) == 0 {
		c.Kind = weir.Retrying
	}
	_, _ = h.r.journal.Append(h.ctx, weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Change: c}}})
}

// takes begins what is granted to a host, renews it, and stops what was taken away.
func (h *host) takes() {
	granted := map[weir.RunID]bool{}
	for h.hosts.ctx.Err() == nil {
		<-time.After(100 * time.Millisecond)
		h.runs()
		for _, row := range h.hosts.f.take(h.name) {
			runs, err := h.hosts.f.Runs(h.hosts.ctx, []weir.RunID{row.Run})
			if err != nil || len(runs) == 0 {
				continue // it ended meanwhile
			}
			granted[row.Run] = true
			h.try(runs[0], row.Began, false)
		}
		h.mu.Lock()
		for id := range granted {
			if h.trying[id] == nil {
				delete(granted, id)
			} else if !h.hosts.f.renew(h.name, id) {
				h.trying[id]()
				delete(granted, id)
			}
		}
		h.mu.Unlock()
	}
}

// renew makes a begun lease of a node last on, and reports whether it still has it.
func (f *fleet) renew(node string, run weir.RunID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	row, ok := f.rows[run]
	if !ok || row.Node != node || !row.Begun || !f.until[run].After(time.Now()) {
		return false
	}
	f.until[run] = time.Now().Add(runLease)
	return true
}

// reign makes a host dispatch until another begins, or ctx ends.
func (h *host) reign(ctx context.Context) {
	h.tenure = h.hosts.f.begin()
	d := dispatch.New(dispatch.Options{
		Journal: hostJournal{h.hosts.r.refuse, h}, State: hostState{h.tenure, h}, Held: h.tenure.held, Nodes: h.hosts.f,
		Logger: slog.New(slog.DiscardHandler), Node: h.name, Slots: hostSlots, Grace: time.Second,
	})
	h.mu.Lock()
	h.d = d
	h.mu.Unlock()
	h.loops.Go(func() { _ = d.Run(ctx, h) })
}

// The shard goes from node to node, now cleanly, now because one stands still and
// goes on later, while events come in. Whatever happens, each event makes one run,
// each run's changes are one chain that ends once, and no dispatcher lets more run
// than the pipeline allows.
func TestHandOversFoldEachEventOnceAndKeepLimits(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			inFleet(t, func(t *testing.T, r *rig, f *fleet) {
				const limit, events = 3, 200
				h := &hosts{t: t, r: r, f: f, random: rand.New(rand.NewPCG(seed, 2)), active: map[int]int{}}
				h.run(limit, events)
				h.check(limit, events)
			})
		})
	}
}

func (h *hosts) run(limit, events int) {
	ctx, cancel := context.WithCancel(h.t.Context())
	h.ctx = ctx
	all := make([]*host, 3)
	var takers sync.WaitGroup
	nodes := make([]weir.Node, len(all))
	for i := range all {
		name := fmt.Sprintf("n%d", i+1)
		all[i] = &host{name: name, hosts: h, trying: map[weir.RunID]context.CancelFunc{}}
		nodes[i] = weir.Node{Name: name, Slots: hostSlots}
		takers.Go(all[i].takes)
	}
	h.f.know(nodes...)
	limited := slow
	limited.Concurrency = &weir.Concurrency{Limit: limit}
	limited.Retry = weir.Retry{Attempts: 1000, Max: weir.Duration(10 * time.Second)}
	h.r.apply(each, limited)
	at := 0
	reigning, stop := context.WithCancel(ctx)
	all[at].reign(reigning)
	for sent := 0; sent < events; {
		for range h.rand(20) {
			if sent < events {
				h.r.event("a")
				sent++
			}
		}
		h.r.wait(time.Duration(h.rand(5000)) * time.Millisecond)
		next := (at + 1 + h.rand(2)) % len(all)
		switch h.rand(3) {
		case 0: // cleanly
			stop()
			all[at].loops.Wait()
			reigning, stop = context.WithCancel(ctx)
			all[next].loops.Wait()
			all[next].reign(reigning)
			at = next
		case 1: // it stands still, for another to take over, and goes on
			resume := all[at].pause()
			h.r.wait(17 * time.Second)
			old := stop
			reigning, stop = context.WithCancel(ctx)
			all[next].reign(reigning)
			h.r.wait(time.Duration(h.rand(3000)) * time.Millisecond)
			resume()
			time.AfterFunc(250*time.Millisecond, old) // as its leader does when its timers run
			all[at].loops.Wait()
			at = next
		}
	}
	h.r.wait(15 * time.Minute) // all leases run out, all runs end
	stop()
	for _, host := range all {
		host.loops.Wait()
	}
	cancel()
	h.tries.Wait()
	takers.Wait()
}

func (h *hosts) check(limit, events int) {
	made, last := map[weir.RunID]bool{}, map[weir.RunID]uint32{}
	ended := map[weir.RunID]int{}
	for _, rec := range h.r.records(0) {
		if rec.Event != nil && rec.Event.Type == "a" {
			id := weir.Origin{At: rec.At, Seq: rec.Seq, Trigger: "each", Purpose: "match"}.RunID()
			made[id] = true
		}
		c := rec.Change
		if c == nil || c.Kind == weir.Stale {
			continue
		}
		if !made[c.Run] || c.N != last[c.Run]+1 || ended[c.Run] > 0 {
			h.t.Errorf("change %d (%s) of %s follows change %d", c.N, c.Kind, c.Run, last[c.Run])
		}
		last[c.Run] = c.N
		if c.Kind == weir.Succeeded || c.Kind == weir.Died {
			ended[c.Run]++
		}
	}
	if len(made) != events || len(ended) != events {
		h.t.Errorf("%d runs made and %d ended of %d events", len(made), len(ended), events)
	}
	for _, run := range h.r.checkpoint().Runs {
		if run.State != weir.RunDead {
			h.t.Errorf("%s is left %s, due in %v, after change %d", run.ID, run.State, time.Until(run.Due.Std()), last[run.ID])
		}
	}
	if h.most > limit {
		h.t.Errorf("%d tries at once under one tenure, and %d are allowed", h.most, limit)
	}
	if h.f.token < 5 || h.granted == 0 || h.most < limit {
		h.t.Errorf("only %d tenures, %d leases granted, %d tries at once: the test shows little", h.f.token, h.granted, h.most)
	}
}
