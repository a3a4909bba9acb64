package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir"
)

// sealing measures single appends, 3,200 a second, while nothing else happens
// and while a chapter of a million records is sealed.
func sealing(ctx context.Context, scale int) ([]row, error) {
	j, err := openEmbedded(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = j.Close() }()
	before, err := latencies(ctx, j, 0, time.After(time.Duration(scale)*20*time.Millisecond))
	if err != nil {
		return nil, err
	}
	const chapter = 1 << 20
	err = batches(16, 64, chapter, func(records []*weir.Record) error {
		_, err := j.Append(ctx, weir.Batch{Records: records})
		return err
	})
	if err != nil {
		return nil, err
	}
	done := make(chan time.Time)
	go func() {
		began := time.Now() // the next append begins a chapter
		for tick := time.NewTicker(time.Millisecond); j.Quiet() && time.Since(began) < time.Second || !j.Quiet(); {
			<-tick.C
		}
		close(done)
	}()
	began := time.Now()
	during, err := latencies(ctx, j, 1, done)
	took := time.Since(began)
	p := percentile(during, 99)
	return []row{{
		Case: "single appends while a million records are sealed",
		Figure: fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, max %.1f ms over %.1f s; without p99 %.2f ms",
			percentile(during, 50), p, percentile(during, 100), took.Seconds(), percentile(before, 99)),
		Target: "p99 < 4 ms", OK: p < 4,
	}}, err
}

// latencies appends single events from 16 writers, each 200 times a second, and
// returns how long each took, in milliseconds and in order.
func latencies(ctx context.Context, j keeper, series int, until <-chan time.Time) (all []float64, err error) {
	const writers, every = 16, 5 * time.Millisecond
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex // guards all and err
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				e := sampleEvent(i)
				e.ID = fmt.Sprintf("latency-%d-%d-%d", series, w, i)
				began := time.Now()
				_, failed := j.Append(ctx, weir.Batch{Records: []*weir.Record{{Project: weir.DefaultProject, Event: e}}})
				took := float64(time.Since(began).Microseconds()) / 1e3
				mu.Lock()
				if failed == nil {
					all = append(all, took)
				} else if ctx.Err() == nil {
					err = failed
				}
				mu.Unlock()
			}
		})
	}
	<-until
	stop()
	wg.Wait()
	slices.Sort(all)
	return all, err
}

// percentile returns a percentile of values that are in order.
func percentile(sorted []float64, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}
