// Package chapter is the embedded engine of the journal: append-only files of
// our own, called chapters, in one directory that one process has.
//
//	active      takes appends; where its records are, a table in memory says
//	full        at its limit; the next one has begun
//	sealed      an index stands beside it, a filter covers its identities, the
//	            manifest names it: its table is given up, nothing of it is changed
//	rewritten   a new file with what stays of one or several sealed chapters,
//	            named by the manifest in their place
//
// An Append becomes one frame, so that it is there whole or not at all. One
// committer decides which identities are new, gives out seq and at, and writes
// whatever is queued with one write and one fdatasync; while it waits for the
// disk, others queue. Nobody reads past what is durable.
//
// A frame says how far the file was durable when it was written (synced). So
// at open a frame that is bad can be told apart: past the greatest synced of
// any good frame it is the torn end of an unanswered write and is cut off;
// before it something was lost that had been promised, and the chapter is
// refused by name. A sealed chapter is not read at open; of damage to it, reads
// say so and leave it out.
//
// Which chapters there are is an edition, a list that is replaced, never
// changed. A reader keeps to the one that it began with, and files are closed
// when no edition that has them is in use. One goroutine seals and merges, in
// small steps; Trim and Erase rewrite in their caller's.
//
// The room decides nothing about what records mean. It is opened by app;
// everybody else sees it through an interface of their own.
package chapter

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/disk"
	"weir/internal/journal/manifest"
	"weir/internal/journal/sealed"
	"weir/internal/journal/table"
)

// Options say where a journal is and how large its parts may grow. The zero
// value of all but Dir is the default.
type Options struct {
	Dir        string  // made if absent
	FS         disk.FS // in place of Dir
	MaxRecords int     // of a chapter, about; 1,048,576
	MaxBytes   int64   // of a chapter, about; 256 MiB, 2 GiB at most
	Tail       int     // records kept decoded for readers near the head, about; 65,536
	TailBytes  int64   // of their encoded size; 64 MiB
	Queue      int     // appends that may wait; 8,192
	QueueBytes int64   // of their encoded size; 64 MiB
	// Window is for how long an identity is surely known: a repeated record that
	// comes later may be taken again, and a change of a try that began before is
	// refused. 7 days.
	Window time.Duration
	Logger *slog.Logger
	Now    func() time.Time // the wall clock
	// Opening is called, if set, when Open has the directory for itself and is
	// about to read it: what does not need the records can be done beside that.
	Opening func(Opening)
}

// Opening is what is known of a journal before it is read.
type Opening struct {
	DataID [16]byte
	Began  bool // there are records, unless those are the torn end of a first append
}

const (
	mib            = 1 << 20
	lockName       = "lock"
	reserveName    = "reserve"
	reserveSize    = 8 * mib
	maxChapterSize = 2 << 30
)

