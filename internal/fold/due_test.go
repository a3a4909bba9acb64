package fold

import (
	"testing"

	"weir"
)

func TestGroupsThatEndEarlyLeaveTheQueue(t *testing.T) {
	t.Parallel()
	var q dueQueue
	open := &liveGroup{id: weir.GroupID{1}, due: 500}
	q.schedule(open)
	for i := range 100_000 {
		g := &liveGroup{id: weir.GroupID{2, byte(i), byte(i >> 8)}, due: 1_000_000}
		q.schedule(g)
		g.due = 10 // it fires at once
		q.schedule(g)
		if got := q.next(10); got != g {
			t.Fatalf("group %d is not due", i)
		}
		g.gone = true
		q.sweep(1)
	}

	if len(q) > 2+sweepAbove {
		t.Errorf("%d entries for one open group", len(q))
	}
	if due, ok := q.first(); !ok || due != 500 || q.next(500) != open {
		t.Error("the open group was swept out, too")
	}
}
