package blob

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir"
)

// Sweeper removes orphans: blobs that no record names, because the process ended
// between the one and the other, or because the record is gone.
type Sweeper struct {
	Store *Store
	Named func(ctx context.Context, id string) (bool, error) // whether a record names it
	Age   time.Duration                                      // from which on a blob without a record is an orphan; 0: a day

	settled string // the blobs up to this directory are named
}

const (
	defaultAge = 24 * time.Hour
	sweepStep  = 100                  // blobs between pauses
	sweepPause = 5 * time.Millisecond // so that a sweep is hardly felt
)

// Sweep looks at the blobs that the sweeps before have not found named, the
// oldest first, and returns how many it removed. It looks again at all that were
// made before a time, whose records may be gone. Directories that are empty go,
// too.
func (s *Sweeper) Sweep(ctx context.Context, again weir.Time) (removed int, err error) {
	age := s.Age
	if age == 0 {
		age = defaultAge
	}
	before := time.Now().Add(-age)
	dirs, err := fs.Glob(os.DirFS(s.Store.dir), "[0-9a-f]*/[0-9a-f]*")
	if err != nil {
		return 0, failure("sweep blobs", err)
	}
	settled := true
	for _, dir := range dirs {
		if dir <= s.settled && !begins(dir).Before(again.Std()) {
			continue
		}
		n, young, err := s.sweepDir(ctx, filepath.Join(s.Store.dir, dir), before)
		removed += n
		if err != nil {
			return removed, err
		}
		if settled = settled && !young; settled {
			s.settled = max(s.settled, dir)
		}
	}
	return removed, nil
}

// begins returns when the oldest blob of a directory may have been made.
func begins(dir string) time.Time {
	digits := strings.Replace(dir, "/", "", 1)
	return timeOf(digits + strings.Repeat("0", idDigits-len(digits)))
}

// sweepDir looks at the blobs of a directory, and reports whether some are, or
// will be, too young to tell.
func (s *Sweeper) sweepDir(ctx context.Context, dir string, before time.Time) (removed int, young bool, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, true, failure("sweep blobs", err)
	}
	info, err := os.Stat(dir)
	young = err != nil || info.ModTime().After(before)
	for i, f := range files {
		if i%sweepStep == 0 && !pause(ctx, sweepPause) {
			return removed, true, ctx.Err()
		}
		switch old, gone, err := s.look(ctx, f, before); {
		case err != nil:
			return removed, true, err
		case !old:
			young = true
		case gone:
			removed++
		}
	}
	if !young {
		s.removeEmpty(dir)
	}
	return removed, young, nil
}

// look removes a blob if it is an orphan. Both its id and its file must be old:
// a clock that was set forward makes no orphans of what was just written.
func (s *Sweeper) look(ctx context.Context, f os.DirEntry, before time.Time) (old, gone bool, err error) {
	id := f.Name()
	if !isID(id) {
		return true, false, nil
	}
	info, err := f.Info()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, false, nil
	case err != nil:
		return false, false, failure("sweep blobs", err)
	case timeOf(id).After(before) || info.ModTime().After(before):
		return false, false, nil
	}
	named, err := s.Named(ctx, id)
	if named || err != nil {
		return true, false, err
	}
	return true, true, s.Store.Remove(ctx, id)
}

// removeEmpty removes a directory if it has no files: it gets no more, because
// its ids are old.
func (s *Sweeper) removeEmpty(dir string) {
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
