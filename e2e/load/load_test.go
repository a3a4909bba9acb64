package load_test

import (
	"testing"
	"time"

	"weir/e2e/load"
)

func start(t *testing.T) *load.Server {
	t.Helper()
	s, err := load.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// What is made and ends between two flushes costs no row. A burst that takes
// longer than the time between two of them, on a busy machine, has one in the
// middle, so the best of some counts.
func TestBurstOnTheFastPathHardlyWritesState(t *testing.T) {
	const events, rows, bursts = 20_000, 200, 5
	least := events
	for range bursts {
		s := start(t)
		b, err := load.RunBurst(t.Context(), s, events)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d events in %v wrote %d rows", b.Events, b.Took, b.Rows)
		if least = min(least, b.Rows); least < rows {
			return
		}
	}
	t.Errorf("%d events wrote %d rows of state at least, want fewer than %d", events, least, rows)
}

func TestReaderThatNamesItsPlaceNeverMissesWhatItWrote(t *testing.T) {
	s := start(t)

	r, err := load.ReadOwn(t.Context(), s, 1000, 2000)
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("%d reads beside %d other events: %d behind", r.Reads, r.Load, r.Behind)
	if r.Blind > 0 {
		t.Errorf("%d of %d reads were answered without what their reader had written", r.Blind, r.Reads)
	}
	if r.Behind*100 >= r.Reads {
		t.Errorf("%d of %d reads were answered 503, want fewer than 1 %%", r.Behind, r.Reads)
	}
}

// A slow machine makes both figures large and their ratio a matter of luck, so
// the best of some rounds counts, and what is quick anyway is quick enough.
func TestHangingDestinationDoesNotSlowOthersDown(t *testing.T) {
	const events, rate, hanging, rounds = 1000, 200, 10_000, 6
	const quick = 10 * time.Millisecond
	for round := 1; ; round++ {
		alone, beside := deliverBeside(t, hanging, events, rate)
		t.Logf("p99 alone %v, beside %d runs that hang %v", alone.P99, hanging, beside.P99)
		if alone.Lost+beside.Lost > 0 {
			t.Fatalf("%d of %d events were not delivered", alone.Lost+beside.Lost, 2*events)
		}
		if beside.P99 < 2*alone.P99 || beside.P99 < quick {
			return
		}
		if round == rounds {
			t.Fatalf("p99 grew from %v to %v, want less than twice", alone.P99, beside.P99)
		}
	}
}

func deliverBeside(t *testing.T, hanging, events, rate int) (alone, beside load.Delivery) {
	t.Helper()
	s := start(t)
	d, err := load.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err = d.Deliver(t.Context(), s, events, rate); err == nil { // warms up
		alone, err = d.Deliver(t.Context(), s, events, rate)
	}
	if err == nil {
		err = d.Hang(t.Context(), s, hanging)
	}
	if err == nil {
		beside, err = d.Deliver(t.Context(), s, events, rate)
	}
	if err != nil {
		t.Fatal(err)
	}
	return alone, beside
}
