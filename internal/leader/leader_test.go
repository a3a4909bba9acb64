package leader_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/leader"
)

const (
	lease  = 15 * time.Second
	margin = 2 * time.Second
)

// store is holds in memory, with the times of a bubble as the database's clock,
// which can be set on as if all had stopped for a while.
type store struct {
	mu      sync.Mutex // guards all below
	began   time.Time
	skipped time.Duration
	token   int64
	until   time.Duration
	away    bool // fails
	hangs   bool // answers nothing
	renewed int
	freed   chan struct{}
}

func newStore() *store { return &store{began: time.Now(), freed: make(chan struct{}, 1)} }

func (s *store) clock() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nowLocked()
}

func (s *store) nowLocked() time.Duration { return time.Hour + time.Since(s.began) + s.skipped }

func (s *store) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *store) reach(ctx context.Context) error {
	var away, hangs bool
	s.do(func() { away, hangs = s.away, s.hangs })
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if away {
		return errors.New("the database is away")
	}
	return nil
}

func (s *store) Acquire(ctx context.Context, _, _ string, lease, margin time.Duration) (int64, error) {
	if err := s.reach(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until != 0 && s.until+margin > s.nowLocked() {
		return 0, nil
	}
	s.token++
	s.until = s.nowLocked() + lease
	return s.token, nil
}

func (s *store) Renew(ctx context.Context, _ string, token int64, lease time.Duration) (bool, error) {
	if err := s.reach(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewed++
	if s.token != token || s.until <= s.nowLocked() {
		return false, nil
	}
	s.until = s.nowLocked() + lease
	return true, nil
}

func (s *store) Release(ctx context.Context, _ string, token int64) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.until = 0
	}
	select {
	case s.freed <- struct{}{}:
	default:
	}
	return nil
}

// candidate is a loop of one node whose work is to note when it begins and ends.
type candidate struct {
	node   string
	stop   context.CancelFunc
	ended  chan struct{}
	began  chan *leader.Tenure
	over   chan error // why the context of its work ended
	result chan error // for work to return at once
}

func compete(t *testing.T, s *store, node string) *candidate {
	t.Helper()
	return competeLogging(t, s, node, t.Output())
}

func competeLogging(t *testing.T, s *store, node string, log io.Writer) *candidate {
	t.Helper()
	c := &candidate{
		node: node, ended: make(chan struct{}), began: make(chan *leader.Tenure, 100), over: make(chan error, 100), result: make(chan error, 1),
	}
	loop := leader.New(leader.Options{
		Store: s, Name: "shard 0", Node: node, Freed: s.freed, Clock: s.clock, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	c.stop = cancel
	go func() {
		defer close(c.ended)
		_ = loop.Run(ctx, c.work)
	}()
	t.Cleanup(func() { // within the bubble
		cancel()
		<-c.ended
	})
	synctest.Wait()
	return c
}

func (c *candidate) work(ctx context.Context, t *leader.Tenure) error {
	c.began <- t
	select {
	case err := <-c.result:
		return err
	case <-ctx.Done():
		c.over <- context.Cause(ctx)
		return nil
	}
}

func (c *candidate) wants(t *testing.T, begins bool) *leader.Tenure {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-c.began:
		if !begins {
			t.Fatalf("%s got the hold, which another may have", c.node)
		}
		return got
	default:
		if begins {
			t.Fatalf("%s did not get the hold", c.node)
		}
		return nil
	}
}

func TestOneHoldsAndGoesOnRenewing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		a := compete(t, s, "a")
		held := a.wants(t, true)
		b := compete(t, s, "b")

		time.Sleep(time.Hour)

		b.wants(t, false)
		if !held.Held() {
			t.Error("a does not hold it any more")
		}
		var got int
		s.do(func() { got = s.renewed })
		if want := int(time.Hour / (lease / 3)); got < want*9/10 || got > want {
			t.Errorf("%d renewals in an hour, want about %d", got, want)
		}
	})
}

func TestAReleasedHoldIsTakenAtOnceUnderAGreaterToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		a := compete(t, s, "a")
		first := a.wants(t, true)
		b := compete(t, s, "b")

		a.stop()

		if second := b.wants(t, true); second.Token <= first.Token {
			t.Errorf("token %d after %d", second.Token, first.Token)
		}
		if err := <-a.over; !errors.Is(err, context.Canceled) {
			t.Errorf("the work ended for %v, want that it was told to", err)
		}
	})
}

func TestWorkThatFailsLetsAnotherTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		a := compete(t, s, "a")
		a.wants(t, true)
		b := compete(t, s, "b")

		a.result <- errors.New("a record of a newer format")

		b.wants(t, true)
		time.Sleep(time.Hour)
		a.wants(t, false)
	})
}

func TestAHolderThatCannotRenewStopsBeforeAnotherBegins(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*store){
		"fails": func(s *store) { s.away = true },
		"hangs": func(s *store) { s.hangs = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				a := compete(t, s, "a")
				held := a.wants(t, true)
				compete(t, s, "b")
				time.Sleep(time.Minute)
				var last time.Duration // when it was renewed
				s.do(func() { last = s.until - lease })

				s.do(func() { fault(s) })
				cause := <-a.over

				if !errors.Is(cause, leader.ErrOver) || held.Held() {
					t.Errorf("ended for %v, held %v; want that it is over", cause, held.Held())
				}
				if took := s.clock() - last; took > lease-margin+lease/30 {
					t.Errorf("it worked for %v after the last renewal", took)
				}
			})
		})
	}
}

func TestANewHolderWaitsTheMarginWhereTheLastOneDidNotRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		token, err := s.Acquire(t.Context(), "", "a", lease, margin) // and dies
		if err != nil || token == 0 {
			t.Fatal(token, err)
		}
		b := compete(t, s, "b")

		time.Sleep(lease + margin - time.Millisecond)
		b.wants(t, false)
		time.Sleep(2 * time.Second)
		b.wants(t, true)
	})
}

func TestAShortOutageIsLivedThroughAndLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, logged := newStore(), &bytes.Buffer{}
		a := competeLogging(t, s, "a", logged)
		held := a.wants(t, true)

		s.do(func() { s.away = true })
		time.Sleep(7 * time.Second)
		s.do(func() { s.away = false })
		time.Sleep(time.Minute)
		synctest.Wait()

		if !held.Held() {
			t.Error("a lost the hold, which nobody else could have")
		}
		if n := strings.Count(logged.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, logged)
		}
	})
}

// A process that was stopped runs on before its timers do: it must not take
// itself for the holder in between.
func TestAHolderThatWasStoppedKnowsAtOnceThatItIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		a := compete(t, s, "a")
		held := a.wants(t, true)

		s.do(func() { s.skipped += lease })

		if held.Held() {
			t.Error("it still takes itself for the holder")
		}
		if err := <-a.over; !errors.Is(err, leader.ErrOver) {
			t.Errorf("the work ended for %v", err)
		}
		time.Sleep(lease)
		a.wants(t, true) // again
	})
}

func TestTheHoldIsRenewedWhileTheWorkComesToAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		loop := leader.New(leader.Options{
			Store: s, Name: "shard 0", Node: "a", Clock: s.clock, Logger: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = loop.Run(ctx, func(ctx context.Context, held *leader.Tenure) error {
				<-ctx.Done()
				time.Sleep(time.Minute)
				if !held.Held() {
					t.Error("the hold was over before the work was")
				}
				return nil
			})
		}()
		synctest.Wait()

		cancel()
		<-ended

		if s.until != 0 {
			t.Error("the hold is not released")
		}
	})
}

// Several compete while the database comes and goes, hangs, and everything stops
// for a while; no two may ever take themselves for the holder.
func TestNoTwoHoldAtOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				s := newStore()
				all := []*candidate{compete(t, s, "a"), compete(t, s, "b"), compete(t, s, "c")}
				var tenures []*leader.Tenure
				for range 3000 {
					switch random.IntN(40) {
					case 0:
						s.do(func() { s.away = !s.away })
					case 1:
						s.do(func() { s.hangs = !s.hangs })
					case 2:
						s.do(func() { s.skipped += time.Duration(random.IntN(30)) * time.Second })
					}
					time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
					held := 0
					for _, c := range all {
						for len(c.began) > 0 {
							tenures = append(tenures, <-c.began)
						}
						for len(c.over) > 0 {
							if err := <-c.over; !errors.Is(err, leader.ErrOver) {
								t.Fatalf("the work of %s ended for %v", c.node, err)
							}
						}
					}
					for _, tenure := range tenures {
						if tenure.Held() {
							held++
						}
					}
					if held > 1 {
						t.Fatalf("%d of %d tenures are held at once", held, len(tenures))
					}
				}
				if len(tenures) < 10 {
					t.Errorf("only %d tenures: the test shows little", len(tenures))
				}
				s.do(func() { s.away, s.hangs = false, false })
			})
		})
	}
}
