package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir"
)

const fewStored, manyStored = 100_000, 3_000_000

// history compares what an event costs where few are stored and where many are,
// with its share of what the engine does later. A window is as long as a chapter
// and begins and ends when all is quiet, so that each has one chapter sealed.
func history(ctx context.Context, scale int) ([]row, error) {
	return grow(ctx, scale, grown{name: "embedded", open: openEmbedded, window: 1 << 20, parts: 1, cost: measured.cpuPer})
}

// historyInDatabase does it with PostgreSQL, whose CPU is not that of this
// process: the time counts, the median of some, as other load disturbs it.
func historyInDatabase(ctx context.Context, scale int) ([]row, error) {
	return grow(ctx, scale, grown{name: "PostgreSQL", open: openDatabase, window: 100_000, parts: 20, cost: measured.wallPer})
}

// grown is a journal that grows.
type grown struct {
	name   string
	open   func(ctx context.Context) (keeper, error)
	window int // events that are measured
	parts  int // in which they are
	cost   func(m measured, n int) float64

	keeper
	stored int
}

func grow(ctx context.Context, scale int, g grown) (rows []row, err error) {
	if g.keeper, err = g.open(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	g.window = g.window * scale / 100
	if _, err = g.add(ctx, fewStored); err != nil {
		return nil, err
	}
	few, err := g.measure(ctx)
	if err == nil && g.stored < manyStored {
		_, err = g.add(ctx, manyStored-g.stored)
	}
	if err != nil {
		return nil, err
	}
	many, err := g.measure(ctx)
	return []row{{
		Case:   "an event at 3,000,000 stored, " + g.name,
		Figure: fmt.Sprintf("%.2f us, at 100,000 %.2f us", many, few),
		Ratio:  many / few, Against: "at 100,000", Target: "<= 1.3 x", OK: many/few <= 1.3,
	}}, err
}

// measure returns what one of the next events costs, in microseconds.
func (g *grown) measure(ctx context.Context) (float64, error) {
	costs := make([]float64, g.parts)
	n := g.window / g.parts
	for i := range costs {
		m, err := g.add(ctx, n)
		if err != nil {
			return 0, err
		}
		costs[i] = g.cost(m, n)
	}
	slices.Sort(costs)
	return costs[g.parts/2], nil
}

// add appends events, in batches of 100 from 16 writers.
func (g *grown) add(ctx context.Context, n int) (measured, error) {
	from := g.stored
	g.stored += n
	return measure(func() error {
		err := batches(16, 100, n, func(records []*weir.Record) error {
			for _, r := range records {
				r.Event.ID = fmt.Sprintf("%s-%d", r.Event.ID, from)
				r.Event.Execution = fmt.Sprintf("%s-%d", r.Event.Execution, from)
			}
			_, err := g.Append(ctx, weir.Batch{Records: records})
			return err
		})
		for tick := time.NewTicker(5 * time.Millisecond); err == nil && !g.Quiet(); {
			<-tick.C
		}
		return err
	})
}
