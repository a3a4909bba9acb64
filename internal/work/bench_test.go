package work

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"weir"
	"weir/internal/pipeline"
)

// nowhere is a journal that takes all and keeps nothing.
type nowhere struct{}

func (nowhere) Append(_ context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	return make([]weir.Receipt, len(batches)), nil
}

func (nowhere) Records(context.Context, []weir.Seq) ([]*weir.Record, error) { return nil, nil }

// counting is a dispatcher that says how many tries have ended.
type counting chan int

func (counting) Enter(context.Context, weir.RunID, string) (time.Duration, bool) { return 0, true }

func (c counting) Finish(ended []weir.Finish) { c <- len(ended) }

func BenchmarkQuickRuns(b *testing.B) {
	for name, p := range map[string]*weir.Pipeline{
		"empty":           nil,
		"filter log emit": steps(filterStep("data.n > 0"), logStep("n is ${data.n}"), emitStep("made")),
	} {
		b.Run(name, func(b *testing.B) { benchmarkQuick(b, p) })
	}
}

func benchmarkQuick(b *testing.B, p *weir.Pipeline) {
	ended := make(counting, 1000)
	l := New(Options{
		Journal: nowhere{}, Dispatcher: ended, Secrets: vault{}, Logger: slog.New(slog.DiscardHandler), Node: "n",
	})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	event := &weir.Record{Seq: 1, At: 1, Event: &weir.Event{ID: "a", Source: "/s", Type: "t", Data: []byte(`{"n":1}`)}}
	run := weir.Run{Firing: weir.Firing{
		Reason: weir.Matched, Trigger: "t", Members: []weir.Member{{Time: 1, Seq: 1}}, Executions: []string{"x"},
	}}
	if p != nil {
		run.Pipeline, p.Retry = "p", pipeline.DefaultRetry()
	}
	b.ReportAllocs()
	for n := 0; n < b.N; {
		leases := make([]weir.Lease, min(l.Free(), b.N-n))
		for i := range leases {
			run.ID = weir.RunID{0: byte(n), 1: byte(n >> 8), 2: byte(n >> 16)}
			leases[i] = weir.Lease{Run: run, Pipe: p, Try: 1, Began: 1, Events: []*weir.Record{event}}
			n++
		}
		l.Take(leases)
		for left := len(leases); left > 0; {
			left -= <-ended
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
