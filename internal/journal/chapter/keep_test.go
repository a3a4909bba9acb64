package chapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/journal"
)

// trimAll trims until there is no more.
func trimAll(ctx context.Context, j *Journal, k journal.Keep) error {
	for {
		if done, err := j.Trim(ctx, k); err != nil || !done.More {
			return err
		}
	}
}

func eraseAll(ctx context.Context, j *Journal, e journal.Erasure) error {
	for {
		if done, err := j.Erase(ctx, e); err != nil || !done.More {
			return err
		}
	}
}

// old says that all up to a seq may go but what stays.
func old(upTo weir.Seq, stays func(*weir.Record) bool) journal.Keep {
	return journal.Keep{Before: weir.TimeOf(time.Now().Add(72 * time.Hour)), UpTo: upTo, Stays: stays}
}

// life is what is done with a journal on a disk that may lose its power: chapters
// are sealed, merged, trimmed, erased from.
type life struct {
	acknowledged []*weir.Record
	inFlight     []*weir.Record
	may          func(*weir.Record) bool // go, from what was begun on
}

var (
	subjectGone = journal.Erasure{Project: 1, Subject: "gone", UpTo: 20}
	third       = func(r *weir.Record) bool { return r.Seq%3 == 0 }
	seventh     = func(r *weir.Record) bool { return r.Seq%7 == 0 }
)

func (l *life) live(ctx context.Context, j *Journal) error {
	for n := range 8 {
		b := events(fmt.Sprint("e", n, "."), 3, 500)
		if n%2 == 0 {
			b.Records[1].Event.Subject = subjectGone.Subject
		}
		l.inFlight = b.Records
		if _, err := j.Append(ctx, b); err != nil {
			return err
		}
		l.acknowledged = append(l.acknowledged, b.Records...)
		l.inFlight = nil
	}
	goes := []func(*weir.Record) bool{subjectGone.Means}
	l.may = func(r *weir.Record) bool {
		return slices.ContainsFunc(goes, func(goes func(*weir.Record) bool) bool { return goes(r) })
	}
	if err := eraseAll(ctx, j, subjectGone); err != nil {
		return err
	}
	for _, stays := range []func(*weir.Record) bool{third, seventh, nil} {
		k := old(15, stays)
		goes = append(goes, k.Goes)
		if err := trimAll(ctx, j, k); err != nil {
			return err
		}
	}
	return nil
}

// check opens what a crash left and compares it with what was done.
func (l *life) check(t *testing.T, what string, d *faultDisk) {
	t.Helper()
	j, err := Open(t.Context(), Options{FS: d, MaxRecords: 6, Tail: 2})
	if err != nil {
		t.Fatal(what, err)
	}
	defer func() { _ = j.Close() }()
	there := map[weir.Seq]*weir.Record{}
	for _, r := range readAll(t, j) {
		if there[r.Seq] != nil {
			t.Fatalf("%s: record %d is shown twice", what, r.Seq)
		}
		there[r.Seq] = r
	}
	for _, r := range l.acknowledged {
		got := there[r.Seq]
		delete(there, r.Seq)
		switch {
		case got == nil && (l.may == nil || !l.may(r)):
			t.Fatalf("%s: record %d is lost", what, r.Seq)
		case got == nil:
			continue
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatalf("%s: %s", what, diff)
		}
		if item, ok := j.Place(t.Context(), r.Identity()); !ok || item.Seq != r.Seq || item.At != r.At {
			t.Fatalf("%s: record %d is at %+v", what, r.Seq, item)
		}
	}
	if n := len(there); n > 0 && n != len(l.inFlight) {
		t.Fatalf("%s: %d records more", what, n)
	}
	if err := j.Check(t.Context(), func(f journal.Fault) error { return fmt.Errorf("%+v", f) }); err != nil {
		t.Fatal(what, err)
	}
}

// TestNothingKeptIsLostAtAnyPointOfSealingAndRewriting takes the power away
// before each thing that the disk is asked to do.
func TestNothingKeptIsLostAtAnyPointOfSealingAndRewriting(t *testing.T) {
	t.Parallel()
	for point, alive := 0, false; !alive; point++ {
		d := newFaultDisk()
		left, before := point, ""
		d.onChange(func(op, name string) error {
			if op+name == before {
				return nil // one more page of the same
			}
			before = op + name
			if left--; left < 0 {
				before = ""
				return errCrashed
			}
			return nil
		})
		l := &life{}
		j, err := Open(t.Context(), Options{FS: d, MaxRecords: 6, Tail: 2})
		if err == nil {
			err = l.live(t.Context(), j)
			_ = j.Close()
		}
		if alive = left >= 0; alive {
			t.Logf("%d points", point)
		}
		if err != nil && !errors.Is(err, errCrashed) && weir.CodeOf(err) != weir.Unavailable {
			t.Fatal(err)
		}
		seed := uint64(point)
		for i, keep := range []func(string, int) bool{
			neverKept,
			func(string, int) bool { return true },
			func(name string, p int) bool {
				seed = seed*6364136223846793005 + uint64(len(name)+p)
				return seed>>60&1 == 1
			},
		} {
			l.check(t, fmt.Sprintf("point %d, way %d: ", point, i), d.crash(keep))
		}
	}
}

// TestAnErasureIsNotDoneBeforeEveryChapterIs fails the rewriting of the first
// chapter that an erasure means, once.
func TestAnErasureIsNotDoneBeforeEveryChapterIs(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{MaxRecords: 6, Tail: 2})
	for n := range 6 {
		b := events(fmt.Sprint("e", n, "."), 6, 50)
		b.Records[1].Event.Subject = subjectGone.Subject
		put(t, j, b)
	}
	awaitSealed(t, j, 1)
	e := journal.Erasure{Project: 1, Subject: subjectGone.Subject, UpTo: j.Head()}
	failing := true
	d.onChange(func(op, name string) error {
		if failing && op == "write" && strings.HasPrefix(name, "00000001-") {
			failing = false
			return syscall.EIO
		}
		return nil
	})

	failures := 0
	for range 100 {
		done, err := j.Erase(t.Context(), e)
		if err != nil {
			failures++
		} else if !done.More {
			break
		}
	}

	if failures == 0 {
		t.Error("nothing failed")
	}
	for _, r := range readAll(t, j) {
		if e.Means(r) {
			t.Errorf("record %d is still there", r.Seq)
		}
	}
}
