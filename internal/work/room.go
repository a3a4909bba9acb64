package work

import (
	"context"
	"sync"
)

// room bounds what all tries together hold of large batches. Who finds none waits
// for others to give theirs back.
type room struct {
	mu   sync.Mutex // guards all below
	left int64
	more chan struct{} // closed and replaced when left grows
}

func newRoom(size int64) *room { return &room{left: size, more: make(chan struct{})} }

// take takes n bytes, or fails with the cause for which ctx ended.
func (r *room) take(ctx context.Context, n int64) error {
	for {
		r.mu.Lock()
		if n <= r.left {
			r.left -= n
			r.mu.Unlock()
			return nil
		}
		more := r.more
		r.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *room) give(n int64) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
	close(r.more)
	r.more = make(chan struct{})
}
