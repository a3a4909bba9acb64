package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"weir"
)

// Dispatcher is that of a shard, while this process has it.
type Dispatcher interface {
	Enter(ctx context.Context, run weir.RunID, origin string) (wait time.Duration, ok bool)
	Finish(ended []weir.Finish)
	Settle(ctx context.Context, seq weir.Seq) error
	Running(ctx context.Context, run weir.RunID) bool
	Why(ctx context.Context, run weir.RunID) string
}

// Dispatch is the dispatcher for all others in this process, whether it is here
// or on another node.
type Dispatch struct {
	afar  *Afar
	taker *Taker // nil without the duty work
	share atomic.Int64
	wake  chan struct{}

	mu     sync.Mutex // guards all below
	here   Dispatcher // nil: on another node, or nowhere
	ended  chan struct{}
	wanted weir.Seq // by others
}

// wantTime is how long a flush that others want is waited for.
const wantTime = 2 * time.Second

// NewDispatch makes a Dispatch of a node that does not dispatch yet.
func NewDispatch(afar *Afar, taker *Taker) *Dispatch {
	return &Dispatch{afar: afar, taker: taker, wake: make(chan struct{}, 1)}
}

// Begin says that d dispatches from now on, in this process. End must follow as
// soon as it does not.
func (s *Dispatch) Begin(d Dispatcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.here, s.ended = d, make(chan struct{})
}

// End says that it does so no more.
func (s *Dispatch) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ended)
	s.here = nil
}

func (s *Dispatch) current() (Dispatcher, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.here, s.ended
}

// Enter asks whether a run that is tried here may send a request to an origin,
// and how long it must wait before it does.
func (s *Dispatch) Enter(ctx context.Context, run weir.RunID, origin string) (wait time.Duration, ok bool) {
	if s.taker != nil && s.taker.has(run) {
		return 0, s.taker.enter(run, origin)
	}
	if d, _ := s.current(); d != nil {
		return d.Enter(ctx, run, origin)
	}
	return 0, false
}

// Finish takes the ends of tries, once their outcomes are durable.
func (s *Dispatch) Finish(ended []weir.Finish) {
	mine := ended[:0:0]
	for _, f := range ended {
		if !f.Unbegun {
			s.share.Add(1)
		}
		if s.taker == nil || !s.taker.finish(f) {
			mine = append(mine, f)
		}
	}
	if d, _ := s.current(); d != nil && len(mine) > 0 {
		d.Finish(mine)
	}
}

// Settle returns once seq is folded and flushed, wherever that is done.
func (s *Dispatch) Settle(ctx context.Context, seq weir.Seq) error {
	for {
		d, ended := s.current()
		if d == nil {
			return s.afar.Settle(ctx, seq)
		}
		err := d.Settle(ctx, seq)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select { // it stopped: somebody else will flush seq
		case <-ended:
		case <-ctx.Done():
		}
	}
}

// Wanted says that somebody on another node waits until seq is flushed.
func (s *Dispatch) Wanted(seq weir.Seq) {
	s.mu.Lock()
	s.wanted = max(s.wanted, seq)
	s.mu.Unlock()
	hint(s.wake)
}

// Run has flushed what others want, until ctx ends.
func (s *Dispatch) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
		s.mu.Lock()
		d, seq := s.here, s.wanted
		s.mu.Unlock()
		if d != nil {
			asking, cancel := context.WithTimeout(ctx, wantTime)
			_ = d.Settle(asking, seq) // who wants it waits by the cursor
			cancel()
		}
	}
}

// Running reports whether a run is being tried at this moment.
func (s *Dispatch) Running(ctx context.Context, run weir.RunID) bool {
	if d, _ := s.current(); d != nil {
		return d.Running(ctx, run)
	}
	return s.afar.Running(ctx, run)
}

// Why says what a run waits for; nothing where this process does not dispatch.
func (s *Dispatch) Why(ctx context.Context, run weir.RunID) string {
	if d, _ := s.current(); d != nil {
		return d.Why(ctx, run)
	}
	return ""
}

// Share returns how many tries ended here since the start.
func (s *Dispatch) Share() int64 { return s.share.Load() }
