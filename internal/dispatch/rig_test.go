package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir"
	"weir/internal/dispatch"
	"weir/internal/enginetest"
	"weir/internal/fold"
)

// rig is a dispatcher on a real journal and a real state, with workers that do
// what the test says. It lives in a bubble.
type rig struct {
	t       *testing.T
	journal enginetest.Journal
	stored  enginetest.State
	state   *disk
	workers *workers
	d       *dispatch.Dispatcher
	stop    context.CancelFunc
	ended   chan error // nil when no dispatcher runs
	events  int
	rev     uint64
	refuse  *refusal // what the dispatcher's appends meet
	blobs   dispatch.Blobs
	applied func(project weir.ProjectID)
}

// refusal is a journal that answers some appends, or all reads, with an error.
type refusal struct {
	enginetest.Journal

	mu     sync.Mutex // guards all below
	err    error
	times  int
	unread error
}

// failAppends makes the next appends fail.
func (j *refusal) failAppends(times int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err, j.times = err, times
}

// left returns how many appends will yet fail.
func (j *refusal) left() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.times
}

func (j *refusal) breakReads(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unread = err
}

func (j *refusal) Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error) {
	j.mu.Lock()
	err := j.unread
	j.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return j.Journal.Read(ctx, after, limit)
}

func (j *refusal) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	j.mu.Lock()
	fails := j.times > 0
	if fails {
		j.times--
	}
	err := j.err
	j.mu.Unlock()
	if fails {
		return nil, err
	}
	return j.Journal.Append(ctx, batches...)
}

// inBubble runs a test on fresh stores of each engine, in fake time.
func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	enginetest.EachInBubble(t, func(t *testing.T, open enginetest.Engine) { inBubbleOn(t, open, test) })
}

func inBubbleOn(t *testing.T, open enginetest.Engine, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		r := &rig{t: t, journal: s.Journal, stored: s.State, state: &disk{State: s.State}, refuse: &refusal{Journal: s.Journal}}
		defer func() {
			if r.ended != nil {
				_ = r.end()
			}
			if err := errors.Join(r.journal.Close(), s.State.Close()); err != nil {
				t.Error(err)
			}
		}()
		test(t, r)
	})
}

// start starts a dispatcher with so many free workers.
func (r *rig) start(free int) {
	r.t.Helper()
	r.workers = &workers{free: free}
	r.startWith(dispatch.Options{
		Journal: r.refuse, State: r.state, Blobs: r.blobs, Applied: r.applied, Logger: slog.New(slog.NewTextHandler(r.t.Output(), nil)), Node: "n1",
	})
}

func (r *rig) startWith(o dispatch.Options) {
	r.t.Helper()
	r.d = dispatch.New(o)
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	r.stop, r.ended = cancel, ended
	d, w := r.d, r.workers
	go func() { ended <- d.Run(ctx, w) }()
	synctest.Wait()
}

// end stops the dispatcher as a clean stop does.
func (r *rig) end() error {
	r.d.Drain()
	r.stop()
	err := <-r.ended
	r.ended = nil
	return err
}

// crash stops it in a way that leaves nothing: what was not flushed is not.
func (r *rig) crash() {
	r.state.fail(errors.New("the process is gone"))
	_ = r.end()
	r.state.fail(nil)
}

// restart starts another one on the same stores after a crash.
func (r *rig) restart(free int) {
	r.t.Helper()
	r.crash()
	r.start(free)
}

// wait lets time pass until the loop has nothing to do at that time.
func (r *rig) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) append(batches ...weir.Batch) []weir.Receipt {
	r.t.Helper()
	receipts, err := r.journal.Append(r.t.Context(), batches...)
	if err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
	return receipts
}

// apply installs triggers and pipelines.
func (r *rig) apply(definitions ...any) {
	r.t.Helper()
	r.rev++
	order := &weir.Apply{Revision: r.rev}
	for _, d := range definitions {
		put := weir.Definition{}
		switch d := d.(type) {
		case weir.Trigger:
			put.Kind, put.Name = weir.KindTrigger, d.Name
		case weir.Pipeline:
			put.Kind, put.Name = weir.KindPipeline, d.Name
		}
		body, err := json.Marshal(d)
		if err != nil {
			r.t.Fatal(err)
		}
		put.Body = body
		order.Put = append(order.Put, put)
	}
	r.append(weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Apply: order}}})
}

