package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"weir"
	"weir/internal/journal"
)

// lookups measures one look-up in a journal of four sealed chapters, from which
// what it costs in a hundred follows: a look at each, and one record.
func lookups(ctx context.Context, scale int) ([]row, error) {
	const chapters, chapter, inHundred = 4, 1 << 20, 96
	opened, err := openEmbedded(ctx)
	if err != nil {
		return nil, err
	}
	j := opened.(embedded)
	defer func() { _ = j.Close() }()
	err = batches(16, 256, chapters*chapter+256, func(records []*weir.Record) error {
		_, err := j.Append(ctx, weir.Batch{Records: records})
		return err
	})
	for tick := time.NewTicker(5 * time.Millisecond); err == nil && !j.Quiet(); {
		<-tick.C
	}
	if err != nil {
		return nil, err
	}
	find := func(execution string, want int, upTo weir.Seq) error {
		found, err := j.Find(ctx, journal.Query{
			Project: weir.DefaultProject, Kind: journal.ByExecution, Value: execution, UpTo: upTo, Limit: 1,
		})
		if err == nil && len(found.Records) != want {
			err = fmt.Errorf("execution %s: %d records, want %d", execution, len(found.Records), want)
		}
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	there := func() error { return find(fmt.Sprintf("%032x", r.IntN(chapter)), 1, chapter) }
	absent := func(upTo weir.Seq) func() error {
		return func() error { return find(fmt.Sprintf("none-%d", r.Int64()), 0, upTo) }
	}
	warm := 50 * scale
	one, err1 := each(warm, nothing, there)
	few, err2 := each(warm, nothing, absent(chapter))
	all, err3 := each(warm, nothing, absent(chapters*chapter))
	cold, err4 := each(scale, func() error { return forget(j.dir) }, absent(chapters*chapter))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	look, record := (all-few)/(chapters-1), max(one-few, 0)
	return []row{{
		Case: "a look-up over 100 million records, by its parts",
		Figure: fmt.Sprintf("%.2f ms; %.1f us a chapter, %.1f us a record that is read; %.1f ms when nothing of it is in memory, %.0f us a chapter",
			(inHundred*look+record)/1e3, look, record, inHundred*cold/chapters/1e3, cold/chapters),
		Target: "known", OK: true,
	}}, nil
}

func nothing() error { return nil }

// each returns how long one of n calls of f takes, in microseconds, without what
// is done before each.
func each(n int, before, f func() error) (float64, error) {
	var took time.Duration
	for range n {
		if err := before(); err != nil {
			return 0, err
		}
		began := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		took += time.Since(began)
	}
	return float64(took.Nanoseconds()) / 1e3 / float64(n), nil
}

// forget takes the indexes in a directory out of the system's memory.
func forget(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.index"))
	for _, name := range names {
		f, failed := os.Open(name)
		if failed == nil {
			failed = errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
		}
		err = errors.Join(err, failed)
	}
	return err
}
