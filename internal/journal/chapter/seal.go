package chapter

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/file"
	"weir/internal/journal/manifest"
)

// The time between attempts to seal that fail, which doubles.
const (
	minRetry = time.Second
	maxRetry = time.Minute
)

// sealer is the goroutine that seals full chapters, and merges small ones.
type sealer struct {
	ctx   context.Context // of the goroutine, and of what readers have it do
	stop  func()          // ends it
	work  chan struct{}   // has a value when there may be something to do
	ended chan struct{}

	mu    sync.Mutex    // guards all below
	err   error         // why the last attempt failed
	moved chan struct{} // closed and replaced after each attempt
}

func newSealer() *sealer {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sealer{ctx: ctx, work: make(chan struct{}, 1), ended: make(chan struct{}), moved: make(chan struct{})}
	s.stop = func() {
		cancel()
		<-s.ended
	}
	return s
}

func (s *sealer) wake() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// run seals and merges what there is until the journal is closed.
func (s *sealer) run(j *Journal) {
	defer close(s.ended)
	retry := minRetry
	for {
		err := j.sealAndMerge(s.ctx)
		s.tell(err)
		if s.ctx.Err() != nil {
			return
		}
		var again <-chan time.Time
		if err == nil {
			retry = minRetry
		} else {
			j.log.Warn("full chapters not sealed, which is tried again", "after", retry, "err", err)
			timer := time.NewTimer(retry)
			defer timer.Stop()
			again, retry = timer.C, min(2*retry, maxRetry)
		}
		select {
		case <-s.work:
		case <-again:
		case <-s.ctx.Done():
			return
		}
	}
}

// tell wakes who waits for an attempt.
func (s *sealer) tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	close(s.moved)
	s.moved = make(chan struct{})
}

// look returns a channel that is closed after the next attempt, and what became
// of the last.
func (s *sealer) look() (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved, s.err
}

// admit returns when another chapter may be begun. With too many full ones,
// which have their tables in memory, it waits for one to be sealed.
func (s *sealer) admit(j *Journal) error {
	for {
		moved, err := s.look()
		n := j.unsealed()
		switch {
		case n < maxWaiting || s.ctx.Err() != nil:
			return nil
		case err != nil:
			return weir.E("append", weir.Limited, "%d full chapters wait to be sealed: %w", n, err)
		}
		select {
		case <-moved:
		case <-s.ctx.Done():
		}
	}
}

// unsealed counts the chapters that have a table, the active one included.
func (j *Journal) unsealed() int {
	e := j.use()
	defer j.done(e)
	n := 0
	for _, f := range e.files {
		if !f.Sealed() {
			n++
		}
	}
	return n
}

func (j *Journal) sealAndMerge(ctx context.Context) error {
	for {
		more, err := j.sealNext(ctx)
		if err == nil && !more {
			more, err = j.mergeNext(ctx)
		}
		if err != nil || !more {
			return err
		}
		j.sealer.tell(nil)
	}
}

// lock takes a place that one may have at a time.
func lock(ctx context.Context, place chan struct{}) error {
	select {
	case place <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sealNext seals the oldest full chapter, if there is one.
func (j *Journal) sealNext(ctx context.Context) (more bool, err error) {
	if err := lock(ctx, j.shape); err != nil {
		return false, err
	}
	defer func() { <-j.shape }()
	e := j.use()
	defer j.done(e)
	for _, f := range e.full() {
		if !f.Sealed() {
			return true, j.fromReserve(func() error { return j.seal(ctx, f) })
		}
	}
	return false, nil
}

// seal gives a chapter its index, and the filter its identities. Only when both
// are durable and in force is its table given up.
func (j *Journal) seal(ctx context.Context, f *file.Chapter) error {
	began := time.Now()
	p := &file.Pacer{Context: ctx, Hurry: j.unsealed() >= maxWaiting}
	x, err := f.BuildIndex(p)
	if err != nil {
		return err
	}
	filters, names, err := j.cover(f, x, p)
	if err != nil {
		return err
	}
	m := j.manifest
	old := m.Filters
	m.Through, m.Filters, m.Serial = f.Number, names, m.Serial+1
	m.Chapters = append(slices.Clip(m.Chapters), entryOf(f, x.Count()))
	if err := j.install(m); err != nil {
		return err
	}
	j.filters.Store(&filters) // before: what has no table is looked for in them
	f.Seal(x)
	j.discard(slices.DeleteFunc(slices.Clone(old), func(name string) bool { return slices.Contains(names, name) })...)
	j.log.Info("chapter sealed", "chapter", f.Name, "records", x.Count(), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

func entryOf(f *file.Chapter, records int) manifest.Chapter {
	return manifest.Chapter{
		File: f.Name, Index: f.IndexName(), First: f.First, Last: f.Through(), Records: records, Bytes: f.End(),
	}
}

// install makes a manifest durable, and what it names with it. From then on it
// is in force. The caller has shape.
func (j *Journal) install(m manifest.Manifest) error {
	m.DataID = hex.EncodeToString(j.dataID[:])
	b, err := m.Encode()
	if err != nil {
		return err
	}
	// What the manifest names must have its name before.
	if err := j.fs.Sync(); err != nil {
		return err
	}
	d, err := disk.Write(j.fs, manifest.Name, func(d disk.File) error {
		_, err := d.WriteAt(b, 0)
		return err
	})
	if err == nil {
		err = errors.Join(j.fs.Sync(), d.Close())
	}
	if err == nil {
		j.manifest = m
	}
	return err
}

// discard removes files that are no longer in force. One that stays is removed
// at the next start.
func (j *Journal) discard(names ...string) {
	for _, name := range names {
		if err := j.fs.Remove(name); err != nil {
			j.log.Warn("file of the journal not removed", "file", name, "err", err)
		}
	}
}
