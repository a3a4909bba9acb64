package dispatch

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

type emptyObjects struct{}

func (emptyObjects) Read(context.Context, weir.Blob) ([]byte, error) { return []byte("{}"), nil }

func TestATurnHoldsSoMuchDataOfBlobs(t *testing.T) {
	t.Parallel()
	d := New(Options{Blobs: emptyObjects{}})
	var records []*weir.Record
	for _, mib := range []int64{20, 0, 12, 1, 100, 0, 1} { // 0: an event without a blob
		e := &weir.Event{}
		if mib > 0 {
			e.Blob = &weir.Blob{Size: mib << 20}
		}
		records = append(records, &weir.Record{Event: e})
	}

	var turns []int
	for rest := records; len(rest) > 0; {
		part, copies, err := d.whole(t.Context(), rest)
		if err != nil {
			t.Fatal(err)
		}
		for i, rec := range part {
			if whole := rec.Event.Blob == nil || string(rec.Event.Data) == "{}"; !whole {
				t.Errorf("record %d of a turn has no data", i)
			}
		}
		forget(copies)
		turns, rest = append(turns, len(part)), rest[len(part):]
	}

	if diff := cmp.Diff([]int{3, 1, 2, 1}, turns); diff != "" {
		t.Error(diff)
	}
	for i, rec := range records {
		if rec.Event.Data != nil {
			t.Errorf("record %d, which is the journal's, was given data", i)
		}
	}
}

func TestEventsWithoutBlobsAreFoldedAsTheyCame(t *testing.T) {
	d := New(Options{Blobs: emptyObjects{}})
	records := []*weir.Record{{Event: &weir.Event{}}, {}, {Event: &weir.Event{Blob: &weir.Blob{File: true}}}}

	allocs := testing.AllocsPerRun(10, func() {
		part, _, err := d.whole(t.Context(), records)
		if err != nil || &part[0] != &records[0] || len(part) != len(records) {
			t.Error("the records were copied")
		}
	})

	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}
