package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/dispatch"
	"weir/internal/fold"
	journalpg "weir/internal/journal/postgres"
	"weir/internal/leader"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
	statepg "weir/internal/state/postgres"
)

// peer is one of several processes on a PostgreSQL, with connections of its own.
// While it is stopped nothing that it calls goes on, but clocks do.
type peer struct {
	name    string
	peers   *peers
	journal *journalpg.Journal
	state   *statepg.State
	gate    sync.RWMutex // held while it is stopped
	d       atomic.Pointer[dispatch.Dispatcher]
	token   atomic.Int64

	mu     sync.Mutex // guards:
	trying map[weir.RunID]context.CancelFunc
}

// peers count what is tried at once, as hosts do.
type peers struct {
	t     *testing.T
	loops sync.WaitGroup
	tries sync.WaitGroup

	mu      sync.Mutex // guards all below
	newest  int64      // token of a tenure that began
	active  map[int64]int
	most    int
	granted int
}

func (p *peer) runs() {
	p.gate.RLock()
	defer p.gate.RUnlock()
}

// The stores as a peer reaches them.
type (
	peerJournal struct {
		*journalpg.Journal
		*peer
	}
	peerTenure struct {
		*statepg.Tenure
		*peer
	}
	peerHolds struct {
		*statepg.Holds
		*peer
	}
)

// peerNodes are the nodes, which look for what is granted by themselves.
type peerNodes struct{ *statepg.State }

func (peerNodes) Granted([]string) {}

func (peerNodes) Revoked([]string) {}

func (j peerJournal) Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error) {
	j.runs()
	return j.Journal.Read(ctx, after, limit)
}

func (j peerJournal) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	j.runs()
	return j.Journal.Append(ctx, batches...)
}

func (s peerTenure) Flush(ctx context.Context, l *fold.Layer) error {
	s.runs()
	return s.Tenure.Flush(ctx, l)
}

func (h peerHolds) Renew(ctx context.Context, name string, token int64, lease time.Duration) (bool, error) {
	h.runs()
	return h.Holds.Renew(ctx, name, token, lease)
}

// Take, Free and Cancel make a peer the workers of its dispatcher.
func (p *peer) Take(leases []weir.Lease) {
	for i := range leases {
		p.try(&leases[i].Run, leases[i].Began, p.token.Load())
	}
}

func (p *peer) Free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, hostSlots-len(p.trying))
}

func (p *peer) Cancel(run weir.RunID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cancel := p.trying[run]; cancel != nil {
		cancel()
	}
}

// try tries a run for a while, then appends what became of it. Token 0: it was
// granted by a dispatcher elsewhere.
func (p *peer) try(run *weir.Run, began weir.Time, token int64) {
	ctx, cancel := context.WithCancel(context.Background())
	p.mu.Lock()
	busy := p.trying[run.ID] != nil
	if !busy {
		p.trying[run.ID] = cancel
	}
	p.mu.Unlock()
	finish := func(unbegun bool) {
		if d := p.d.Load(); token != 0 && d != nil {
			d.Finish([]weir.Finish{{Run: run.ID, Began: began, Unbegun: unbegun}})
		}
	}
	if busy {
		cancel()
		finish(true)
		return
	}
	p.peers.count(token, 1)
	id, n := run.ID, run.N+1
	p.peers.tries.Go(func() {
		defer cancel()
		timer := time.NewTimer(time.Duration(5+rand.N(60)) * time.Millisecond)
		defer timer.Stop()
		cancelled := false
		select {
		case <-ctx.Done():
			cancelled = true
		case <-timer.C:
		}
		p.runs()
		p.peers.count(token, -1) // before anybody can know
		if !cancelled {
			c := &weir.Change{Run: id, N: n, Kind: weir.Succeeded, Attempt: &weir.Attempt{Try: 1, Node: p.name}}
			if n == 1 {
				c.Firing = &weir.Firing{Trigger: "each"}
			}
			_, _ = p.journal.Append(context.WithoutCancel(ctx), weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Change: c}}})
		}
		p.mu.Lock()
		delete(p.trying, id)
		p.mu.Unlock()
		finish(false)
	})
}

func (s *peers) count(token int64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active[token] += n
	if token == 0 && n > 0 {
		s.granted++
	}
	s.most = max(s.most, s.active[0]+s.active[s.newest])
}

// takes registers a peer and begins what is granted to it, until ctx ends. Tries
// are short: no lease need be renewed.
func (p *peer) takes(ctx context.Context) {
	n, ours, err := p.state.Register(ctx, weir.Node{Name: p.name, Slots: hostSlots})
	if err != nil || !ours {
		p.peers.t.Errorf("register %s: %v, %v", p.name, ours, err)
		return
	}
	n.Slots = hostSlots
	for every := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-every.C {
		p.runs()
		_, _ = p.state.Beat(ctx, n)
		rows, err := p.state.TakeLeases(ctx, p.name, hostSlots)
		if err != nil {
			continue
		}
		for _, row := range rows {
			if runs, err := p.state.Runs(ctx, []weir.RunID{row.Run}); err == nil && len(runs) == 1 {
				p.try(runs[0], row.Began, 0)
			}
		}
	}
}

