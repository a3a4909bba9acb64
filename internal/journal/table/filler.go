package table

import (
	"context"
	"sync"

	"weir"
	"weir/internal/journal"
)

// Durable are consecutive records of one chapter, which begins with First. Last
// is the seq up to which all is durable with them.
type Durable struct {
	Table   *Table
	First   weir.Seq
	Records []*weir.Record
	Last    weir.Seq
}

// Filler fills the look-ups of tables with what became durable. Its queue is
// bounded: when it falls behind, the committer waits for it.
type Filler struct {
	queue chan Durable
	done  chan struct{}

	mu      sync.Mutex // guards all below
	reached weir.Seq
	moved   chan struct{} // closed and replaced when reached grows
}

// NewFiller returns a filler that runs until it is closed.
func NewFiller() *Filler {
	f := &Filler{queue: make(chan Durable, 256), done: make(chan struct{}), moved: make(chan struct{})}
	go f.run()
	return f
}

// Hand gives it what became durable.
func (f *Filler) Hand(d Durable) { f.queue <- d }

// Close ends it when all that it was handed is filled in.
func (f *Filler) Close() {
	close(f.queue)
	<-f.done
}

func (f *Filler) run() {
	defer close(f.done)
	var hashes []uint64
	for d := range f.queue {
		l := &d.Table.links
		l.mu.Lock()
		for _, r := range d.Records {
			hashes = journal.AppendHashes(hashes[:0], r)
			for _, h := range hashes {
				l.addLocked(h, int(r.Seq-d.First))
			}
		}
		l.mu.Unlock()
		f.reach(d.Last)
	}
}

func (f *Filler) reach(seq weir.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reached = max(f.reached, seq)
	close(f.moved)
	f.moved = make(chan struct{})
}

// Wait returns when the look-ups hold all up to seq, or the filler is closed.
func (f *Filler) Wait(ctx context.Context, seq weir.Seq) error {
	for {
		f.mu.Lock()
		reached, moved := f.reached, f.moved
		f.mu.Unlock()
		if reached >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-f.done:
			return weir.E("find", weir.Unavailable, "the journal is closed")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
