package dispatch_test

import (
	"testing"
	"time"
)

func TestTheLeaseOfALongTryIsWrittenOnceThoughNothingElseMoves(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]
		r.settle()
		if n := len(r.checkpoint().Leases); n != 0 {
			t.Fatalf("%d leases are written of a try that just began", n)
		}
		before := r.state.flushes()

		r.wait(time.Minute)

		if rows := r.checkpoint().Leases; len(rows) != 1 || rows[0].Run != l.Run.ID || rows[0].Try != 1 {
			t.Errorf("leases %+v, want that of %s", rows, l.Run.ID)
		}
		if n := r.state.flushes() - before; n != 1 {
			t.Errorf("%d flushes wrote it, want 1", n)
		}
	})
}

func TestAStateAndAJournalThatDoNotMeetAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cursor, first, head weir.Seq
		belong              bool
	}{
		{0, 1, 0, true}, {0, 1, 9, true}, {9, 1, 9, true}, {4, 5, 9, true}, {10, 1, 9, false}, {3, 5, 9, false}, {0, 2, 9, false},
	} {
		err := belong(c.cursor, c.first, c.head)

		if (err == nil) != c.belong || err != nil && weir.CodeOf(err) != weir.Conflict {
			t.Errorf("cursor %d, journal from %d to %d: %v", c.cursor, c.first, c.head, err)
		}
	}
}