// competes dispatches whenever the peer holds the shard, until ctx ends.
func (p *peer) competes(ctx context.Context) {
	l := leader.New(leader.Options{
		Store: peerHolds{p.state.Holds(), p}, Name: "shard 0", Node: p.name, Logger: slog.New(slog.DiscardHandler), Lease: 1500 * time.Millisecond,
	})
	_ = l.Run(ctx, func(ctx context.Context, t *leader.Tenure) error {
		if err := p.journal.Look(ctx); err != nil {
			return err
		}
		d := dispatch.New(dispatch.Options{
			Journal: peerJournal{p.journal, p}, State: peerTenure{p.state.Tenure(t.Token), p}, Held: t.Held, Nodes: peerNodes{p.state},
			Logger: slog.New(slog.NewTextHandler(p.peers.t.Output(), nil)), Node: p.name, Slots: hostSlots, Grace: time.Second,
		})
		p.token.Store(t.Token)
		p.d.Store(d)
		p.peers.mu.Lock()
		p.peers.newest = max(p.peers.newest, t.Token)
		p.peers.mu.Unlock()
		return d.Run(ctx, p)
	})
}

func newPeer(s *peers, url, name string) *peer {
	s.t.Helper()
	db, err := pg.Open(s.t.Context(), pg.Options{URL: url})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(db.Close)
	j, err := journalpg.Open(s.t.Context(), journalpg.Options{DB: db})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = j.Close() })
	return &peer{name: name, peers: s, journal: j, state: statepg.New(statepg.Options{DB: db}), trying: map[weir.RunID]context.CancelFunc{}}
}

// As TestHandOversFoldEachEventOnceAndKeepLimits, with the engines and the clock
// that there are: holders are stopped for longer than their hold lasts, or leave.
func TestHandOversOnPostgreSQL(t *testing.T) {
	t.Parallel()
	const limit, events = 3, 150
	s := &peers{t: t, active: map[int64]int{}}
	url := pgtest.New(t)
	all := []*peer{newPeer(s, url, "n1"), newPeer(s, url, "n2"), newPeer(s, url, "n3")}
	ctx, cancel := context.WithCancel(t.Context())
	ends := func() {
		cancel()
		s.loops.Wait()
		s.tries.Wait()
	}
	t.Cleanup(ends)
	leave := make([]context.CancelFunc, len(all))
	compete := func(i int) {
		part, stop := context.WithCancel(ctx)
		leave[i] = stop
		s.loops.Go(func() { all[i].competes(part) })
	}
	for i, p := range all {
		s.loops.Go(func() { p.takes(ctx) })
		compete(i)
	}
	door := all[2].journal
	limited := slow
	limited.Concurrency, limited.Retry = &weir.Concurrency{Limit: limit}, weir.Retry{Attempts: 100, Backoff: 1, Max: 1}
	appendTo(t, door, applyOf(t, each, limited))

	for sent := range events {
		appendTo(t, door, weir.Batch{Records: []*weir.Record{{Project: 1, Event: &weir.Event{
			ID: fmt.Sprint(sent), Source: "/test", Type: "a", Data: []byte(`{}`),
		}}}})
		<-time.After(40 * time.Millisecond)
		holder := s.holder(all)
		if sent%50 != 49 || holder < 0 {
			continue
		}
		if sent%100 == 49 {
			all[holder].gate.Lock()
			time.AfterFunc(2500*time.Millisecond, all[holder].gate.Unlock)
		} else {
			leave[holder]()
			compete(holder)
		}
	}

	s.awaitAll(door, events)
	ends()
	if s.most > limit {
		t.Errorf("%d tries at once under one tenure, and %d are allowed", s.most, limit)
	}
	if s.newest < 3 || s.granted == 0 {
		t.Errorf("only %d tenures, %d leases granted: the test shows little", s.newest, s.granted)
	}
}

// holder returns which peer has the newest tenure, or -1.
func (s *peers) holder(all []*peer) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range all {
		if s.newest > 0 && p.token.Load() == s.newest {
			return i
		}
	}
	return -1
}

// awaitAll waits until each event has one run that ended, and checks that the
// changes of each are one chain.
func (s *peers) awaitAll(j *journalpg.Journal, events int) {
	last, ended := map[weir.RunID]uint32{}, map[weir.RunID]bool{}
	deadline := time.After(time.Minute)
	for seen := weir.Seq(0); len(ended) < events; {
		records, err := j.Read(s.t.Context(), seen, 1000)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, rec := range records {
			seen = rec.Seq
			c := rec.Change
			if c == nil || c.Kind == weir.Stale {
				continue
			}
			if c.N != last[c.Run]+1 || ended[c.Run] {
				s.t.Errorf("change %d (%s) of %s follows change %d", c.N, c.Kind, c.Run, last[c.Run])
			}
			last[c.Run], ended[c.Run] = c.N, c.Kind == weir.Succeeded
			if !ended[c.Run] {
				delete(ended, c.Run)
			}
		}
		select {
		case <-deadline:
			s.t.Errorf("%d of %d runs ended", len(ended), events)
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	if len(last) != events {
		s.t.Errorf("%d runs of %d events", len(last), events)
	}
}

func appendTo(t *testing.T, j *journalpg.Journal, batch weir.Batch) {
	t.Helper()
	if _, err := j.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// applyOf is the order that installs a trigger and a pipeline.
func applyOf(t *testing.T, trigger weir.Trigger, pipeline weir.Pipeline) weir.Batch {
	t.Helper()
	order := &weir.Apply{Revision: 1}
	put := func(kind weir.DefinitionKind, name string, d any) {
		body, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		order.Put = append(order.Put, weir.Definition{Kind: kind, Name: name, Body: body})
	}
	put(weir.KindTrigger, trigger.Name, trigger)
	put(weir.KindPipeline, pipeline.Name, pipeline)
	return weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Apply: order}}}
}
