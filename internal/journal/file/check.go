package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/sealed"
)

// Check reads the whole chapter and its index, which must be that of the chapter
// byte for byte, and says what is not as it was written. Of a chapter that lost
// something the index cannot be told: it may know what is no longer there. Each
// ends it by an error, which it returns.
func (c *Chapter) Check(ctx context.Context, each func(journal.Fault) error) error {
	pause := func() error { return ctx.Err() }
	same := &comparison{}
	whole := true
	fault := func(first, last weir.Seq, what string) error {
		whole = false
		return each(journal.Fault{File: c.Name, First: first, Last: last, What: what})
	}
	if x := c.Index(); x != nil {
		same.with = x.Disk
	}
	b := sealed.NewBuilder(same, c.indexed())
	var hashes []uint64
	_, err := c.Each(Visit{
		Pause: pause,
		Record: func(r *weir.Record, row sealed.Row, _ []byte) error {
			hashes = journal.AppendHashes(hashes[:0], r)
			return b.Add(row, hashes)
		},
		Lost: func(first, last weir.Seq) error {
			return fault(first, last, "these records are not as they were written")
		},
		Bad: func(first, last weir.Seq, why error) error {
			return fault(first, last, why.Error())
		},
	})
	if err == nil {
		err = b.Finish(pause)
	}
	if err != nil || same.differs == 0 || !whole {
		return err
	}
	return each(journal.Fault{
		File: c.IndexName(), First: c.First, Last: c.Through(),
		What: fmt.Sprintf("%d of its pages are not what the chapter says", same.differs),
		Do:   "delete this file while no server runs: the next start makes it anew from the chapter",
	})
}

// comparison is a file whose writer finds out whether it writes what another
// file has.
type comparison struct {
	with    io.ReaderAt
	differs int
}

const comparedPage = 4096

// WriteAt compares.
func (c *comparison) WriteAt(b []byte, off int64) (int, error) {
	n := len(b)
	if c.with == nil {
		return n, nil
	}
	there := make([]byte, len(b))
	if _, err := c.with.ReadAt(there, off); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	for ; len(b) > 0; b, there = b[min(comparedPage, len(b)):], there[min(comparedPage, len(b)):] {
		if !bytes.Equal(b[:min(comparedPage, len(b))], there[:min(comparedPage, len(b))]) {
			c.differs++
		}
	}
	return n, nil
}
