package postgres

import (
	"errors"
	"testing"

	"weir"
	"weir/internal/fold"
	"weir/internal/pg/pgtest"
	"weir/internal/state"
)

func wantCode(t *testing.T, err error, code weir.Code) {
	t.Helper()
	if got := weir.CodeOf(err); got != code {
		t.Errorf("error is %q (%v), want %q", got, err, code)
	}
}

// wantFlushed checks up to where live state is flushed, and that each flush
// counted once.
func wantFlushed(t *testing.T, s *State, cursor weir.Seq) {
	t.Helper()
	at, _, err := s.Cursor(t.Context())
	if err != nil || at != cursor {
		t.Errorf("the cursor is %d, want %d: %v", at, cursor, err)
	}
	counters, err := s.Counters(t.Context(), weir.DefaultProject)
	if n := counters["t"]["matched"]; err != nil || n != int64(cursor) {
		t.Errorf("counted %d times up to %d: %v", n, cursor, err)
	}
}

// counting is a layer that would show if it were written twice.
func counting(from weir.Seq) *fold.Layer {
	return &fold.Layer{
		From: from, To: from + 1, Runs: benchRuns(from, 1),
		Counters: []fold.Counter{{Project: weir.DefaultProject, Trigger: "t", What: "matched", N: 1}},
	}
}

func TestAFlushWhoseAnswerWasLostIsFoundDone(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	p := newProxy(t, url)
	direct, s := openAt(t, url, Options{}), held(t, openAt(t, p.url, Options{}))
	if err := s.Flush(t.Context(), counting(0)); err != nil {
		t.Fatal(err)
	}

	p.cut.Store(true)
	wantCode(t, s.Flush(t.Context(), counting(1)), weir.Unavailable)
	if p.cuts.Load() != 1 {
		t.Fatal("no answer was lost")
	}
	wantFlushed(t, direct, 2)

	if err := s.Flush(t.Context(), counting(1)); err != nil {
		t.Errorf("repeated: %v", err)
	}
	wantFlushed(t, direct, 2)
	if err := s.Flush(t.Context(), counting(2)); err != nil {
		t.Errorf("the next one: %v", err)
	}
	wantFlushed(t, direct, 3)
	if err := s.Flush(t.Context(), counting(2)); !errors.Is(err, state.ErrCursorMoved) {
		t.Errorf("one that was answered, again: %v", err)
	}
}

// TestAFlushThatDoesNotMoveTheCursorIsFoundDoneToo has only leases in it: written
// late, it would bring back those that are gone.
func TestAFlushThatDoesNotMoveTheCursorIsFoundDoneToo(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	p := newProxy(t, url)
	direct, s := openAt(t, url, Options{}), held(t, openAt(t, p.url, Options{}))
	old := &fold.Layer{Leases: []fold.LeaseRow{{Run: weir.RunID{1}, Node: "b", Try: 1, Began: 1}}}
	if err := s.Flush(t.Context(), &fold.Layer{}); err != nil {
		t.Fatal(err)
	}
	p.cut.Store(true)
	wantCode(t, s.Flush(t.Context(), old), weir.Unavailable)

	late := direct.Tenure(s.token)
	late.flushed = s.flushed
	if err := s.Flush(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context(), &fold.Layer{}); err != nil {
		t.Fatal(err)
	}

	if err := late.Flush(t.Context(), old); !errors.Is(err, state.ErrCursorMoved) {
		t.Errorf("a request that arrives late: %v", err)
	}
	if leases, err := direct.Leases(t.Context()); err != nil || len(leases) > 0 {
		t.Errorf("leases %v, %v", leases, err)
	}
}

func TestOnlyTheHoldersTokenFlushes(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	first := held(t, s)
	if err := first.Flush(t.Context(), counting(0)); err != nil {
		t.Fatal(err)
	}
	second := held(t, s)
	if second.token <= first.token {
		t.Fatalf("token %d follows %d", second.token, first.token)
	}

	if err := first.Flush(t.Context(), counting(1)); !errors.Is(err, state.ErrCursorMoved) {
		t.Errorf("under the old token: %v", err)
	}
	if err := s.Tenure(second.token+1).Flush(t.Context(), counting(1)); !errors.Is(err, state.ErrCursorMoved) {
		t.Errorf("under a token that nobody has: %v", err)
	}
	wantFlushed(t, s, 1)
	if err := second.Flush(t.Context(), counting(1)); err != nil {
		t.Error(err)
	}
	wantFlushed(t, s, 2)
}
