package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// blobs answers by id; one that it does not know is missing.
type blobs struct {
	data map[string]string
	errs []error // of the next reads
	read []string
}

func (b *blobs) Read(_ context.Context, blob weir.Blob) ([]byte, error) {
	b.read = append(b.read, blob.ID)
	if len(b.errs) > 0 {
		err := b.errs[0]
		b.errs = b.errs[1:]
		return nil, err
	}
	data, ok := b.data[blob.ID]
	if !ok {
		return nil, weir.E("", weir.NotFound, "blob %s is not there", blob.ID)
	}
	return []byte(data), nil
}

// blobEvents appends events whose data is a blob, together.
func (r *rig) blobEvents(all ...*weir.Blob) {
	r.t.Helper()
	var b weir.Batch
	for _, blob := range all {
		r.events++
		b.Records = append(b.Records, &weir.Record{Project: 1, Event: &weir.Event{
			ID: fmt.Sprint(r.events), Source: "/test", Type: "a", Blob: blob,
		}})
	}
	r.append(b)
}

func matching(where string) weir.Trigger {
	return weir.Trigger{Name: "t", Match: []weir.Criterion{{Types: []string{"a"}, Where: where}}, Run: "p"}
}

func steps() weir.Pipeline {
	return weir.Pipeline{Name: "p", Steps: []weir.Step{{HTTP: &weir.HTTPStep{URL: "https://x.example"}}}}
}

func TestExpressionsSeeTheDataOfBlobs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		store := &blobs{data: map[string]string{"b1": `{"x":1}`, "b2": `{"x":2}`}}
		r.blobs = store
		r.start(10)
		r.apply(matching("data.x == 1"), steps())

		r.blobEvents(&weir.Blob{ID: "b1", Size: 300 << 10}, &weir.Blob{ID: "b2", Size: 300 << 10}, &weir.Blob{ID: "b3", File: true})

		for _, e := range r.wantTaken(1)[0].Events {
			if e.Event.Data != nil || e.Event.Blob.ID != "b1" {
				t.Errorf("the lease holds the data of blob %s", e.Event.Blob.ID)
			}
		}
		r.restart(10)
		r.wantTaken(1)
		if diff := cmp.Diff([]string{"b1", "b2", "b1", "b2"}, store.read); diff != "" {
			t.Error(diff)
		}
	})
}

// A group by what stands in blobs: the fold needs their data while it folds.
func TestGroupsAreByTheDataOfBlobs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.blobs = &blobs{data: map[string]string{"b1": `{"k":"x"}`, "b2": `{"k":"y"}`, "b3": `{"k":"x"}`}}
		r.start(10)
		trigger := matching("")
		trigger.GroupBy = []weir.KeyPart{{Name: "k", Of: "data.k"}}
		trigger.Fire = []weir.Criterion{{Count: 2}}
		trigger.Expire = "opened + 1h"
		r.apply(trigger, steps())

		r.blobEvents(&weir.Blob{ID: "b1"}, &weir.Blob{ID: "b2"}, &weir.Blob{ID: "b3"})

		if lease := r.wantTaken(1)[0]; lease.Run.Firing.Key != `{"k":"x"}` {
			t.Error(lease.Run.Firing.Key)
		}
	})
}

func TestLostDataIsNoneAndTheLoopGoesOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.blobs = &blobs{
			data: map[string]string{"b1": `{"x":1}`, "b2": `{"x":1}`},
			errs: []error{weir.E("", weir.Internal, "blob b1 is damaged")},
		}
		r.start(10)
		r.apply(matching("data.x == 1"), steps())

		r.blobEvents(&weir.Blob{ID: "b1"}, &weir.Blob{ID: "missing"}, &weir.Blob{ID: "b2"})

		r.wantTaken(1)
		if r.d.Lost() != 2 {
			t.Errorf("%d are counted", r.d.Lost())
		}
		r.settle()
		if counts := r.counters(); counts["missing data.x"] != 2 {
			t.Errorf("counted: %v", counts)
		}
	})
}

// counters returns what was counted of trigger t.
func (r *rig) counters() map[string]int64 {
	r.t.Helper()
	all, err := r.stored.Counters(r.t.Context(), 1)
	if err != nil {
		r.t.Fatal(err)
	}
	return all["t"]
}

func TestABlobThatCannotBeReadForAWhileIsWaitedFor(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		busy := weir.E("read blob", weir.Unavailable, "too many open files")
		r.blobs = &blobs{data: map[string]string{"b1": `{"x":1}`}, errs: []error{busy, busy}}
		r.start(10)
		r.apply(matching("data.x == 1"), steps())

		r.blobEvents(&weir.Blob{ID: "b1"})

		r.wantTaken(0)
		r.wait(time.Second)
		r.wantTaken(1)
		if r.d.Lost() != 0 {
			t.Error("the data is counted as lost")
		}
	})
}