func (o Options) withDefaults() Options {
	setDefault(&o.MaxRecords, 1<<20)
	setDefault(&o.MaxBytes, 256*mib)
	setDefault(&o.Tail, 1<<16)
	setDefault(&o.TailBytes, 64*mib)
	setDefault(&o.Queue, 8192)
	setDefault(&o.QueueBytes, 64*mib)
	setDefault(&o.Window, 7*24*time.Hour)
	o.MaxBytes = min(o.MaxBytes, maxChapterSize)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func setDefault[N int | int64 | time.Duration](v *N, d N) {
	if *v <= 0 {
		*v = d
	}
}

// Journal is an open journal. Its methods may be called at the same time.
type Journal struct {
	opts    Options
	log     *slog.Logger
	fs      disk.FS
	lock    io.Closer
	dataID  [16]byte
	calls   sync.Pool // of *call
	queue   *queue
	filler  *table.Filler
	commits chan struct{} // closed when the committer has ended
	closing sync.Once
	sealer  *sealer
	filters atomic.Pointer[[]*sealed.Filter] // over the sealed chapters of the window, by age
	hidden  atomic.Pointer[journal.Hidden]

	// trims has a value while somebody trims, erases or keeps others from it;
	// shape while somebody changes which chapters there are. Who takes both takes
	// trims first.
	trims, shape chan struct{}
	manifest     manifest.Manifest // of who has shape
	trimming     position          // of who has trims
	erasing      position          // of who has trims

	mu      sync.RWMutex // guards all below
	edition *edition
	floor   weir.Seq
	tail    table.Tail
	head    weir.Seq // the last durable record
	at      weir.Time
	moved   chan struct{} // closed and replaced when head grows
	closed  chan struct{} // closed by Close
}

// Open opens the journal in a directory, or makes one there. It reads the
// chapters that are not sealed, and repairs the torn end that a crash leaves.
// Damage to what was promised in them, a foreign chapter and a newer format are
// Unavailable errors that name the file, as is a directory that another process
// has.
func Open(ctx context.Context, o Options) (*Journal, error) {
	o = o.withDefaults()
	j := &Journal{
		opts: o, log: o.Logger, fs: o.FS, queue: newQueue(o.Queue, o.QueueBytes), sealer: newSealer(),
		commits: make(chan struct{}), trims: make(chan struct{}, 1), shape: make(chan struct{}, 1),
		moved: make(chan struct{}), closed: make(chan struct{}),
	}
	j.calls.New = func() any { return &call{done: make(chan struct{}, 1)} }
	j.tail = table.Tail{MaxCount: o.Tail, MaxBytes: o.TailBytes}
	j.filters.Store(new([]*sealed.Filter))
	j.hidden.Store(new(journal.Hidden))
	var err error
	if j.fs == nil {
		if j.fs, err = disk.OpenDirectory(o.Dir); err != nil {
			return nil, weir.E("open journal", weir.Unavailable, "%w", err)
		}
	}
	if j.lock, err = j.fs.Lock(lockName); err != nil {
		return nil, weir.E("open journal", weir.Unavailable, "another process may have it: %w", err)
	}
	j.filler = table.NewFiller()
	c, err := j.recover(ctx)
	if err != nil {
		j.filler.Close()
		return nil, errors.Join(err, j.release())
	}
	go c.run()
	go j.sealer.run(j)
	return j, nil
}

// Close takes no more appends, finishes those that wait, marks the journal as
// cleanly stopped and gives its files back. What is being sealed or rewritten is
// left as it was.
func (j *Journal) Close() error {
	var err error
	j.closing.Do(func() {
		j.queue.close(errClosed("append"))
		j.sealer.stop()
		<-j.commits
		j.filler.Close()
		close(j.closed)
		err = j.release()
	})
	return err
}

func (j *Journal) release() error {
	j.mu.Lock()
	e := j.edition
	j.mu.Unlock()
	var err error
	if e != nil {
		err = e.release()
	}
	return errors.Join(err, j.lock.Close())
}

func errClosed(op string) error { return weir.E(op, weir.Unavailable, "the journal is closed") }

// DataID is the random id that the journal was given when it was made. State
// carries the same.
func (j *Journal) DataID() [16]byte { return j.dataID }

// Stats are what a journal is made of, now.
type Stats struct {
	Head       weir.Seq
	At         weir.Time
	Chapters   int
	Sealed     int   // of them
	Bytes      int64 // of all frames
	Tail       int   // records at hand, decoded
	Waiting    int   // appends in the queue
	Identities int   // in tables
	Entries    int   // of the look-up tables
	Filters    int   // bytes of the filters
	Stopped    error // why appends are refused, or nil
}

// Stats counts; it is cheap enough for a scrape of metrics.
func (j *Journal) Stats() Stats {
	j.mu.RLock()
	defer j.mu.RUnlock()
	s := Stats{Head: j.head, At: j.at, Chapters: len(j.edition.files), Tail: j.tail.Count}
	s.Waiting, s.Stopped = j.queue.look()
	for _, f := range j.edition.files {
		s.Bytes += f.End()
		if t := f.Table(); t != nil {
			s.Identities += t.Identities.Size()
			s.Entries += t.Entries()
		} else {
			s.Sealed++
		}
	}
	for _, f := range *j.filters.Load() {
		s.Filters += f.Bytes()
	}
	return s
}
