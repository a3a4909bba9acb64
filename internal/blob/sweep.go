package blob

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Sweeper removes orphans: blobs that no record names, because the process ended
// between the one and the other.
type Sweeper struct {
	Store  *Store
	Named  func(ctx context.Context, id string) (bool, error) // whether a record names it
	Logger *slog.Logger
	Age    time.Duration // from which on a blob without a record is an orphan; 0: a day
	Every  time.Duration // between sweeps, the first at once; 0: an hour
}

const (
	defaultAge   = 24 * time.Hour
	defaultEvery = time.Hour
	sweepStep    = 100                  // blobs between pauses
	sweepPause   = 5 * time.Millisecond // so that a sweep is hardly felt
)

// Run sweeps now and then until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	every := s.Every
	if every == 0 {
		every = defaultEvery
	}
	for {
		removed, err := s.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.Logger.Error("sweep blobs", "err", err)
		case removed > 0:
			s.Logger.Info("removed blobs that no record names", "blobs", removed)
		}
		if !pause(ctx, every) {
			return nil
		}
	}
}

// Sweep looks at all blobs once, the oldest first, and returns how many it
// removed. Directories that are empty go, too.
func (s *Sweeper) Sweep(ctx context.Context) (removed int, err error) {
	age := s.Age
	if age == 0 {
		age = defaultAge
	}
	before := time.Now().Add(-age)
	dirs, err := filepath.Glob(filepath.Join(s.Store.dir, "*", "*"))
	if err != nil {
		return 0, failure("sweep blobs", err)
	}
	for _, dir := range dirs {
		n, err := s.sweepDir(ctx, dir, before)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (s *Sweeper) sweepDir(ctx context.Context, dir string, before time.Time) (removed int, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, nil // a file of tmp
	}
	for i, f := range files {
		if i%sweepStep == 0 && !pause(ctx, sweepPause) {
			return removed, ctx.Err()
		}
		gone, err := s.look(ctx, f, before)
		if err != nil {
			return removed, err
		}
		if gone {
			removed++
		}
	}
	s.removeEmpty(dir, before)
	return removed, nil
}

// look removes a blob if it is an orphan. Both its id and its file must be old:
// a clock that was set forward makes no orphans of what was just written.
func (s *Sweeper) look(ctx context.Context, f os.DirEntry, before time.Time) (gone bool, err error) {
	id := f.Name()
	if !isID(id) || timeOf(id).After(before) {
		return false, nil
	}
	info, err := f.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, failure("sweep blobs", err)
	}
	if info.ModTime().After(before) {
		return false, nil
	}
	named, err := s.Named(ctx, id)
	if named || err != nil {
		return false, err
	}
	return true, s.Store.Remove(ctx, id)
}

// removeEmpty removes a directory that has no files and gets no more, because
// its ids are old.
func (s *Sweeper) removeEmpty(dir string, before time.Time) {
	if info, err := os.Stat(dir); err != nil || info.ModTime().After(before) {
		return
	}
	s.Store.mu.Lock()
	defer s.Store.mu.Unlock()
	if s.Store.ready == dir {
		return
	}
	if os.Remove(dir) == nil { // else it has files
		_ = os.Remove(filepath.Dir(dir))
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