// event appends one event and returns its place.
func (r *rig) event(kind string) weir.Item {
	r.t.Helper()
	r.events++
	e := &weir.Event{ID: fmt.Sprint(r.events), Source: "/test", Type: kind, Data: []byte(`{}`)}
	return r.append(weir.Batch{Records: []*weir.Record{{Project: 1, Event: e}}})[0].Items[0]
}

// change appends the next change of a leased run, and reports whether it was
// the first with its number.
func (r *rig) change(l weir.Lease, kind weir.ChangeKind, after time.Duration) bool {
	r.t.Helper()
	c := &weir.Change{Run: l.Run.ID, N: l.Run.N + 1, Kind: kind, After: after, Pipeline: l.Run.Pipeline, Trigger: l.Run.Firing.Trigger}
	if l.Run.N == 0 {
		c.Firing = &l.Run.Firing
	}
	receipts := r.append(weir.Batch{Bound: true, Records: []*weir.Record{{Project: 1, Change: c}}})
	return !receipts[0].Refused
}

// finish tells the dispatcher that a try has ended.
func (r *rig) finish(l weir.Lease) {
	r.d.Finish([]weir.Finish{{Run: l.Run.ID, Began: l.Began}})
	r.workers.freed(1)
	synctest.Wait()
}

// settle waits until all that is in the journal is flushed.
func (r *rig) settle() {
	r.t.Helper()
	if err := r.d.Settle(r.t.Context(), r.journal.Head()); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

// records returns what the journal holds after a place.
func (r *rig) records(after weir.Seq) []*weir.Record {
	r.t.Helper()
	records, err := r.journal.Read(r.t.Context(), after, 10_000)
	if err != nil {
		r.t.Fatal(err)
	}
	return records
}

func (r *rig) checkpoint() *fold.Checkpoint {
	r.t.Helper()
	cp, err := r.stored.Load(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return cp
}

// workers take leases and keep them until the test says more.
type workers struct {
	mu        sync.Mutex // guards all below
	free      int
	taken     []weir.Lease
	cancelled []weir.RunID
	over      bool // got more than were free
}

func (w *workers) Take(leases []weir.Lease) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken = append(w.taken, leases...)
	w.free -= len(leases)
	w.over = w.over || w.free < 0
}

func (w *workers) Free() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.free, 0)
}

func (w *workers) Cancel(run weir.RunID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancelled = append(w.cancelled, run)
}

func (w *workers) freed(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free += n
}

// leases returns what was taken so far.
func (r *rig) leases() []weir.Lease {
	r.workers.mu.Lock()
	defer r.workers.mu.Unlock()
	if r.workers.over {
		r.t.Error("the workers got more leases than were free")
	}
	return r.workers.taken
}

// wantTaken fails the test unless the workers got exactly so many leases.
func (r *rig) wantTaken(n int) []weir.Lease {
	r.t.Helper()
	taken := r.leases()
	if len(taken) != n {
		r.t.Fatalf("the workers got %d leases, want %d", len(taken), n)
	}
	return taken
}

// disk is a state whose flushes can be held up and made to fail.
type disk struct {
	enginetest.State

	mu     sync.Mutex // guards all below
	errs   []error    // of the next flushes
	always error      // of all others
	held   chan struct{}
	layers []*fold.Layer // that were offered
}

func (d *disk) Flush(ctx context.Context, l *fold.Layer) error {
	d.mu.Lock()
	d.layers = append(d.layers, l)
	held, err := d.held, d.always
	if len(d.errs) > 0 {
		err, d.errs = d.errs[0], d.errs[1:]
	}
	d.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	return d.State.Flush(ctx, l)
}

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.always = err
}

func (d *disk) failNext(errs ...error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs = errs
}

// hold makes flushes wait until release.
func (d *disk) hold() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held := make(chan struct{})
	d.held = held
	return func() {
		d.mu.Lock()
		d.held = nil
		d.mu.Unlock()
		close(held)
	}
}

func (d *disk) flushes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.layers)
}
