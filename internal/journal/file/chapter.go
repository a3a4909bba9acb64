// Package file is one chapter of the embedded journal: its open file, where the
// records in it are, and how they are read, gone through, checked and rewritten.
// Which chapters there are and what becomes of them is chapter's.
package file

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/frame"
	"weir/internal/journal/table"
)

// The ends of the names of chapters and indexes.
const (
	Suffix      = ".chapter"
	IndexSuffix = ".index"
)

// Dir is the directory that chapters are in, and who is told of damage.
type Dir struct {
	FS  disk.FS
	Log *slog.Logger
}

// Chapter is an open chapter. What is durable of it never changes, so it is read
// without a lock.
type Chapter struct {
	frame.Header
	Name string
	CRC  uint32 // of the header
	Disk disk.File

	dir  Dir
	last atomic.Uint64 // seq of its last record or, where there were some once, of the range that it stands for
	end  atomic.Int64  // of the frames
	hurt atomic.Bool   // damage was met, and logged
	uses atomic.Int32

	// Where the records are: in a table, until the index is there.
	table atomic.Pointer[table.Table]
	index atomic.Pointer[Index]

	mending sync.Mutex // held while an index is made anew
}

// Name returns how a chapter is called.
func Name(number uint64, generation uint32) string {
	if generation == 0 {
		return fmt.Sprintf("%08d%s", number, Suffix)
	}
	return fmt.Sprintf("%08d-%d%s", number, generation, Suffix)
}

// Create makes an empty chapter with room for allocate bytes. It has its name
// only when all of its header is durable; that the name is, the caller sees to.
func (d Dir) Create(h frame.Header, allocate int64) (*Chapter, error) {
	c := &Chapter{Header: h, Name: Name(h.Number, h.Generation), dir: d}
	page, crc := h.Encode()
	c.CRC = crc
	c.Grow(frame.Start, h.First-1)
	c.Fill(&table.Table{})
	var err error
	c.Disk, err = disk.Write(d.FS, c.Name, func(f disk.File) error {
		if err := f.Allocate(allocate); err != nil {
			return err
		}
		_, err := f.WriteAt(page, 0)
		return err
	})
	return c, err
}

// Open opens a chapter and reads its header. With an error, it may have to be
// closed all the same.
func (d Dir) Open(name string) (*Chapter, error) {
	f, err := d.FS.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	c := &Chapter{Name: name, Disk: f, dir: d}
	b := make([]byte, frame.HeaderSize)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return c, unreadable(name, err)
	}
	if c.CRC, err = c.Decode(name, b); err != nil {
		return c, err
	}
	if Name(c.Number, c.Generation) != name {
		return c, weir.E("open journal", weir.Unavailable, "%s is chapter %d, renamed", name, c.Number)
	}
	return c, nil
}

func unreadable(name string, err error) error {
	return weir.E("open journal", weir.Unavailable, "read %s: %w", name, err)
}

// IndexName is how the chapter's index is called.
func (c *Chapter) IndexName() string { return strings.TrimSuffix(c.Name, Suffix) + IndexSuffix }

// Place returns where seq stands in the chapter.
func (c *Chapter) Place(seq weir.Seq) int { return int(seq - c.First) }

// Seq returns which record stands at a place.
func (c *Chapter) Seq(place int) weir.Seq { return c.First + weir.Seq(place) }

// Through is the last seq of the chapter or of the range that it stands for, the
// one before its first where it has none.
func (c *Chapter) Through() weir.Seq { return weir.Seq(c.last.Load()) }

// End is where its frames end, 0 where that is not known.
func (c *Chapter) End() int64 { return c.end.Load() }

// Grow says how far the chapter is durable: to an end and a seq.
func (c *Chapter) Grow(end int64, through weir.Seq) {
	c.end.Store(end)
	c.last.Store(uint64(through))
}

// Fill gives the chapter a table.
func (c *Chapter) Fill(t *table.Table) { c.table.Store(t) }

// Table returns its table, nil once it is sealed.
func (c *Chapter) Table() *table.Table { return c.table.Load() }

// Seal gives the table up for an index.
func (c *Chapter) Seal(x *Index) {
	c.index.Store(x) // before: a reader finds one of the two
	c.table.Store(nil)
}

// Sealed reports whether it has an index alone.
func (c *Chapter) Sealed() bool { return c.table.Load() == nil }

// Index returns its index, nil before it is sealed.
func (c *Chapter) Index() *Index { return c.index.Load() }

// Hurt reports whether damage was met in it.
func (c *Chapter) Hurt() bool { return c.hurt.Load() }

// damaged says that records are lost, once for what is met of a chapter.
func (c *Chapter) damaged(first, last weir.Seq) {
	if !c.hurt.Swap(true) {
		c.dir.Log.Error("chapter damaged, records lost: see weir verify", "chapter", c.Name, "first", first, "last", last)
	}
}

// Use counts one more that reads it.
func (c *Chapter) Use() { c.uses.Add(1) }

// Done ends a Use. With the last, the files are closed.
func (c *Chapter) Done() error {
	if c.uses.Add(-1) > 0 {
		return nil
	}
	return c.Close()
}

// Close closes its files.
func (c *Chapter) Close() error {
	err := c.Disk.Close()
	if x := c.index.Load(); x != nil {
		err = errors.Join(err, x.Disk.Close())
	}
	return err
}

// Repair cuts what is torn off a chapter that goes on at end, and writes all that might
// stand in the page cache only, from synced on, once more: after a failed sync
// the system forgets that it did not reach the disk.
func (c *Chapter) Repair(synced, end int64) error {
	if err := c.Disk.Truncate(end); err != nil {
		return weir.E("open journal", weir.Unavailable, "cut the torn end off chapter %s: %w", c.Name, err)
	}
	b := make([]byte, writeSize)
	for off := synced; off < end; {
		n, err := c.Disk.ReadAt(b[:min(int64(len(b)), end-off)], off)
		if n == 0 && err != nil {
			return unreadable(c.Name, err)
		}
		if _, err := c.Disk.WriteAt(b[:n], off); err != nil {
			return weir.E("open journal", weir.Unavailable, "write the end of chapter %s again: %w", c.Name, err)
		}
		off += int64(n)
	}
	if err := c.Disk.Sync(); err != nil {
		return weir.E("open journal", weir.Unavailable, "sync chapter %s: %w", c.Name, err)
	}
	return nil
}
