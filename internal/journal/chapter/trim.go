package chapter

import (
	"context"
	"errors"
	"slices"
	"time"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/file"
)

// slack is how long records that need not be kept may stay because others in
// their chapter must.
const slack = 24 * time.Hour

// removal is what Trim and Erase have in common.
type removal struct {
	goes  func(r *weir.Record) bool
	may   func(f *file.Chapter) (bool, error) // whether it is worth looking for such records in a chapter
	floor bool                                // what is left before the last that is gone is as good as gone
}

// position is how far the steps of a removal have come.
type position struct {
	of     journal.Erasure
	next   weir.Seq
	failed error // of a chapter that was passed by
}

// Trim removes what need not be kept, of the next chapter that has some: the
// chapter is unlinked where nothing stays, else rewritten. It waits while Hold
// is in force. With a DiskFull error it goes on with the chapter after, when it
// is called again.
func (j *Journal) Trim(ctx context.Context, k journal.Keep) (journal.Trimmed, error) {
	if err := lock(ctx, j.trims); err != nil {
		return journal.Trimmed{}, err
	}
	defer func() { <-j.trims }()
	return j.step(ctx, &j.trimming, removal{
		goes:  k.Goes,
		floor: true,
		may: func(f *file.Chapter) (bool, error) {
			if f.First > k.UpTo || f.Through() < f.First {
				return false, nil
			}
			first, last := f.Look().Times()
			return last < k.Before && f.Through() <= k.UpTo || first < k.Before.Add(-slack), nil
		},
	})
}

// Erase removes what an erasure means, of the next chapter that has some. It
// waits while Hold is in force. The identities of what is gone are free again.
// After an error it goes on with the chapter after, when it is called again, and
// fails once more at the end: there is no More without an error only when every
// chapter was looked at.
func (j *Journal) Erase(ctx context.Context, e journal.Erasure) (journal.Trimmed, error) {
	if err := lock(ctx, j.trims); err != nil {
		return journal.Trimmed{}, err
	}
	defer func() { <-j.trims }()
	if j.erasing.of != e {
		j.erasing = position{of: e}
	}
	done, err := j.step(ctx, &j.erasing, removal{
		goes: e.Means,
		may:  func(f *file.Chapter) (bool, error) { return j.mayMean(ctx, f, e) },
	})
	if err == nil && !done.More {
		err, j.erasing.failed = j.erasing.failed, nil
	}
	return done, err
}

// mayMean reports whether a chapter may have records that an erasure means.
func (j *Journal) mayMean(ctx context.Context, f *file.Chapter, e journal.Erasure) (bool, error) {
	if f.First > e.UpTo || f.Through() < f.First {
		return false, nil
	}
	if e.Subject == "" {
		return true, nil
	}
	if err := j.filler.Wait(ctx, f.Through()); err != nil {
		return false, err
	}
	subject, err := journal.Query{Project: e.Project, Kind: journal.BySubject, Value: e.Subject}.Prepare()
	if err != nil {
		return false, err
	}
	var places []int
	err = f.Ask(func(l file.Look) (err error) {
		var one [1]int
		places, err = l.Walk(subject.Hash, 0, f.Place(min(e.UpTo, f.Through())))(one[:0])
		return err
	})
	return len(places) > 0, err
}

// Hide leaves out from now on what these erasures mean, and only these.
func (j *Journal) Hide(erasures []journal.Erasure) {
	hidden := journal.Hidden(slices.Clone(erasures))
	j.hidden.Store(&hidden)
}

// First returns the first seq from which on nothing was trimmed.
func (j *Journal) First() weir.Seq {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return max(j.floor, 1)
}

// Hold keeps everything that is in the journal there until it is released, for a
// backup: it waits for what Trim and Erase are doing, and they wait for it.
func (j *Journal) Hold(ctx context.Context) (release func(), err error) {
	if err := lock(ctx, j.trims); err != nil {
		return nil, err
	}
	return func() { <-j.trims }, nil
}

// step looks at one chapter more.
func (j *Journal) step(ctx context.Context, at *position, r removal) (journal.Trimmed, error) {
	for {
		done, wait, err := j.stepNow(ctx, at, r)
		if wait == nil || err != nil {
			return done, err
		}
		if err := j.awaitSealed(ctx, wait); err != nil {
			return done, err
		}
	}
}

// stepNow is step, or returns a chapter that has to be sealed before.
func (j *Journal) stepNow(ctx context.Context, at *position, r removal) (done journal.Trimmed, wait *file.Chapter, err error) {
	if err := lock(ctx, j.shape); err != nil {
		return done, nil, err
	}
	defer func() { <-j.shape }()
	e := j.use()
	defer j.done(e)
	for _, f := range e.files {
		if f.Through() < at.next {
			continue
		}
		may, err := r.may(f)
		if err != nil {
			return done, nil, err
		}
		if may && !f.Sealed() {
			return done, f, nil
		}
		at.next = f.Through() + 1
		if may {
			if done, err = j.removeFrom(ctx, f, r); err != nil {
				at.failed = err
			}
			done.More = true
			return done, nil, err
		}
	}
	at.next = 0
	return done, nil, nil
}

// awaitSealed returns when a chapter is sealed, the active one included.
func (j *Journal) awaitSealed(ctx context.Context, f *file.Chapter) error {
	e := j.use()
	active := e.active() == f
	j.done(e)
	if active {
		if err := j.begin(); err != nil {
			return err
		}
	}
	for {
		moved, err := j.sealer.look()
		if f.Sealed() {
			return nil
		}
		if err != nil {
			return weir.E("trim journal", weir.Unavailable, "chapter %s is not sealed: %w", f.Name, err)
		}
		select {
		case <-moved:
		case <-j.sealer.ctx.Done():
			return errClosed("trim journal")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin has the committer begin a new chapter.
func (j *Journal) begin() error {
	c := j.calls.Get().(*call)
	defer j.free(c)
	c.begin = true
	if err := j.queue.put(c); err != nil {
		return err
	}
	<-c.done
	return c.err
}

// errFound ends the reading of a chapter when it has something that goes.
var errFound = errors.New("found")

// removeFrom rewrites a chapter if it has something that goes.
func (j *Journal) removeFrom(ctx context.Context, f *file.Chapter, r removal) (journal.Trimmed, error) {
	p := &file.Pacer{Context: ctx}
	err := f.EachLeft(func(record *weir.Record, _ []byte) error {
		if r.goes(record) {
			return errFound
		}
		return nil
	}, p.Pause)
	if !errors.Is(err, errFound) {
		return journal.Trimmed{}, err
	}
	done, err := j.rewrite(ctx, []*file.Chapter{f}, r)
	if err != nil {
		return journal.Trimmed{}, err
	}
	free := f.End()
	if done.Chapter != nil {
		free -= done.Chapter.End()
	}
	j.log.Info("records removed", "chapter", f.Name, "records", done.Records, "bytes", free)
	j.sealer.wake() // what is left may be small enough to be merged
	return journal.Trimmed{Records: done.Records, Bytes: free}, nil
}
