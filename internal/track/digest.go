package track

import (
	"context"
	"sync"

	"weir"
	"weir/internal/expr"
)

// digest is what records that came together are about. Most interests are told
// by it that nothing is for them.
type digest struct {
	types map[string]bool // nil: too many to look at each
	runs  map[weir.RunID]bool
	gap   bool // some are not kept
}

// manyTypes is up to how many types a digest is looked at by type.
const manyTypes = 64

func digestOf(records []*weir.Record) *digest {
	d := &digest{types: map[string]bool{}, runs: map[weir.RunID]bool{}}
	for _, rec := range records {
		switch {
		case rec.Event != nil:
			d.runs[rec.Event.Cause] = true
			if d.types != nil {
				d.types[rec.Event.Type] = true
			}
		case rec.Change != nil:
			d.runs[rec.Change.Run] = true
		}
		if len(d.types) > manyTypes {
			d.types = nil
		}
	}
	return d
}

// may reports whether one of the records may be of interest.
func (d *digest) may(w *interest, globs *expr.Globs) bool {
	if !w.run.IsZero() && !d.runs[w.run] {
		return false
	}
	if globs == nil || d.types == nil {
		return true
	}
	for name := range d.types {
		if globs.Match(name) {
			return true
		}
	}
	return false
}

// size is what a digest takes of the memory for all, about.
func (d *digest) size() int { return 4 + len(d.types) + len(d.runs) }

const (
	blockSize = 1024    // records that one digest of the past is of
	maxPast   = 500_000 // runs and types in all digests kept; some 40 MB
)

// past are digests of blocks that followers read: after a restart many read the
// same, and most of it is for none of them.
type past struct {
	journal End

	mu     sync.Mutex // guards all below
	blocks map[weir.Seq]*digest
	size   int // of all
}

// find returns the digest of the records behind n blocks, and whether it was at
// hand.
func (p *past) find(ctx context.Context, n weir.Seq) (d *digest, known bool, err error) {
	p.mu.Lock()
	d = p.blocks[n]
	p.mu.Unlock()
	if d != nil {
		return d, true, nil
	}
	var all []*weir.Record
	for after, end := n*blockSize, (n+1)*blockSize; after < end; {
		records, err := p.journal.Read(ctx, after, int(end-after))
		if err != nil {
			return nil, false, err
		}
		if len(records) == 0 {
			break
		}
		after = records[len(records)-1].Seq
		all = append(all, records...)
	}
	d = digestOf(all)
	d.gap = len(all) != blockSize || all[blockSize-1].Seq != (n+1)*blockSize
	p.keep(n, d)
	return d, false, nil
}

// keep drops others where there are too many, whichever: those who read the same
// from the same place on would always ask next for what was dropped first.
func (p *past) keep(n weir.Seq, d *digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blocks[n] != nil {
		return
	}
	p.blocks[n], p.size = d, p.size+d.size()
	for n, d := range p.blocks {
		if p.size <= maxPast {
			return
		}
		delete(p.blocks, n)
		p.size -= d.size()
	}
}
