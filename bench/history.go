package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"weir"
	"weir/internal/journal/chapter"
)

// keeper is an engine of the journal, as far as it is measured here.
type keeper interface {
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
	// Quiet reports whether nothing is being done beside appends.
	Quiet() bool
	Close() error
}

// engines are the journals to measure, each in a place of its own, and how many
// events are appended while one is measured.
type journalEngine struct {
	name   string
	window int
	open   func(ctx context.Context) (keeper, error)
}

func journalEngines() []journalEngine {
	return []journalEngine{{"embedded", 1 << 20, openEmbedded}}
}

// embedded removes its directory when it is closed.
type embedded struct {
	*chapter.Journal
	dir string
}

func (e embedded) Close() error { return errors.Join(e.Journal.Close(), os.RemoveAll(e.dir)) }

func (e embedded) Quiet() bool {
	s := e.Stats()
	return s.Sealed == s.Chapters-1
}

func openEmbedded(ctx context.Context) (keeper, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return nil, err
	}
	j, err := chapter.Open(ctx, chapter.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return embedded{j, dir}, nil
}

const fewStored, manyStored = 100_000, 3_000_000

// history compares what an event costs where few are stored and where many are,
// with its share of what the engine does later. A window is as long as a chapter
// and begins and ends when all is quiet, so that each has one chapter sealed.
func history(ctx context.Context, scale int) (rows []row, err error) {
	for _, e := range journalEngines() {
		j, err := e.open(ctx)
		if err != nil {
			return rows, err
		}
		r, err := grow(ctx, j, e.window*scale/100)
		if err = errors.Join(err, j.Close()); err != nil {
			return rows, fmt.Errorf("%s: %w", e.name, err)
		}
		r.Case = "appends at 3,000,000 stored events, " + e.name
		rows = append(rows, r)
	}
	return rows, nil
}

func grow(ctx context.Context, j keeper, window int) (r row, err error) {
	stored := 0
	var few, many measured
	add := func(n int) (measured, error) {
		from := stored
		stored += n
		return measure(func() error {
			err := batches(16, 100, n, func(records []*weir.Record) error {
				for _, r := range records {
					r.Event.ID = fmt.Sprintf("%s-%d", r.Event.ID, from)
				}
				_, err := j.Append(ctx, weir.Batch{Records: records})
				return err
			})
			for tick := time.NewTicker(5 * time.Millisecond); err == nil && !j.Quiet(); {
				<-tick.C
			}
			return err
		})
	}
	if _, err = add(fewStored); err == nil {
		few, err = add(window)
	}
	if err == nil && stored < manyStored {
		_, err = add(manyStored - stored)
	}
	if err == nil {
		many, err = add(window)
	}
	ratio := many.cpuPer(window) / few.cpuPer(window)
	return row{
		Figure: fmt.Sprintf("%.0f events/s; at 100,000 %.0f, %.2f us", many.perSecond(window), few.perSecond(window), few.cpuPer(window)),
		PerSec: many.perSecond(window), CPU: many.cpuPer(window), Ratio: ratio, Against: "at 100,000", Target: "<= 1.3 x", OK: ratio <= 1.3,
	}, err
}
