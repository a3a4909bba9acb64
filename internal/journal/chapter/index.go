package chapter

import (
	"context"
	"sync"

	"weir"
	"weir/internal/journal"
)

// links is a chapter's look-up table. A slot holds half of a hash and the
// newest entry under it; entries are chained to the one before. Two values
// whose halves are equal share a chain: whoever reads it verifies.
type links struct {
	mu      sync.RWMutex // guards all below
	slots   []uint64     // half hash << 32 | entry + 1; 0 is free; a power of two
	used    int
	entries [][]entry
	count   int
}

// entry is one record under one hash.
type entry struct {
	before uint32 // the entry before it + 1; 0 is none
	place  uint32 // in the chapter
}

func (l *links) addLocked(hash uint64, place int) {
	if l.used*4 >= len(l.slots)*3 {
		l.grow()
	}
	half := hash >> 32
	i := l.slot(half)
	for l.slots[i] != 0 && l.slots[i]>>32 != half {
		i = (i + 1) & (len(l.slots) - 1)
	}
	before := uint32(l.slots[i])
	if before == 0 {
		l.used++
	}
	if l.count%chunk == 0 {
		l.entries = append(l.entries, make([]entry, 0, chunk))
	}
	last := &l.entries[len(l.entries)-1]
	*last = append(*last, entry{before, uint32(place)})
	l.count++
	l.slots[i] = half<<32 | uint64(l.count)
}

func (l *links) slot(half uint64) int { return int(half) & (len(l.slots) - 1) }

func (l *links) grow() {
	old := l.slots
	l.slots = make([]uint64, max(1024, 2*len(old)))
	for _, s := range old {
		if s == 0 {
			continue
		}
		i := l.slot(s >> 32)
		for l.slots[i] != 0 {
			i = (i + 1) & (len(l.slots) - 1)
		}
		l.slots[i] = s
	}
}

// newest returns the newest entry under a hash, + 1, or 0.
func (l *links) newest(hash uint64) uint32 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.slots) == 0 {
		return 0
	}
	half := hash >> 32
	for i := l.slot(half); l.slots[i] != 0; i = (i + 1) & (len(l.slots) - 1) {
		if l.slots[i]>>32 == half {
			return uint32(l.slots[i])
		}
	}
	return 0
}

// walk appends the places from entry e back that are in [low, high], to
// findBlock in all, and returns where to go on, 0 at the end. A record that has
// a value twice stands there twice, one after the other.
func (l *links) walk(dst []int, e uint32, low, high int) ([]int, uint32) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for e != 0 && len(dst) < findBlock {
		at := l.entries[(e-1)/chunk][(e-1)%chunk]
		if int(at.place) < low {
			return dst, 0
		}
		if int(at.place) <= high {
			dst = append(dst, int(at.place))
		}
		e = at.before
	}
	return dst, e
}

func (l *links) size() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.count
}

// durable are consecutive records of one chapter. Last is the seq up to which
// all is durable with them.
type durable struct {
	file    *file
	records []*weir.Record
	last    weir.Seq
}

// indexer fills the look-up tables with what became durable. Its queue is
// bounded: when it falls behind, the committer waits for it.
type indexer struct {
	queue chan durable
	done  chan struct{}

	mu      sync.Mutex // guards all below
	reached weir.Seq
	moved   chan struct{} // closed and replaced when reached grows
}

func newIndexer() *indexer {
	return &indexer{queue: make(chan durable, 256), done: make(chan struct{}), moved: make(chan struct{})}
}

// run works until the queue is closed.
func (x *indexer) run() {
	defer close(x.done)
	var hashes []uint64
	for d := range x.queue {
		l := &d.file.links
		l.mu.Lock()
		for _, r := range d.records {
			hashes = journal.AppendHashes(hashes[:0], r)
			for _, h := range hashes {
				l.addLocked(h, d.file.place(r.Seq))
			}
		}
		l.mu.Unlock()
		x.reach(d.last)
	}
}

func (x *indexer) reach(seq weir.Seq) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reached = seq
	close(x.moved)
	x.moved = make(chan struct{})
}

// wait returns when the tables hold all up to seq.
func (x *indexer) wait(ctx context.Context, seq weir.Seq) error {
	for {
		x.mu.Lock()
		reached, moved := x.reached, x.moved
		x.mu.Unlock()
		if reached >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-x.done:
			return errClosed("find")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
