package track

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"weir"
	"weir/internal/expr"
)

// End is the durable end of the journal.
type End interface {
	Head() weir.Seq
	// Wait returns once there are records past after.
	Wait(ctx context.Context, after weir.Seq) error
	// Read returns records past after, in order; those that are not kept are left out.
	Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error)
}

// TailOptions are what a tail asks.
type TailOptions struct {
	Journal End
	Reader  *Reader
	Most    int      // followers at once; 0: 1,000
	Behind  weir.Seq // records that a follower which had caught up may fall behind; 0: 50,000
	Log     *slog.Logger
}

// Tail tells followers what happens, as of the durable end of the journal. One
// loop, Run, reads there and wakes those followers that may want a record; each
// reads the journal itself then, from that record on and at its own pace. So a
// follower keeps one number in memory however slow it is, and one for which
// nothing happens costs a comparison a record; followers that ask for the same
// share it.
type Tail struct {
	TailOptions
	turns   chan struct{} // bounds how many followers read and compare at once
	joined  chan struct{} // holds one hint
	stopped chan struct{} // closed when Run ends
	past    past

	mu       sync.Mutex // guards all below
	position weir.Seq   // up to here followers were woken
	feeds    map[weir.ProjectID]map[interest]*feed
	count    int
}

// feed are the followers that ask for the same.
type feed struct {
	globs     *expr.Globs
	followers map[*follower]struct{}
}

// follower is what the tail keeps of one.
type follower struct {
	first weir.Seq // the oldest record that it may want and has not read; 0 is none; guarded by Tail.mu
	wake  chan struct{}
}

const (
	tailPage    = 1024
	tailGap     = 10 * time.Millisecond // between two times that followers are woken
	tailPause   = time.Second           // after a failed read
	defaultMost = 1000
	maxBehind   = 50_000
)

// NewTail returns a tail, whose Run must run.
func NewTail(o TailOptions) *Tail {
	if o.Most <= 0 {
		o.Most = defaultMost
	}
	if o.Behind == 0 {
		o.Behind = maxBehind
	}
	return &Tail{
		TailOptions: o, feeds: map[weir.ProjectID]map[interest]*feed{},
		turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), joined: make(chan struct{}, 1), stopped: make(chan struct{}),
		past: past{journal: o.Journal, blocks: map[weir.Seq]*digest{}},
	}
}

// Run wakes followers until ctx ends, and ends theirs then.
func (t *Tail) Run(ctx context.Context) error {
	defer close(t.stopped)
	for ctx.Err() == nil {
		t.round(ctx)
	}
	return nil
}

// round waits for records, and wakes for all that there are.
func (t *Tail) round(ctx context.Context) {
	t.mu.Lock()
	position, idle := t.position, t.count == 0
	t.mu.Unlock()
	if idle {
		select {
		case <-t.joined:
		case <-ctx.Done():
		}
		return
	}
	err := t.Journal.Wait(ctx, position)
	pause := tailGap
	for err == nil {
		var records []*weir.Record
		if records, err = t.Journal.Read(ctx, position, tailPage); len(records) == 0 || !t.wake(position, records) {
			break
		}
		position = records[len(records)-1].Seq
	}
	if err != nil && ctx.Err() == nil {
		t.Log.Warn("reading the end of the journal failed", "err", err)
		pause = tailPause
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// wake tells the followers which of the records behind position they may want.
// It reports false where position was given up: all followers had left.
func (t *Tail) wake(position weir.Seq, records []*weir.Record) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.position != position {
		return false
	}
	seen := digestOf(records)
	for project, feeds := range t.feeds {
		for want, feed := range feeds {
			if !seen.may(&want, feed.globs) {
				continue
			}
			for _, rec := range records {
				if rec.Project == project && want.may(feed.globs, rec) {
					feed.wakeLocked(rec.Seq)
					break
				}
			}
		}
	}
	t.position = records[len(records)-1].Seq
	return true
}

func (f *feed) wakeLocked(seq weir.Seq) {
	for one := range f.followers {
		if one.first != 0 {
			continue
		}
		one.first = seq
		select {
		case one.wake <- struct{}{}:
		default:
		}
	}
}

// join adds a follower at a place; at the end, it says where that is.
func (t *Tail) join(project weir.ProjectID, want interest, globs *expr.Globs, at *place) (*follower, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	head := t.Journal.Head()
	switch {
	case t.count >= t.Most:
		return nil, weir.E("", weir.Limited, "%d streams are open, and no more are served at once", t.count)
	case at.after > head:
		return nil, weir.E("", weir.Invalid, "the journal ends at place %d, before place %d", head, at.after).WithField("after")
	case t.count == 0:
		t.position = head
		select {
		case t.joined <- struct{}{}:
		default:
		}
	}
	if at.now {
		*at = place{after: head}
	}
	one := &follower{wake: make(chan struct{}, 1)}
	if at.after < t.position {
		one.first = at.after + 1
	}
	feeds := t.feeds[project]
	if feeds == nil {
		feeds = map[interest]*feed{}
		t.feeds[project] = feeds
	}
	if feeds[want] == nil {
		feeds[want] = &feed{globs: globs, followers: map[*follower]struct{}{}}
	}
	feeds[want].followers[one] = struct{}{}
	t.count++
	return one, nil
}

func (t *Tail) leave(project weir.ProjectID, want interest, one *follower) {
	t.mu.Lock()
	defer t.mu.Unlock()
	feeds := t.feeds[project]
	if delete(feeds[want].followers, one); len(feeds[want].followers) == 0 {
		delete(feeds, want)
	}
	if len(feeds) == 0 {
		delete(t.feeds, project)
	}
	t.count--
}

// next returns behind which record a follower that has read up to after goes on,
// and up to where there may be something for it. Where both are the same it has
// read all.
func (t *Tail) next(one *follower, after weir.Seq) (from, upTo weir.Seq) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := one.first
	one.first = 0
	if first == 0 {
		from = max(after, t.position)
		return from, from
	}
	return max(after, first-1), max(after, t.position)
}

// behind reports whether a follower that has read up to after is too far from
// the end.
func (t *Tail) behind(after weir.Seq) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.position > after && t.position-after > t.Behind
}
