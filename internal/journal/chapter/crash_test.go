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
	"weir/internal/journal/file"
	"weir/internal/journal/frame"
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
	name := file.Name(1, 0)
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
	name := file.Name(1, 0)
	last, end := frames[len(frames)-2], frames[len(frames)-1]
	content := d.bytes(name, end)
	for at := int64(frame.Start); at < end; at++ {
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

// plainHeader is the length of the header of a chapter that was not rewritten.
const plainHeader = 68

func TestDamageAnywhereIsSeenAfterACleanStop(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{})
	put(t, j, events("a", 3, 40))
	end := j.Stats().Bytes
	stop(t, j)
	content := d.bytes(file.Name(1, 0), end+frame.Size)
	for at := range end {
		if at >= plainHeader && at < frame.Start {
			continue // nothing is there
		}
		b := bytes.Clone(content)
		b[at] ^= 1
		d.set(file.Name(1, 0), b)

		_, err := Open(t.Context(), Options{FS: d})

		wantCode(t, err, weir.Unavailable)
	}
}

// twoChapters makes a disk with a full chapter and one more record after it.
func twoChapters(t *testing.T, d *faultDisk, o Options) (want []*weir.Record, end int64) {
	t.Helper()
	j := start(t, d, o)
	for i := range 7 {
		put(t, j, events(fmt.Sprint(i, "."), 2, 40))
	}
	f := j.edition.files[0]
	if d.before == nil {
		awaitSealed(t, j, 1)
	}
	want, end = all(t, j), f.End()
	stop(t, j)
	return want, end
}

// awaitSealed returns when n chapters are sealed.
func awaitSealed(t testing.TB, j *Journal, n int) {
	t.Helper()
	for {
		moved, err := j.sealer.look()
		if j.Stats().Sealed >= n {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		<-moved
	}
}

func TestDamageInAFullChapterLosesOnlyTheFrameThatItHit(t *testing.T) {
	t.Parallel()
	base := newFaultDisk()
	o := Options{MaxRecords: 10, Tail: 2}
	base.onChange(func(_, name string) error {
		if strings.Contains(name, file.IndexSuffix) {
			return errors.New("i/o error")
		}
		return nil
	})
	want, end := twoChapters(t, base, o)
	for at := int64(frame.Start); at < end; at += 13 {
		d := base.crash(neverKept)
		damageAt(d, file.Name(1, 0), at)
		j := start(t, d, o)
		for range 2 {
			got := all(t, j)
			if len(got) != len(want)-2 {
				t.Fatalf("damaged at %d: %d records", at, len(got))
			}
			readAround(t, j, got, want, at)
			awaitSealed(t, j, 1)
		}
		stop(t, j)
	}
}

func TestDamageInASealedChapterLosesOnlyTheRecordThatItHit(t *testing.T) {
	t.Parallel()
	base := newFaultDisk()
	o := Options{MaxRecords: 10, Tail: 2}
	want, end := twoChapters(t, base, o)
	lost := 0
	for at := int64(frame.Start); at < end; at += 13 {
		d := base.crash(neverKept)
		damageAt(d, file.Name(1, 0), at)
		j := start(t, d, o)

		got := all(t, j)

		if len(got) < len(want)-1 {
			t.Fatalf("damaged at %d: %d records", at, len(got))
		}
		lost += len(want) - len(got)
		readAround(t, j, got, want, at)
		stop(t, j)
	}
	if lost == 0 {
		t.Error("nothing was lost")
	}
}

// TestARewriteKeepsWhatCanBeReadOfADamagedChapter has something else be erased
// from the chapter, and another rewrite after that.
func TestARewriteKeepsWhatCanBeReadOfADamagedChapter(t *testing.T) {
	t.Parallel()
	base := newFaultDisk()
	o := Options{MaxRecords: 10, Tail: 2}
	want, end := twoChapters(t, base, o)
	for at := int64(frame.Start); at < end; at += 13 {
		d := base.crash(neverKept)
		damageAt(d, file.Name(1, 0), at)
		j := start(t, d, o)
		before := all(t, j)
		for _, gone := range []int{8, 4} {
			goes := func(r *weir.Record) bool { return r.Seq == want[gone].Seq }

			if _, err := j.step(t.Context(), new(position), removal{goes: goes, may: func(f *file.Chapter) (bool, error) { return f.First == 1, nil }}); err != nil {
				t.Fatal(err)
			}

			before = slices.DeleteFunc(before, goes)
		}
		same(t, fmt.Sprint("what is left, damaged at ", at), all(t, j), before)
		stop(t, j)
	}
}

func TestDamageInAnIndexIsMadeGoodFromItsChapter(t *testing.T) {
	t.Parallel()
	base := newFaultDisk()
	o := Options{MaxRecords: 10, Tail: 2}
	want, _ := twoChapters(t, base, o)
	name := "00000001" + file.IndexSuffix
	for at := int64(0); at < base.names[name].size; at += 677 {
		d := base.crash(neverKept)
		damageAt(d, name, at)
		j := start(t, d, o)
		readAround(t, j, all(t, j), want, at)
		for _, r := range want {
			if item, ok := j.Place(t.Context(), r.Identity()); !ok || item.Seq != r.Seq {
				t.Fatalf("damaged at %d: record %d is at %+v", at, r.Seq, item)
			}
		}
		stop(t, j)
	}
}

// damageAt changes a bit of a file.
func damageAt(d *faultDisk, name string, at int64) {
	b := d.bytes(name, d.names[name].size)
	b[at] ^= 1
	d.set(name, b)
}

// readAround checks that what was read, all but what was lost, is also found.
func readAround(t *testing.T, j *Journal, got, want []*weir.Record, at int64) {
	t.Helper()
	for _, r := range got {
		same(t, "what is left", []*weir.Record{r}, want[r.Seq-1:r.Seq])
	}
	for _, q := range []journal.Query{{UpTo: 12}, {UpTo: 12, Project: 1, Kind: journal.ByType, Value: "t"}} {
		found, err := j.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(found.Records)
		same(t, fmt.Sprint("what is found, damaged at ", at), found.Records, got[:len(got)-2])
	}
	var seqs []weir.Seq
	for i := range want {
		seqs = append(seqs, weir.Seq(i+1))
	}
	direct, err := j.Records(t.Context(), seqs)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "what is read by place", slices.DeleteFunc(direct, func(r *weir.Record) bool { return r == nil }), got)
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
	name, points := file.Name(1, 0), 0
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
	for after := weir.Seq(0); ; {
		got, err := j.Read(context.Background(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			return out
		}
		out, after = append(out, got...), got[len(got)-1].Seq
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
	d.limit(reserveSize + frame.Start + 3*mib)
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

	d.limit(0)
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
	torn := frame.Start + frame.Size + int64(encodedSize(event("a0", 100)))
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
	content := d.bytes(file.Name(1, 0), j.Stats().Bytes)
	content[torn+frame.Size] ^= 1
	d.set(file.Name(1, 0), content)

	j = start(t, d, o)
	if got := len(all(t, j)); got != 1 {
		t.Fatalf("%d records after the crash, want 1", got)
	}
	put(t, j, events("d", 1, 100))
	want := all(t, j)

	same(t, "after another crash", all(t, start(t, d.crash(neverKept), o)), want)
}
