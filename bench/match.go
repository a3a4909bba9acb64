package main

import (
	"context"
	"fmt"

	"weir"
)

// manyTriggers measures what 10,000 triggers cost an event that one of them
// matches, against having that one alone.
func manyTriggers(ctx context.Context, scale int) ([]row, error) {
	n := 16 * 100 * max(scale/2, 1)
	alone, err := withTriggers(ctx, 1, n)
	if err != nil {
		return nil, err
	}
	many, err := withTriggers(ctx, 10_000, n)
	if err != nil {
		return nil, err
	}
	ratio := many.cpuPer(n) / alone.cpuPer(n)
	return []row{{
		Case: "10,000 triggers", Figure: fmt.Sprintf("%.0f events/s, with 1: %.2f us", many.perSecond(n), alone.cpuPer(n)),
		PerSec: many.perSecond(n), CPU: many.cpuPer(n), Ratio: ratio, Against: "1 trigger, CPU", Target: "< 2 x", OK: ratio < 2,
	}}, nil
}

func withTriggers(ctx context.Context, count, n int) (measured, error) {
	put := make([]weir.Definition, count)
	for i := range put {
		put[i] = define(weir.KindTrigger, fmt.Sprintf("t%d", i), weir.Trigger{Match: []weir.Criterion{{
			Types: []string{fmt.Sprintf("kind%d.*", i)}, Where: `data.order > 3`,
		}}})
	}
	return wayOf(ctx, n, 2*n, put, func(i int) *weir.Event {
		e := sampleEvent(i)
		e.Type = fmt.Sprintf("kind%d.placed", i%count)
		return e
	})
}

// largeGroups measures an event in groups of 10,000 against one in groups of
// 10, where a group that is full fires.
func largeGroups(ctx context.Context, scale int) ([]row, error) {
	n := 160_000 * max(scale/50, 1)
	small, err := withGroups(ctx, 10, n)
	if err != nil {
		return nil, err
	}
	large, err := withGroups(ctx, 10_000, n)
	if err != nil {
		return nil, err
	}
	ratio := large.cpuPer(n) / small.cpuPer(n)
	return []row{{
		Case: "groups of 10,000", Figure: fmt.Sprintf("%.0f events/s, of 10: %.2f us", large.perSecond(n), small.cpuPer(n)),
		PerSec: large.perSecond(n), CPU: large.cpuPer(n), Ratio: ratio, Against: "groups of 10, CPU", Target: "< 1.5 x", OK: ratio < 1.5,
	}}, nil
}

func withGroups(ctx context.Context, size, n int) (measured, error) {
	trigger := weir.Trigger{
		Match:   []weir.Criterion{{Types: []string{"order.*"}}},
		GroupBy: []weir.KeyPart{{Name: "customer", Of: "data.customer"}},
		Fire:    []weir.Criterion{{Types: []string{"order.*"}, Count: size}},
		Expire:  "opened + 1h", MaxEvents: 2 * size,
	}
	groups := n / size
	return wayOf(ctx, n, n+groups, []weir.Definition{define(weir.KindTrigger, "grouped", trigger)}, func(i int) *weir.Event {
		e := sampleEvent(i)
		e.Data = fmt.Appendf(nil, `{"order":17,"total":140.5,"customer":"c-%d"}`, i%groups)
		return e
	})
}

// wayOf measures how n events go the whole way until the journal has made
// records out of them.
func wayOf(ctx context.Context, n, made int, put []weir.Definition, event func(i int) *weir.Event) (m measured, err error) {
	e, err := startEngine(ctx)
	if err != nil {
		return m, err
	}
	defer func() { _ = e.stop() }()
	e.perEvent = float64(made) / float64(n)
	if err := e.apply(ctx, 1, put...); err != nil {
		return m, err
	}
	if err := e.settled(ctx, 1); err != nil {
		return m, err
	}
	return measure(func() error {
		if err := e.publish(ctx, n, 100, event); err != nil {
			return err
		}
		return e.settled(ctx, weir.Seq(1+made))
	})
}
