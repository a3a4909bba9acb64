package track_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/client"
	"weir/internal/blob"
)

// blobbed appends an event whose data is a blob, and returns where it stands.
func (r *rig) blobbed(s *blob.Store, e weir.Event, data string) (weir.EventUID, weir.Blob) {
	r.t.Helper()
	b, err := s.Keep(r.t.Context(), []byte(data))
	if err != nil {
		r.t.Fatal(err)
	}
	b.File = e.ContentType != ""
	e.Source, e.Type, e.Blob = "/s", "a", &b
	item := r.append(&weir.Record{Project: 1, Event: &e})[0]
	return weir.Place(item.At, 0, item.Seq), b
}

func TestDataInABlobIsShownAloneAndReferredTo(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		s, err := blob.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		r.reader.Blobs = s
		own := weir.Extension{Name: "dataref", Value: "https://x.example/1"}
		long := `"` + strings.Repeat("x", 1<<20) + `"`
		for _, c := range []struct {
			name       string
			event      weir.Event
			data, want string
			ref        string // "" is that of the API
		}{
			{"JSON", weir.Event{ID: "1", Extensions: []weir.Extension{{Name: "a", Value: "1"}, {Name: "z", Value: "2"}}}, `{"n":1}`, `{"n":1}`, ""},
			{"more than a mebibyte", weir.Event{ID: "2"}, long, "", ""},
			{"a file", weir.Event{ID: "3", ContentType: "image/png"}, "PNG", "", ""},
			{"with a dataref of its own", weir.Event{ID: "4", Extensions: []weir.Extension{own}}, `1`, `1`, own.Value},
		} {
			uid, _ := r.blobbed(s, c.event, c.data)

			got, err := r.reader.Event(t.Context(), 1, uid)
			if err != nil {
				t.Fatal(err)
			}

			if string(got.Data) != c.want {
				t.Errorf("%s: shown with %.50q", c.name, got.Data)
			}
			if c.ref == "" {
				c.ref = client.DataPath(uid.String())
			}
			if !slices.Contains(got.Extensions, weir.Extension{Name: "dataref", Value: c.ref}) || !slices.IsSortedFunc(got.Extensions,
				func(a, b weir.Extension) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("%s: %+v", c.name, got.Extensions)
			}
			if e, data := r.data(uid); data != c.data || e.ID != c.event.ID {
				t.Errorf("%s: opened %.50q", c.name, data)
			}
		}
	})
}

func (r *rig) data(uid weir.EventUID) (*weir.Event, string) {
	r.t.Helper()
	e, f, err := r.reader.EventData(r.t.Context(), 1, uid)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		r.t.Fatal(err)
	}
	return e, string(all)
}

func TestAnEventIsShownThoughItsDataIsLost(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		s, err := blob.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		r.reader.Blobs = s
		uid, b := r.blobbed(s, weir.Event{ID: "1"}, `{}`)
		if err := s.Remove(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}

		got, err := r.reader.Event(t.Context(), 1, uid)
		if err != nil || got.Data != nil {
			t.Errorf("%s, %v", got.Data, err)
		}
		if _, _, err := r.reader.EventData(t.Context(), 1, uid); weir.CodeOf(err) != weir.NotFound {
			t.Errorf("its data: %v", err)
		}
	})
}

func TestDataIsThatOfTheProjectsEvents(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		item := r.append(&weir.Record{Project: 1, Event: &weir.Event{ID: "1", Source: "/s", Type: "a", Data: []byte("1")}},
			&weir.Record{Project: 1, Event: &weir.Event{ID: "2", Source: "/s", Type: "a"}})
		with, without := weir.Place(item[0].At, 0, item[0].Seq), weir.Place(item[1].At, 0, item[1].Seq)

		if _, data := r.data(with); data != "1" {
			t.Error(data)
		}
		for name, c := range map[string]struct {
			project weir.ProjectID
			uid     weir.EventUID
		}{"another project's": {2, with}, "without data": {1, without}, "unknown": {1, weir.Place(1, 0, 99)}} {
			if _, _, err := r.reader.EventData(t.Context(), c.project, c.uid); weir.CodeOf(err) != weir.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
