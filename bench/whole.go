package main

import (
	"context"
	"fmt"

	"weir"
	"weir/e2e/load"
)

// wholeInProcess measures the way of an event from append to the fold of its run's
// outcome, on the fast path with an empty pipeline, in process.
func wholeInProcess(ctx context.Context, scale int) ([]row, error) {
	e, err := startEngine(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.stop() }()
	e.perEvent = 2
	trigger := weir.Trigger{Match: []weir.Criterion{{Types: []string{"order.*"}}}}
	if err := e.apply(ctx, 1, define(weir.KindTrigger, "all", trigger)); err != nil {
		return nil, err
	}
	n := 16 * 100 * max(scale*2, 1)
	m, err := measure(func() error {
		if err := e.publish(ctx, n, 100, sampleEvent); err != nil {
			return err
		}
		return e.settled(ctx, weir.Seq(1+2*n))
	})
	if err != nil {
		return nil, err
	}
	per := m.perSecond(n)
	return []row{{
		Case: "whole way, in process", Figure: fmt.Sprintf("%.0f events/s of %d", per, n), PerSec: per, CPU: m.cpuPer(n),
		Target: ">= 150,000/s (100,000 at first)", OK: per >= 100_000,
	}}, nil
}

// wholeOverHTTP measures the same through the door, in batches of 100 over 16
// connections. The client is in this process, and its CPU is in the figure.
func wholeOverHTTP(ctx context.Context, scale int) ([]row, error) {
	return withServer(ctx, func(s *load.Server) ([]row, error) {
		if err := s.Define(ctx, "triggers:\n  all: {match: [{type: order.*}]}\n"); err != nil {
			return nil, err
		}
		n := 100 * max(10*scale, 1)
		requests := prepare(s, n, 100)
		m, err := measure(func() error {
			head, err := s.Head(ctx)
			if err != nil {
				return err
			}
			if _, err := load.Send(ctx, s.URL, 16, requests); err != nil {
				return err
			}
			return s.Await(ctx, head+weir.Seq(2*n))
		})
		if err != nil {
			return nil, err
		}
		per := m.perSecond(n)
		return []row{{
			Case: "whole way, over HTTP, batches of 100", Figure: fmt.Sprintf("%.0f events/s of %d", per, n), PerSec: per, CPU: m.cpuPer(n),
			Target: ">= 60,000/s", OK: per >= 60_000,
		}}, nil
	})
}
