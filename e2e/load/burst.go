package load

import (
	"context"
	"fmt"
	"time"

	"weir"
)

// Burst is what a burst of events on the fast path left.
type Burst struct {
	Events int
	Rows   int           // of state, written from its beginning until all was folded and flushed
	Took   time.Duration // until the last run had ended
}

const burstProject = `
triggers:
  all: {match: [{type: burst.*}]}
`

// RunBurst publishes n events in batches of 100, each of which makes a run of
// the empty pipeline, and waits until all of them have ended.
func RunBurst(ctx context.Context, s *Server, n int) (Burst, error) {
	if err := s.Define(ctx, burstProject); err != nil {
		return Burst{}, err
	}
	const size = 100
	var requests [][]byte
	for i := 0; i < n; i += size {
		events := make([]*weir.Event, 0, size)
		for k := range min(size, n-i) {
			events = append(events, &weir.Event{
				ID: fmt.Sprintf("burst-%d", i+k), Source: "/load", Type: "burst.one", Data: []byte(`{"n":1}`),
			})
		}
		requests = append(requests, s.Request(events...))
	}
	head, err := s.Head(ctx)
	if err != nil {
		return Burst{}, err
	}
	before, err := s.RowsWritten(ctx)
	if err != nil {
		return Burst{}, err
	}
	began := time.Now()
	if _, err := Send(ctx, s.URL, 16, requests); err != nil {
		return Burst{}, err
	}
	if err := s.Await(ctx, head+weir.Seq(2*n)); err != nil {
		return Burst{}, err
	}
	took := time.Since(began)
	after, err := s.RowsWritten(ctx)
	return Burst{n, after - before, took}, err
}
