package chapter

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/frame"
	"weir/internal/journal/sealed"
	"weir/internal/journal/table"
)

const (
	suffix       = ".chapter"
	indexSuffix  = ".index"
	filterSuffix = ".filter"
	newSuffix    = ".new"
)

// file is a chapter. What is durable of it never changes, so it is read without
// a lock.
type file struct {
	frame.Header
	name string
	crc  uint32 // of the header
	disk disk.File
	uses atomic.Int32  // editions that have it
	last atomic.Uint64 // seq of its last record or, where there were some once, of the range that it stands for
	end  atomic.Int64  // of the frames
	hurt atomic.Bool   // damage was met, and logged

	mending sync.Mutex // held while an index is given up for a table

	// Where the records are: in a table, until the index is there.
	table atomic.Pointer[table.Table]
	index atomic.Pointer[index]
}

// look is what a table and an index have in common. Places count from the
// chapter's first seq; some may hold no record.
type look interface {
	// Rows fills dst with the rows from a place on.
	Rows(dst []sealed.Row, place int) (int, error)
	// Before returns the last n places at or before place that hold records.
	Before(place, n int) ([]int, error)
	// FirstAt returns the first place accepted at or after at, or one past all.
	FirstAt(at weir.Time) (int, error)
	Identity(id weir.Identity) (sealed.Row, bool, error)
	// Times returns when the first and the last record were accepted.
	Times() (first, last weir.Time)
	// Walk yields the places under a hash in [low, high], newest first, filling
	// dst each time.
	Walk(hash uint64, low, high int) func(dst []int) ([]int, error)
}

// look returns the table or the index. The index is set before the table is
// given up.
func (f *file) look() look {
	if t := f.table.Load(); t != nil {
		return t
	}
	return f.index.Load()
}

func (f *file) isSealed() bool { return f.table.Load() == nil }

func chapterName(number uint64, generation uint32) string {
	if generation == 0 {
		return fmt.Sprintf("%08d%s", number, suffix)
	}
	return fmt.Sprintf("%08d-%d%s", number, generation, suffix)
}

func (f *file) indexName() string { return strings.TrimSuffix(f.name, suffix) + indexSuffix }

// place returns where seq stands in the chapter.
func (f *file) place(seq weir.Seq) int { return int(seq - f.First) }

// seq returns which record stands at a place.
func (f *file) seq(place int) weir.Seq { return f.First + weir.Seq(place) }

// through is the last seq of the chapter, the one before its first where it has
// none.
func (f *file) through() weir.Seq { return weir.Seq(f.last.Load()) }

func (f *file) close() error {
	err := f.disk.Close()
	if x := f.index.Load(); x != nil {
		err = errors.Join(err, x.disk.Close())
	}
	return err
}

// index is the open index of a sealed chapter, as look sees it.
type index struct {
	*sealed.Index
	disk disk.File
}

// Rows implements look. Most readers want one record.
func (x *index) Rows(dst []sealed.Row, place int) (int, error) {
	if len(dst) == 1 {
		row, ok, err := x.Row(place)
		if ok || err != nil {
			dst[0] = row
			return 1, err
		}
	}
	rank, err := x.Rank(place)
	if err != nil {
		return 0, err
	}
	return x.Index.Rows(dst, rank)
}

// Before implements look.
func (x *index) Before(place, n int) ([]int, error) {
	rank, err := x.Rank(place + 1)
	if err != nil {
		return nil, err
	}
	rows := make([]sealed.Row, min(n, rank))
	if _, err := x.Index.Rows(rows, rank-len(rows)); err != nil {
		return nil, err
	}
	places := make([]int, len(rows))
	for i := range rows {
		places[i] = rows[i].Place
	}
	return places, nil
}

// FirstAt implements look.
func (x *index) FirstAt(at weir.Time) (int, error) {
	rank, err := x.Index.FirstAt(at)
	var rows [1]sealed.Row
	if err == nil && rank < x.Count() {
		_, err = x.Index.Rows(rows[:], rank)
		return rows[0].Place, err
	}
	return x.Last() + 1, err
}

// Walk implements look.
func (x *index) Walk(hash uint64, low, high int) func(dst []int) ([]int, error) {
	return func(dst []int) ([]int, error) {
		dst = dst[:cap(dst)]
		n, err := x.Find(dst, hash, low, high)
		if n > 0 {
			high = dst[n-1] - 1
		}
		return dst[:n], err
	}
}

// edition is a list of chapters by seq. The last takes the appends.
type edition struct {
	files []*file
	uses  atomic.Int64
}

// newEdition returns an edition that is in use once.
func newEdition(files []*file) *edition {
	e := &edition{files: files}
	e.uses.Store(1)
	for _, f := range files {
		f.uses.Add(1)
	}
	return e
}

// release ends one use.
func (e *edition) release() error {
	if e.uses.Add(-1) > 0 {
		return nil
	}
	var errs []error
	for _, f := range e.files {
		if f.uses.Add(-1) == 0 {
			errs = append(errs, f.close())
		}
	}
	return errors.Join(errs...)
}

// active is the chapter that takes the appends.
func (e *edition) active() *file { return e.files[len(e.files)-1] }

// use returns the chapters as they are now, for a reader, who says when it is
// done with them.
func (j *Journal) use() *edition {
	j.mu.RLock()
	defer j.mu.RUnlock()
	j.edition.uses.Add(1)
	return j.edition
}

func (j *Journal) done(e *edition) {
	if err := e.release(); err != nil {
		j.log.Warn("files of the journal not closed", "err", err)
	}
}

// renew puts another list of chapters in the place of the one in force: what
// becomes of that is the new one.
func (j *Journal) renew(become func(files []*file) []*file) {
	j.mu.Lock()
	old := j.edition
	j.edition = newEdition(become(old.files))
	j.mu.Unlock()
	j.done(old)
}
