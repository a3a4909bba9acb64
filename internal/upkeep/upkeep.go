package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weir"
	"weir/internal/obs"
)

// Journal is what happened.
type Journal interface {
	Trim(ctx context.Context, k Keep) (Trimmed, error)
	Erase(ctx context.Context, e weir.Erasure) (Trimmed, error)
	// Newest returns the place of the last record accepted before a time, 0 for none.
	Newest(ctx context.Context, before weir.Time) (weir.Seq, error)
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
}

// Keep says what one step of trimming may remove: what was accepted before
// Before, stands at or below UpTo, and does not stay.
type Keep struct {
	Before weir.Time
	UpTo   weir.Seq
	Stays  func(r *weir.Record) bool
}

// Trimmed is what one step removed.
type Trimmed struct {
	Records int
	Bytes   int64
	More    bool
}

// State tells what is live, and keeps what is not in the journal.
type State interface {
	Projects(ctx context.Context) ([]weir.Project, error)
	// Walk calls each for all that is live, in one snapshot, and returns its cursor.
	Walk(ctx context.Context, each func(*Live) error) (weir.Seq, error)
	Versions(ctx context.Context) ([]Version, error)
	DropVersions(ctx context.Context, olderThan []Version) error
	DropOld(ctx context.Context, project weir.ProjectID, before weir.Time) error
	DropErasures(ctx context.Context, before weir.Time) error
}

// Options say what a loop keeps up. All but Metrics is required.
type Options struct {
	Journal  Journal
	State    State
	Erasures Erasures
	Hiding   *Hiding
	Settle   func(ctx context.Context, seq weir.Seq) error // returns once state shows a place

	// Sweep removes blobs that no record names, and returns how many: it looks at
	// those that it has not found named before, and again at all made before a time.
	Sweep func(ctx context.Context, again weir.Time) (int, error)
	// Prepare does what the engine wants done every hour.
	Prepare func(ctx context.Context) error

	Clock     func() time.Time // by which records are accepted; nil: time.Now
	Retention time.Duration    // of projects that say nothing
	Logger    *slog.Logger
	Metrics   *obs.Metrics
}

const (
	firstAfter = time.Minute     // a start, which has enough to do
	lookEvery  = 5 * time.Second // for erasures
	mostEvery  = time.Hour       // between passes, at most
	leastEvery = time.Minute
	retryAfter = time.Minute // a pass that failed
)

// Loop does the upkeep of one server.
type Loop struct {
	Options
	metrics metrics
	again   weir.Time // blobs that are older than that may have lost their record
}

// New returns a loop; Run does its work.
func New(o Options) *Loop {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Loop{Options: o, metrics: newMetrics(o.Metrics)}
}

// Run does what is to be done until ctx ends. It may be called again after that.
func (l *Loop) Run(ctx context.Context) error {
	next := time.Now().Add(firstAfter)
	if err := l.sweep(ctx); err != nil && ctx.Err() == nil {
		l.Logger.Error("sweep blobs", "err", err)
	}
	for ctx.Err() == nil {
		if err := l.forget(ctx); err != nil && ctx.Err() == nil {
			l.Logger.Error("erase", "err", err)
			l.pause(ctx, retryAfter)
		}
		if ctx.Err() == nil && !time.Now().Before(next) {
			next = l.pass(ctx)
		}
		l.pause(ctx, lookEvery)
	}
	return nil
}

// pass does once what is done now and then, and returns when to do it next.
func (l *Loop) pass(ctx context.Context) time.Time {
	began := time.Now()
	projects, err := l.State.Projects(ctx)
	cut := l.cutoffs(projects, l.Clock())
	if err == nil {
		err = errors.Join(l.Prepare(ctx), l.keep(ctx, cut), l.sweep(ctx))
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		l.Logger.Error("upkeep", "err", err)
		return time.Now().Add(retryAfter)
	default:
		l.metrics.passes.Observe(time.Since(began))
	}
	return began.Add(min(max(cut.shortest/24, leastEvery), mostEvery))
}

// sweep removes blobs that no record names.
func (l *Loop) sweep(ctx context.Context) error {
	removed, err := l.Sweep(ctx, l.again)
	if removed > 0 {
		l.metrics.blobs.Add(removed)
		l.Logger.Info("removed blobs that no record names", "blobs", removed)
	}
	if err == nil {
		l.again = 0
	}
	return err
}

// step does one step, and rests after it for four times as long as it took.
func (l *Loop) step(ctx context.Context, do func() (Trimmed, error)) (Trimmed, error) {
	began := time.Now()
	done, err := do()
	if err == nil && done.More {
		l.pause(ctx, min(max(4*time.Since(began), 10*time.Millisecond), time.Second))
	}
	return done, errors.Join(err, ctx.Err())
}

func (l *Loop) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// metrics are what the loop tells of its work.
type metrics struct {
	removed obs.Counter
	bytes   obs.Counter
	blobs   obs.Counter
	passes  obs.Timer
}

// The values of the label why.
const (
	whyOld    = "old"
	whyErased = "erased"
)

func newMetrics(m *obs.Metrics) metrics {
	n := metrics{
		removed: m.Counter(obs.Metric{
			Room: "upkeep", Thing: "removed", Unit: "records", Help: "Records removed from the journal, by why.", Labels: []string{"why"},
		}),
		bytes: m.Counter(obs.Metric{
			Room: "upkeep", Thing: "freed", Unit: "bytes", Help: "Bytes of the journal made free, about.",
		}),
		blobs: m.Counter(obs.Metric{
			Room: "upkeep", Thing: "removed", Unit: "blobs", Help: "Blobs removed because no record names them.",
		}),
		passes: m.Timer(obs.Metric{
			Room: "upkeep", Thing: "pass", Unit: "seconds", Help: "How long passes over journal, state and blobs took.",
		}),
	}
	for _, why := range []string{whyOld, whyErased} {
		n.removed.Add(0, why)
	}
	return n
}

// count tells what a step removed.
func (m *metrics) count(why string, t Trimmed) {
	m.removed.Add(t.Records, why)
	m.bytes.Add(int(max(t.Bytes, 0)))
}
