package chapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir"
	"weir/internal/journal"
)

// sampleOf makes a journal with some records on a disk, cleanly or not stopped,
// and returns where each frame of its chapter begins, the end last.
func sampleOf(t *testing.T, d *faultDisk) (records []*weir.Record, frames []int64) {
	t.Helper()
	j := start(t, d, Options{})
	frames = append(frames, j.Stats().Bytes)
	for i := range 4 {
		put(t, j, events(fmt.Sprint(i, "."), i+1, 40))
		frames = append(frames, j.Stats().Bytes)
	}
	return all(t, j), frames
}

// whole returns how many of records lie in frames before the one at off.
func recordsBefore(frames []int64, off int64) int {
	n := 0
	for i := 1; i < len(frames) && frames[i] <= off; i++ {
		n += i
	}
	return n
}

func neverKept(string, int) bool { return false }

func TestTornTailIsCutAtEveryByteOfTheLastFrame(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	want, frames := sampleOf(t, d)
	d = d.crash(neverKept)
	name := chapterName(1)
	last, end := frames[len(frames)-2], frames[len(frames)-1]
	content := d.bytes(name, end)
	for size := last; size < end; size++ {
		for _, rest := range [][]byte{nil, make([]byte, end-size), bytes.Repeat([]byte{0xff}, int(end-size))} {
			d.set(name, append(bytes.Clone(content[:size]), rest...))

			j := start(t, d, Options{})

			same(t, fmt.Sprint("cut at ", size), all(t, j), want[:recordsBefore(frames, size)])
			got := put(t, j, events("3.", 4, 40))
			if got[0].Items[0].Seq != weir.Seq(recordsBefore(frames, size)+1) || got[0].Items[0].Repeated {
				t.Fatalf("cut at %d: got %+v", size, got[0])
			}
			stop(t, j)
		}
	}
}

func TestDamageBelowSyncedRefusesTheActiveChapterByName(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	want, frames := sampleOf(t, d)
	d = d.crash(neverKept)
	name := chapterName(1)
	last, end := frames[len(frames)-2], frames[len(frames)-1]
	content := d.bytes(name, end)
	for at := int64(dataStart); at < end; at++ {
		b := bytes.Clone(content)
		b[at] ^= 0x40
		d.set(name, b)

		j, err := Open(t.Context(), Options{FS: d})

		if at >= last { // the torn end of what nobody knows to be durable
			if err != nil {
				t.Fatal(at, err)
			}
			same(t, fmt.Sprint("damaged at ", at), all(t, j), want[:recordsBefore(frames, last)])
			stop(t, j)
			continue
		}
		wantCode(t, err, weir.Unavailable)
		if !strings.Contains(err.Error(), name) {
			t.Fatalf("%v does not name the chapter", err)
		}
	}
}

func TestDamageAnywhereIsSeenAfterACleanStop(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{})
	put(t, j, events("a", 3, 40))
	end := j.Stats().Bytes
	stop(t, j)
	content := d.bytes(chapterName(1), end+frameHeader)
	for at := range end {
		if at >= headerLength && at < dataStart {
			continue // nothing is there
		}
		b := bytes.Clone(content)
		b[at] ^= 1
		d.set(chapterName(1), b)

		_, err := Open(t.Context(), Options{FS: d})

		wantCode(t, err, weir.Unavailable)
	}
}

func TestDamageInAFullChapterLosesOnlyWhatItHit(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	o := Options{MaxRecords: 10, Tail: 2}
	j := start(t, d, o)
	for i := range 7 {
		put(t, j, events(fmt.Sprint(i, "."), 2, 40))
	}
	want := all(t, j)
	stop(t, j)
	name := chapterName(1)
	f := j.chapters[0]
	content := d.bytes(name, f.end)
	for at := int64(dataStart); at < f.end; at += 3 {
		b := bytes.Clone(content)
		b[at] ^= 1
		d.set(name, b)
		j := start(t, d, o)

		got := all(t, j)

		if len(got) != len(want)-2 {
			t.Fatalf("damaged at %d: %d records", at, len(got))
		}
		for _, r := range got {
			same(t, "what is left", []*weir.Record{r}, want[r.Seq-1:r.Seq])
		}
		found, err := j.Find(t.Context(), journal.Query{UpTo: 12})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(found.Records)
		same(t, "what is found", found.Records, got[:len(got)-2])
		direct, err := j.Records(t.Context(), []weir.Seq{1, 3, 5, 7, 9, 11})
		if err != nil {
			t.Fatal(err)
		}
		missing := 0
		for _, r := range direct {
			if r == nil {
				missing++
			}
		}
		if missing != 1 {
			t.Fatalf("damaged at %d: %d of the frames missing", at, missing)
		}
		stop(t, j)
	}
}

