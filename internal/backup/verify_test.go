package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir"
	"weir/internal/fold"
)

// world is stores in memory. It keeps 1 (survived), 5 and 6.
type world struct {
	records []*weir.Record
	first   weir.Seq
	cursor  weir.Seq
	members []weir.Seq
	blobs   map[string]string
}

func sound() *world {
	text := "a long text"
	return &world{
		records: []*weir.Record{
			{Seq: 1, Event: &weir.Event{ID: "a"}},
			{Seq: 5, Event: &weir.Event{ID: "b", Blob: &weir.Blob{ID: "b1", Size: int64(len(text)), Sum: sha256.Sum256([]byte(text))}}},
			{Seq: 6, Change: &weir.Change{}},
		},
		first: 5, cursor: 6, members: []weir.Seq{1, 5}, blobs: map[string]string{"b1": text},
	}
}

func (w *world) Head() weir.Seq  { return w.records[len(w.records)-1].Seq }
func (w *world) First() weir.Seq { return w.first }

func (w *world) Read(_ context.Context, after weir.Seq, _ int) ([]*weir.Record, error) {
	for i, r := range w.records {
		if r.Seq > after {
			return w.records[i : i+1], nil
		}
	}
	return nil, nil
}

func (w *world) Records(_ context.Context, seqs []weir.Seq) ([]*weir.Record, error) {
	found := make([]*weir.Record, len(seqs))
	for i, seq := range seqs {
		for _, r := range w.records {
			if r.Seq == seq {
				found[i] = r
			}
		}
	}
	return found, nil
}

func (w *world) Load(context.Context) (*fold.Checkpoint, error) {
	return &fold.Checkpoint{Cursor: w.cursor, Runs: make([]fold.RunRef, 2), Groups: make([]fold.GroupRef, 1)}, nil
}

func (w *world) Members(_ context.Context, low, high weir.Seq, each func(weir.Seq) error) error {
	for _, seq := range w.members {
		if seq < low || seq > high {
			continue
		}
		if err := each(seq); err != nil {
			return err
		}
	}
	return nil
}

type closing struct{ *bytes.Reader }

func (closing) Close() error { return nil }

func (w *world) Open(_ context.Context, id string) (io.ReadSeekCloser, int64, error) {
	text, ok := w.blobs[id]
	if !ok {
		return nil, 0, weir.E("", weir.NotFound, "no blob")
	}
	return closing{bytes.NewReader([]byte(text))}, int64(len(text)), nil
}

func verify(t *testing.T, w *world, check func(context.Context, func(Fault)) error) (Report, []Fault) {
	t.Helper()
	var faults []Fault
	r, err := Verify(t.Context(), Stores{Journal: w, State: w, Blobs: w, Check: check}, func(f Fault) { faults = append(faults, f) })
	if err != nil {
		t.Fatal(err)
	}
	if r.Faults != len(faults) {
		t.Errorf("%d faults, and told of %d", r.Faults, len(faults))
	}
	return r, faults
}

func TestSoundStoresAreCountedAndHaveNoFault(t *testing.T) {
	t.Parallel()

	got, faults := verify(t, sound(), nil)

	want := Report{Records: 3, Events: 2, Changes: 1, First: 5, Head: 6, Cursor: 6, Runs: 2, Groups: 1, Members: 2, Blobs: 1}
	if diff := cmp.Diff(want, got); diff != "" || faults != nil {
		t.Errorf("%s%v", diff, faults)
	}
}

func TestEachFaultIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		spoil func(w *world)
		want  Fault
	}{
		{"a missing blob", func(w *world) { delete(w.blobs, "b1") }, Fault{Where: "blob b1 of record 5", What: "it is not there"}},
		{
			"a shorter blob", func(w *world) { w.blobs["b1"] = "a long" },
			Fault{Where: "blob b1 of record 5", What: "it has 6 bytes, and its record says 11"},
		},
		{
			"another blob", func(w *world) { w.blobs["b1"] = "A long text" },
			Fault{Where: "blob b1 of record 5", What: "its bytes are not those that its record tells the sum of"},
		},
		{
			"a cursor beyond the head", func(w *world) { w.cursor = 7 },
			Fault{Where: "state", What: "its cursor 7 is beyond the journal's last record 6"},
		},
		{
			"a gap before the first", func(w *world) { w.cursor = 3 },
			Fault{Where: "state", What: "its cursor is 3, and of the journal all before record 5 was trimmed"},
		},
		{
			"missing members", func(w *world) { w.members = []weir.Seq{1, 2, 3, 6} },
			Fault{Where: "state", What: "3 members of groups and runs are not in the journal, the first of them record 2"},
		},
	} {
		w := sound()
		c.spoil(w)

		_, faults := verify(t, w, nil)

		if diff := cmp.Diff([]Fault{c.want}, faults, cmpopts.IgnoreFields(Fault{}, "Do")); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
		if len(faults) == 1 && faults[0].Do == "" {
			t.Errorf("%s: it is not said what to do", c.what)
		}
	}
}

func TestWhatTheEngineFindsIsAFault(t *testing.T) {
	t.Parallel()

	_, faults := verify(t, sound(), func(_ context.Context, each func(Fault)) error {
		each(Fault{Where: "1.chapter", What: "torn"})
		return nil
	})

	if diff := cmp.Diff([]Fault{{Where: "1.chapter", What: "torn", Do: fromBackup}}, faults); diff != "" {
		t.Error(diff)
	}
}
