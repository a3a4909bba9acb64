package dispatch_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir"
	"weir/internal/fold"
	"weir/internal/journal/chapter"
)

// changesOf returns the changes of a run that the journal has, by kind.
func (r *rig) changesOf(run weir.RunID) (kinds []weir.ChangeKind) {
	r.t.Helper()
	for _, rec := range r.records(0) {
		if rec.Change != nil && rec.Change.Run == run {
			kinds = append(kinds, rec.Change.Kind)
		}
	}
	return kinds
}

func TestATryWhoseLeaseWasFlushedIsLostOnceAndCounts(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]
		r.wait(time.Second) // the lease is no longer young
		r.event("b")
		r.settle()
		if n := len(r.checkpoint().Leases); n != 1 {
			t.Fatalf("%d leases in state, want 1", n)
		}

		r.restart(10)
		r.settle()
		r.restart(0)
		r.wait(time.Second)

		if got := r.changesOf(l.Run.ID); len(got) != 1 || got[0] != weir.Lost {
			t.Errorf("changes %v, want one lost", got)
		}
		r.restart(10)
		r.wait(time.Minute)
		if l := r.wantTaken(1)[0]; l.Try != 2 {
			t.Errorf("try %d, want 2", l.Try)
		}
	})
}

// TestAServerThatWasAwayForLongerThanTheWindowStarts: the journal takes no
// outcome of a try that began before the window.
func TestAServerThatWasAwayForLongerThanTheWindowStarts(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]
		r.wait(time.Second) // the lease is no longer young
		r.event("b")
		r.settle()
		r.crash()
		r.wait(8 * 24 * time.Hour)

		r.start(0)
		r.wait(time.Second)

		if got := r.changesOf(l.Run.ID); len(got) != 1 || got[0] != weir.Lost {
			t.Errorf("changes %v, want one lost", got)
		}
	})
}

func TestAFullDiskDelaysTheStartAndDoesNotEndIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.event("a")
		l := r.wantTaken(1)[0]
		r.wait(time.Second) // the lease is no longer young
		r.event("b")
		r.settle()

		r.refuse.failAppends(5, weir.E("append", weir.DiskFull, "no room"))
		r.restart(0)
		r.wait(time.Minute)

		if got := r.changesOf(l.Run.ID); r.refuse.left() != 0 || len(got) != 1 || got[0] != weir.Lost {
			t.Errorf("%d refusals left, changes %v, want one lost", r.refuse.left(), got)
		}
	})
}

func TestATryWhoseLeaseWasNotFlushedIsMadeAgainUncounted(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, p)
		r.settle()
		r.event("a")
		first := r.wantTaken(1)[0]

		r.restart(10)
		r.wait(time.Second)

		l := r.wantTaken(1)[0]
		if l.Run.ID != first.Run.ID || l.Try != 1 {
			t.Errorf("%s, try %d; want the same run, try 1", l.Run.ID, l.Try)
		}
	})
}

func TestALostTryThatEndsItsRunCarriesTheEventOfADeadRun(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, once)
		r.event("a")
		r.wait(time.Second)
		l := r.wantTaken(1)[0]
		before := r.journal.Head()

		r.restart(10)
		r.wait(time.Hour)

		records := r.records(before)
		if len(records) != 2 || records[0].Change == nil || records[1].Event == nil {
			t.Fatalf("%d records after the crash, want a change and its event", len(records))
		}
		c := records[0].Change
		if c.Run != l.Run.ID || c.Kind != weir.Died || c.Firing == nil || c.Attempt == nil || c.Attempt.Try != 1 {
			t.Errorf("change %+v, want the death of the run's first try with its firing", c)
		}
		if e := records[1].Event; e.Type != "weir.run.dead" || e.Cause != l.Run.ID {
			t.Errorf("event %s caused by %s, want weir.run.dead by the run", e.Type, e.Cause)
		}
		r.wantTaken(0)
	})
}

func TestAnOutcomeOnRecordIsNotLost(t *testing.T) {
	t.Parallel()
	for _, kind := range []weir.ChangeKind{weir.Succeeded, weir.Retrying, weir.Died} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *rig) {
				r.start(10)
				r.apply(each, once)
				r.event("a")
				r.wait(time.Second)
				l := r.wantTaken(1)[0]
				r.state.fail(weir.E("", weir.Unavailable, "no flush any more"))
				r.change(l, kind, 2*time.Hour)

				r.restart(10)
				r.wait(time.Hour)

				if got := r.changesOf(l.Run.ID); len(got) != 1 || got[0] != kind {
					t.Errorf("changes %v, want only %s", got, kind)
				}
			})
		})
	}
}