// TestAnySubsetOfUnsyncedPagesAtEveryPointOfACommit takes the power away before
// each step of a commit that spans several pages, and tries all that the disk
// may have kept.
func TestAnySubsetOfUnsyncedPagesAtEveryPointOfACommit(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{})
	put(t, j, events("a", 2, 100))
	acknowledged := all(t, j)
	name, points := chapterName(1), 0
	d.onChange(func(op, _ string) error {
		dirty := d.dirtyPages(name)
		for subset := range 1 << len(dirty) {
			points++
			after := d.crash(func(_ string, p int) bool {
				for i, q := range dirty {
					if p == q {
						return subset>>i&1 == 1
					}
				}
				return subset&1 == 1
			})
			surviving(t, after, acknowledged, 4)
		}
		return nil
	})

	put(t, j, events("b", 2, 4000), events("c", 2, 4000))

	d.onChange(nil)
	surviving(t, d.crash(neverKept), all(t, j), 0)
	if points < 32 {
		t.Errorf("%d points tried", points)
	}
}

// surviving opens a disk after a crash and checks that it holds what was
// acknowledged, that a batch of n records in flight is there whole or not at
// all, and that the journal goes on.
func surviving(t rapid.TB, d *faultDisk, acknowledged []*weir.Record, n int) []*weir.Record {
	t.Helper()
	o := Options{FS: d, MaxBytes: 30_000, Tail: 2}
	j, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	got := readAll(t, j)
	if len(got) != len(acknowledged) && len(got) != len(acknowledged)+n {
		t.Fatalf("%d records, want %d, or %d more", len(got), len(acknowledged), n)
	}
	for i, r := range got {
		if r.Seq != weir.Seq(i+1) {
			t.Fatalf("record %d has seq %d", i, r.Seq)
		}
		if i < len(acknowledged) && (r.At != acknowledged[i].At || r.Identity() != acknowledged[i].Identity() ||
			!bytes.Equal(r.Event.Data, acknowledged[i].Event.Data)) {
			t.Fatalf("record %d differs", r.Seq)
		}
	}
	again := event("", 0)
	for _, r := range got {
		again.Event.ID = r.Event.ID
		item, ok := j.Place(context.Background(), again.Identity())
		if !ok || item.Seq != r.Seq || item.At != r.At {
			t.Fatalf("the identity of record %d is at %+v", r.Seq, item)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return got
}

func readAll(t rapid.TB, j *Journal) (out []*weir.Record) {
	t.Helper()
	for {
		got, err := j.Read(context.Background(), weir.Seq(len(out)), 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			return out
		}
		out = append(out, got...)
	}
}

// TestNothingAcknowledgedIsLostOverManyCrashes appends, and takes the power
// away before the nth thing that the disk is asked to do, again and again, also
// while the journal opens and begins chapters.
func TestNothingAcknowledgedIsLostOverManyCrashes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := newFaultDisk()
		var acknowledged []*weir.Record
		for life := range rapid.IntRange(1, 6).Draw(t, "lives") {
			inFlight := 0
			left := rapid.IntRange(1, 40).Draw(t, "steps to live")
			d.onChange(func(string, string) error {
				left--
				if left < 0 {
					return errCrashed
				}
				return nil
			})
			j, err := Open(context.Background(), Options{FS: d, MaxBytes: 30_000, Tail: 2})
			for n := 0; err == nil; n++ {
				b := events(fmt.Sprint(life, ".", n, "."), rapid.IntRange(1, 3).Draw(t, "records"), rapid.IntRange(0, 6000).Draw(t, "size"))
				if _, err = j.Append(context.Background(), b); err == nil {
					acknowledged = append(acknowledged, b.Records...)
				} else {
					inFlight = len(b.Records)
				}
			}
			if j != nil {
				_ = j.Close()
			}
			seed := rapid.Uint64().Draw(t, "kept")
			d = d.crash(func(name string, p int) bool {
				seed = seed*6364136223846793005 + uint64(len(name)+p)
				return seed>>60&1 == 1
			})
			acknowledged = surviving(t, d, acknowledged, inFlight)
			d = d.crash(neverKept)
		}
	})
}

