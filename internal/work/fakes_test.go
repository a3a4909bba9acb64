package work

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/pipeline"
	"weir/internal/step/httpcall"
)

// memory is a journal in memory: it gives places, and refuses what repeats.
type memory struct {
	mu      sync.Mutex
	records []*weir.Record
	seen    map[weir.Identity]bool
	appends int
	fail    func(batches []weir.Batch) error // asked before anything is taken
	away    int                              // so many times nothing can be read
}

func (m *memory) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.fail != nil {
		if err := m.fail(batches); err != nil {
			return nil, err
		}
	}
	m.appends++
	receipts := make([]weir.Receipt, len(batches))
	for i, b := range batches {
		first := b.Records[0].Identity()
		if b.Bound && first != (weir.Identity{}) && m.seen[first] {
			receipts[i].Refused = true
			continue
		}
		for _, rec := range b.Records {
			m.take(rec)
		}
	}
	return receipts, nil
}

func (m *memory) take(rec *weir.Record) {
	if m.seen == nil {
		m.seen = map[weir.Identity]bool{}
	}
	m.seen[rec.Identity()] = true
	rec.Seq, rec.At = weir.Seq(len(m.records)+1), 1_000_000
	m.records = append(m.records, rec)
}

func (m *memory) Records(_ context.Context, seqs []weir.Seq) ([]*weir.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away--; m.away >= 0 {
		return nil, weir.E("read records", weir.Unavailable, "the database cannot be reached")
	}
	out := make([]*weir.Record, len(seqs))
	for i, seq := range seqs {
		if int(seq) <= len(m.records) {
			out[i] = m.records[seq-1]
		}
	}
	return out, nil
}

// changes returns those that were taken, in order.
func (m *memory) changes() (out []*weir.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rec := range m.records {
		if rec.Change != nil {
			out = append(out, rec.Change)
		}
	}
	return out
}

// emitted returns the events after the n-th record.
func (m *memory) emitted(n int) (out []*weir.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rec := range m.records[n:] {
		if rec.Event != nil {
			out = append(out, rec.Event)
		}
	}
	return out
}

// gate is a dispatcher that opens for all origins but those shut.
type gate struct {
	shut   map[string]bool
	wait   time.Duration // before a request, where the gate is open
	asked  chan string
	ended  chan weir.Finish
	before func() // at Finish: what is durable by then
}

func newGate() *gate {
	return &gate{shut: map[string]bool{}, asked: make(chan string, 100), ended: make(chan weir.Finish, 10_000)}
}

func (g *gate) Enter(_ context.Context, _ weir.RunID, origin string) (time.Duration, bool) {
	g.asked <- origin
	return g.wait, !g.shut[origin]
}

func (g *gate) Finish(ended []weir.Finish) {
	if g.before != nil {
		g.before()
	}
	for _, f := range ended {
		g.ended <- f
	}
}

// vault is a project's secrets.
type vault map[string]string

func (v vault) Reveal(_ context.Context, _ weir.ProjectID, name string) (string, error) {
	if value, ok := v[name]; ok {
		return value, nil
	}
	return "", weir.E("reveal secret", weir.NotFound, "there is no secret %q", name)
}

// bench is a loop with what stands around it.
type bench struct {
	*Loop
	journal *memory
	gate    *gate
	stop    func() // and waits
}

func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	b := &bench{journal: &memory{}, gate: newGate()}
	o.Journal, o.Dispatcher, o.Node = b.journal, b.gate, "n1"
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	if o.Secrets == nil {
		o.Secrets = vault{}
	}
	o.HTTP = httpcall.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	b.Loop = New(o)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	b.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(b.stop)
	return b
}

// events puts events into the journal and returns the run of all of them.
func (b *bench) run(data ...string) weir.Run {
	run := weir.Run{
		ID: weir.RunID{15: 7}, Project: weir.DefaultProject, State: weir.RunPending, Pipeline: "p",
		Firing: weir.Firing{Reason: weir.Fired, Trigger: "t", Key: `{"k":"v"}`, Executions: []string{"x"}, PipeRev: 4},
	}
	for i, d := range data {
		rec := &weir.Record{Project: run.Project, Event: &weir.Event{
			ID: string(rune('a' + i)), Source: "/s", Type: "t", Execution: "x", Data: []byte(d),
		}}
		b.journal.mu.Lock()
		b.journal.take(rec)
		b.journal.mu.Unlock()
		run.Firing.Members = append(run.Firing.Members, weir.Member{Time: rec.At, Seq: rec.Seq})
	}
	return run
}

// try leases a run, waits for the end of the try, and returns its verdict and
// the changes since.
func (b *bench) try(run weir.Run, p *weir.Pipeline) (weir.Verdict, []*weir.Change) {
	before := len(b.journal.changes())
	b.Take([]weir.Lease{lease(run, p)})
	f := <-b.gate.ended
	return f.Verdict, b.journal.changes()[before:]
}

func lease(run weir.Run, p *weir.Pipeline) weir.Lease {
	if p != nil {
		p.Name = run.Pipeline
	}
	return weir.Lease{Run: run, Pipe: p, Try: run.Tries + 1, Began: weir.TimeOf(time.Now())}
}

// folded is the run after a change, as far as the next try cares.
func folded(run weir.Run, c *weir.Change) weir.Run {
	run.N = c.N
	for _, s := range c.Attempt.Steps {
		if s.Finished || s.Acted > 0 {
			run.Done = slices.DeleteFunc(slices.Clone(run.Done), func(d weir.StepOutcome) bool { return d.Index == s.Index })
			run.Done = append(run.Done, s)
		}
	}
	if c.Kind == weir.Retrying {
		run.Tries++
	}
	run.Error = c.Error
	return run
}

// receiver is a destination that notes the keys of its requests and answers
// with the given statuses, then 200.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	keys     []string
	statuses []int
}

func newReceiver(t testing.TB, statuses ...int) *receiver {
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.keys = append(r.keys, req.Header.Get("Idempotency-Key"))
		if len(r.statuses) > 0 {
			w.WriteHeader(r.statuses[0])
			r.statuses = r.statuses[1:]
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.keys...)
}

func httpStep(url string) weir.Step { return weir.Step{HTTP: &weir.HTTPStep{URL: url}} }

func logStep(text string) weir.Step { return weir.Step{Log: &weir.LogStep{Message: text}} }

func emitStep(kind string) weir.Step { return weir.Step{Emit: &weir.EmitStep{Type: kind, Each: true}} }

func filterStep(where string) weir.Step { return weir.Step{Filter: &weir.FilterStep{Where: where}} }

func steps(s ...weir.Step) *weir.Pipeline {
	return &weir.Pipeline{Steps: s, Retry: pipeline.DefaultRetry()}
}
