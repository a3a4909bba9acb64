package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/chapter"
)

// journalCases measure the journal alone against a file that takes the same
// bytes in the same way: appends that come together share one write and one
// sync, in space that was allocated before.
func journalCases(ctx context.Context, scale int) ([]row, error) {
	var rows []row
	for _, c := range []struct {
		name          string
		writers, size int
		n             int
		want          float64
	}{
		{"journal, 16 writers of batches of 100", 16, 100, 16_000 * max(scale/2, 1), 0.7},
		{"journal, 64 single writers", 64, 1, 64 * 40 * max(scale, 1), 0.8},
	} {
		// Once bare, once the journal, and bare again: the disk is not the same
		// from one second to the next.
		first, err := bareAppends(c.writers, c.size, c.n)
		if err != nil {
			return nil, err
		}
		m, err := journalAppends(ctx, c.writers, c.size, c.n)
		if err != nil {
			return nil, err
		}
		second, err := bareAppends(c.writers, c.size, c.n)
		if err != nil {
			return nil, err
		}
		base := (first.perSecond(c.n) + second.perSecond(c.n)) / 2
		per := m.perSecond(c.n)
		rows = append(rows, row{
			Case: c.name, Figure: fmt.Sprintf("%.0f events/s, bare %.0f", per, base), PerSec: per, CPU: m.cpuPer(c.n),
			Ratio: per / base, Against: "bare appends", Target: fmt.Sprintf(">= %.1f x", c.want), OK: per/base >= c.want,
		})
	}
	return rows, nil
}

// batches calls write with the records of each batch, from several writers at
// once. Records are made beforehand where that is not what is measured.
func batches(writers, size, n int, write func(records []*weir.Record) error) error {
	errs := make(chan error, writers)
	var next atomic.Int64
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for {
				i := int(next.Add(int64(size))) - size
				if i >= n {
					return
				}
				records := make([]*weir.Record, size)
				for k := range records {
					records[k] = &weir.Record{Project: weir.DefaultProject, Event: sampleEvent(i + k)}
				}
				if err := write(records); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func journalAppends(ctx context.Context, writers, size, n int) (m measured, err error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	j, err := chapter.Open(ctx, chapter.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return m, err
	}
	defer func() { _ = j.Close() }()
	return measure(func() error {
		return batches(writers, size, n, func(records []*weir.Record) error {
			_, err := j.Append(ctx, weir.Batch{Records: records})
			return err
		})
	})
}

// bareAppends writes the encoded records to a file.
func bareAppends(writers, size, n int) (m measured, err error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	b, err := newBare(filepath.Join(dir, "bare"))
	if err != nil {
		return m, err
	}
	defer func() { _ = b.file.Close() }()
	done := make(chan error, 1)
	go func() { done <- b.run() }()
	m, err = measure(func() error {
		return batches(writers, size, n, func(records []*weir.Record) error {
			var bytes []byte
			for _, r := range records {
				bytes = journal.AppendRecord(bytes, r)
			}
			w := waiting{bytes, make(chan struct{})}
			b.queue <- w
			<-w.done
			return nil
		})
	})
	close(b.queue)
	if failed := <-done; err == nil {
		err = failed
	}
	return m, err
}

// bare is the least that a durable file of appends takes.
type bare struct {
	file      *os.File
	queue     chan waiting
	at, ahead int64
}

type waiting struct {
	bytes []byte
	done  chan struct{}
}

func newBare(path string) (*bare, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &bare{file: f, queue: make(chan waiting, 64)}, nil
}

// run writes whatever waits together and syncs, until the queue is closed.
func (b *bare) run() error {
	var failed error
	for w := range b.queue {
		group, bytes := []waiting{w}, w.bytes
		for more := true; more; {
			select {
			case w, ok := <-b.queue:
				if !ok {
					more = false
					break
				}
				group, bytes = append(group, w), append(bytes, w.bytes...)
			default:
				more = false
			}
		}
		if failed == nil {
			failed = b.write(bytes)
		}
		for _, w := range group {
			close(w.done)
		}
	}
	return failed
}

func (b *bare) write(bytes []byte) error {
	if end := b.at + int64(len(bytes)); end > b.ahead {
		const step = 16 << 20
		if err := unix.Fallocate(int(b.file.Fd()), 0, b.ahead, step+int64(len(bytes))); err != nil {
			return err
		}
		b.ahead += step + int64(len(bytes))
	}
	n, err := b.file.WriteAt(bytes, b.at)
	if err != nil {
		return err
	}
	b.at += int64(n)
	return unix.Fdatasync(int(b.file.Fd()))
}