// TestWhatAFailedSyncLeftInTheCacheIsWrittenAgain: after a failed sync the
// system shows pages that are not on the disk, and does not write them again by
// itself. What follows them must not be acknowledged on top of that.
func TestWhatAFailedSyncLeftInTheCacheIsWrittenAgain(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{})
	put(t, j, events("a", 1, 100))
	d.onChange(failOn("sync", errors.New("i/o error")))
	_, err := j.Append(t.Context(), events("b", 2, 5000))
	wantCode(t, err, weir.Unavailable)
	d.onChange(nil)
	stop(t, j)

	j = start(t, d, Options{})
	if got := len(all(t, j)); got != 3 {
		t.Fatalf("%d records in the cache, want 3", got)
	}
	put(t, j, events("c", 1, 100))
	want := all(t, j)
	d = d.crash(neverKept)

	same(t, "after the crash", all(t, start(t, d, Options{})), want)
}

func TestFailedWriteOrSyncStopsAppendsUntilRestart(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"write", "sync"} {
		d := newFaultDisk()
		j := start(t, d, Options{})
		put(t, j, events("a", 1, 0))
		want := all(t, j)
		d.onChange(failOn(op, errors.New("i/o error")))
		_, err := j.Append(t.Context(), events("b", 1, 0))
		wantCode(t, err, weir.Unavailable)
		d.onChange(nil)

		_, err = j.Append(t.Context(), events("c", 1, 0))

		wantCode(t, err, weir.Unavailable)
		if !strings.Contains(err.Error(), "i/o error") {
			t.Errorf("%v does not say why", err)
		}
		if j.Stats().Stopped == nil {
			t.Error("stats do not say that it stopped")
		}
		same(t, "readable all the same", all(t, j), want)
		stop(t, j)
		put(t, start(t, d, Options{}), events("d", 1, 0))
	}
}

func TestFullDiskRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	o := Options{MaxBytes: 2 * mib}
	j := start(t, d, o)
	d.room = reserveSize + dataStart + 3*mib
	var acknowledged []string
	var err error
	for i := 0; err == nil; i++ {
		b := events(fmt.Sprint(i, "."), 1, 300_000)
		if _, err = j.Append(t.Context(), b); err == nil {
			acknowledged = append(acknowledged, b.Records[0].Event.ID)
		}
	}
	wantCode(t, err, weir.DiskFull)
	refused := len(acknowledged)
	_, err = j.Append(t.Context(), events("small", 1, 0), events(fmt.Sprint(refused, "."), 1, 300_000))
	wantCode(t, err, weir.DiskFull)
	if _, ok := j.Place(t.Context(), event("small0", 0).Identity()); ok {
		t.Error("refused, and yet its identity is taken")
	}

	d.room = 0
	got := put(t, j, events(fmt.Sprint(refused, "."), 1, 300_000))

	if got[0].Items[0].Repeated || got[0].Items[0].Seq != weir.Seq(refused+1) {
		t.Errorf("got %+v", got)
	}
	d = d.crash(neverKept)
	records := all(t, start(t, d, o))
	for i, id := range append(acknowledged, fmt.Sprint(refused, ".0")) {
		if records[i].Event.ID != id {
			t.Fatalf("record %d is %s, want %s", i+1, records[i].Event.ID, id)
		}
	}
}

func TestTooLargeLeavesNothing(t *testing.T) {
	t.Parallel()
	j := start(t, newFaultDisk(), Options{})

	_, err := j.Append(t.Context(), events("a", 2, 17*mib))

	wantCode(t, err, weir.TooLarge)
	if j.Head() != 0 {
		t.Error("something was taken in")
	}
	put(t, j, events("a", 1, 17*mib))
}

// TestWhatWasCutDoesNotComeBack: of two frames of one commit the first is torn
// and the second is not. A later frame just as long as the first must not make
// the second one good again.
func TestWhatWasCutDoesNotComeBack(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	o := Options{Now: func() time.Time { return time.UnixMicro(1) }} // so that no at tells them apart
	j := start(t, d, o)
	entered, release := blockSync(d)
	done := make(chan error)
	send := func(id string) {
		_, err := j.Append(t.Context(), events(id, 1, 100))
		done <- err
	}
	go send("a")
	<-entered
	torn := dataStart + frameHeader + int64(encodedSize(event("a0", 100)))
	go send("b")
	go send("c")
	for j.Stats().Waiting < 2 {
		runtime.Gosched()
	}
	close(release)
	for range 3 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	d = d.crash(neverKept)
	content := d.bytes(chapterName(1), j.Stats().Bytes)
	content[torn+frameHeader] ^= 1
	d.set(chapterName(1), content)

	j = start(t, d, o)
	if got := len(all(t, j)); got != 1 {
		t.Fatalf("%d records after the crash, want 1", got)
	}
	put(t, j, events("d", 1, 100))
	want := all(t, j)

	same(t, "after another crash", all(t, start(t, d.crash(neverKept), o)), want)
}
