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