func TestRunsThatWereDueAtTheStartBeginOnlyWithTheirLeaseFlushed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		r.apply(each, p)
		r.settle()
		r.event("a")
		r.event("a")
		r.crash()
		release := r.state.hold()

		r.start(1)
		r.wait(time.Second)
		r.wantTaken(0)
		release()
		r.wait(0)

		for i := 1; i <= 2; i++ {
			l := r.wantTaken(i)[i-1]
			if got := r.checkpoint().Leases; len(got) != 1 || got[0].Run != l.Run.ID {
				t.Errorf("leases in state %v, want that of run %d", got, i)
			}
			r.change(l, weir.Retrying, 0)
			r.finish(l)
		}

		// Each was tried once: what follows waits for nothing.
		r.settle()
		release = r.state.hold()
		defer release()
		l := r.wantTaken(3)[2]
		r.change(l, weir.Retrying, 0)
		r.finish(l)
		r.wantTaken(4)
	})
}

func TestARunThatIsMadeAfterTheStartDoesNotWaitForThoseBeforeIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		r.apply(each, p)
		r.event("a")
		r.crash()
		release := r.state.hold()
		defer release()
		r.start(10)
		r.wantTaken(0)

		item := r.event("a")

		if l := r.wantTaken(1)[0]; l.Run.Firing.Members[0].Seq != item.Seq {
			t.Errorf("the workers got the run of %d, want that of %d", l.Run.Firing.Members[0].Seq, item.Seq)
		}
	})
}

// The process dies as soon as the run is tried, again and again, and each time
// all that was to flush was flushed.
func TestARunThatKillsTheProcessDiesInTheEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		deadly := weir.Pipeline{Name: "p", Steps: p.Steps, Retry: weir.Retry{Attempts: 3, Backoff: weir.Duration(time.Second)}}
		r.start(10)
		r.apply(each, deadly)
		r.event("a")
		l := r.wantTaken(1)[0]
		r.change(l, weir.Retrying, time.Second)
		r.finish(l)
		r.settle()

		for range 6 {
			r.wait(5 * time.Second) // it is tried in this time, if it may be
			r.restart(10)
		}
		r.wait(time.Minute)

		kinds := r.changesOf(l.Run.ID)
		if len(kinds) == 0 || kinds[len(kinds)-1] != weir.Died {
			t.Errorf("changes %v, want that it died in the end", kinds)
		}
	})
}

func TestALeaseThatNobodyBeganIsNoTry(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(10)
		r.apply(each, once)
		r.settle()
		release := r.state.hold()
		r.event("a")
		r.wait(time.Second)
		r.wantTaken(0)
		time.AfterFunc(time.Second, release)
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		r.wantTaken(0)

		r.start(10)
		r.wait(time.Second)

		if l := r.wantTaken(1)[0]; l.Try != 1 || len(r.changesOf(l.Run.ID)) != 0 {
			t.Errorf("try %d after changes %v, want the first after none", l.Try, r.changesOf(l.Run.ID))
		}
	})
}

func TestAStateAheadOfTheJournalIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.start(0)
		r.apply(each, p)
		r.settle()
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		cp := r.checkpoint()
		ahead := &fold.Layer{From: cp.Cursor, To: cp.Cursor + 10, At: cp.At}
		if err := r.stored.Flush(t.Context(), ahead); err != nil {
			t.Fatal(err)
		}

		r.start(0)
		err := <-r.ended
		r.ended = nil

		if weir.CodeOf(err) != weir.Conflict {
			t.Errorf("error %v, want a conflict", err)
		}
	})
}

func TestAJournalWhoseEndIsDamagedIsCaughtUpWith(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		dir := t.TempDir()
		reopen := func() {
			if err := r.journal.Close(); err != nil {
				t.Fatal(err)
			}
			journal, err := chapter.Open(t.Context(), chapter.Options{Dir: dir, MaxRecords: 2})
			if err != nil {
				t.Fatal(err)
			}
			r.journal, r.refuse.Journal = journal, journal
		}
		reopen()
		first, last := r.event("a").Seq, r.event("b").Seq
		r.events--
		r.event("b") // it is there: a chapter begins, and is empty
		damageLastRecord(t, filepath.Join(dir, "00000001.chapter"))
		reopen()

		r.start(10)
		r.apply(each, p)
		r.event("a")
		r.wait(0)

		l := r.wantTaken(1)[0]
		if m := l.Run.Firing.Members; len(m) != 1 || m[0].Seq <= last {
			t.Errorf("members %v, want the last event alone", m)
		}
		if got := r.records(0); got[0].Seq != first || got[1].Seq <= last {
			t.Errorf("the journal goes on with %d, %d: want record %d gone", got[0].Seq, got[1].Seq, last)
		}
	})
}

// damageLastRecord changes the last byte of a file's last record.
func damageLastRecord(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(bytes.TrimRight(b, "\x00"))-1] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
