package chapter

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/file"
	"weir/internal/journal/frame"
)

// restored writes a snapshot to a disk of its own.
func restored(t *testing.T, parts []journal.PartFile) *faultDisk {
	t.Helper()
	d := newFaultDisk()
	for _, p := range parts {
		f, err := d.Create(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, p.Size)
		if _, err := p.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestASnapshotIsAJournalWhateverBecomesOfItsFiles(t *testing.T) {
	t.Parallel()
	o := Options{MaxRecords: 6, Tail: 2}
	j := start(t, newFaultDisk(), o)
	for _, prefix := range []string{"a", "b", "c", "d"} {
		put(t, j, events(prefix, 5, 50))
	}
	awaitSealed(t, j, 1)
	want := readAll(t, j)
	parts, release, err := j.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	put(t, j, events("later", 5, 50))
	if err := trimAll(t.Context(), j, old(20, nil)); err != nil {
		t.Fatal(err)
	}
	d := restored(t, parts)
	release()

	j = start(t, d, o)
	same(t, "restored", readAll(t, j), want)
	got := put(t, j, events("a", 1, 50))
	if !got[0].Items[0].Repeated {
		t.Error("a duplicate is not known")
	}
}

func TestTrimWaitsWhileTheJournalIsHeld(t *testing.T) {
	t.Parallel()
	j := start(t, newFaultDisk(), Options{})
	put(t, j, events("a", 5, 50))
	release, err := j.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, err = j.Trim(ctx, old(5, nil))

	if !errors.Is(err, context.Canceled) || len(readAll(t, j)) != 5 {
		t.Errorf("got %v", err)
	}
	release()
	if err := trimAll(t.Context(), j, old(5, nil)); err != nil || len(readAll(t, j)) != 0 {
		t.Error(err)
	}
}

// faults checks a journal.
func faults(t *testing.T, j *Journal) (found []journal.Fault) {
	t.Helper()
	if err := j.Check(t.Context(), func(f journal.Fault) error {
		found = append(found, f)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCheckNamesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	base := newFaultDisk()
	o := Options{MaxRecords: 10, Tail: 2}
	_, end := twoChapters(t, base, o)
	chapter, index, filter := file.Name(1, 0), "00000001"+file.IndexSuffix, "00000001"+filterSuffix
	for name, at := range map[string]int64{"": 0, chapter: frame.Start + 60, index: 4096 + 10, filter: 5000} {
		d := base.crash(neverKept)
		if name != "" && name != filter {
			damageAt(d, name, at)
		}
		j := start(t, d, o)
		if name == filter { // one that is damaged at the start is made anew
			damageAt(d, name, at)
		}

		found := faults(t, j)

		switch {
		case name == "" && len(found) > 0:
			t.Errorf("nothing is damaged, and found %+v", found)
		case name != "" && (len(found) != 1 || found[0].File != name):
			t.Errorf("%s of %d bytes is damaged, and found %+v", name, end, found)
		case name == index && found[0].Do == "":
			t.Errorf("it is not said that the next start mends %+v", found)
		case name == chapter && (found[0].First != 1 || found[0].Last != 2):
			t.Errorf("found %+v", found)
		}
		stop(t, j)
	}
}

// TestTrimmingMakesRoomOnAFullDisk fills a disk to the last byte: what is kept in
// reserve is enough to begin with.
func TestTrimmingMakesRoomOnAFullDisk(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{MaxBytes: 2 * mib, Tail: 2})
	d.limit(reserveSize + 6*mib)
	var err error
	for i := 0; err == nil; i++ {
		_, err = j.Append(t.Context(), events(strings.Repeat("x", i+1), 1, 300_000))
	}
	wantCode(t, err, weir.DiskFull)
	head := j.Head()
	d.limit(d.used())

	err = trimAll(t.Context(), j, old(head, func(r *weir.Record) bool { return r.Seq == 2 }))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, j); len(got) != 1 || got[0].Seq != 2 {
		t.Errorf("%d records are left", len(got))
	}
	put(t, j, events("after", 3, 300_000))
}

// TestWhatCannotBeSealedLeavesTheReserveToTrimming seals on a disk that has no
// room for the index, also with the reserve.
func TestWhatCannotBeSealedLeavesTheReserveToTrimming(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{MaxRecords: 6, Tail: 2})
	put(t, j, events("a", 6, 50))
	d.onChange(func(op, name string) error {
		if op == "write" && strings.HasPrefix(name, "00000001.index") {
			return syscall.ENOSPC
		}
		return nil
	})

	put(t, j, events("b", 1, 50))

	for {
		moved, err := j.sealer.look()
		if err != nil {
			wantCode(t, err, weir.DiskFull)
			break
		}
		<-moved
	}
	if f, err := d.Open(reserveName); err != nil {
		t.Error(err)
	} else if size, _ := f.Size(); size != reserveSize {
		t.Errorf("%d bytes are in reserve", size)
	}
}
