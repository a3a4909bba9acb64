package ingest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"

	"weir"
)

// shed keeps blobs in memory, one after the other.
type shed struct {
	mu        sync.Mutex
	made      int
	blobs     map[string]string
	createErr error
}

func (s *shed) Create(context.Context) (BlobWriter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.createErr != nil {
		return nil, s.createErr
	}
	s.made++
	return &sack{shed: s, id: strconv.Itoa(s.made)}, nil
}

func (s *shed) Remove(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.blobs[id]; !ok {
		return errors.New("no such blob")
	}
	delete(s.blobs, id)
	return nil
}

type sack struct {
	bytes.Buffer
	shed *shed
	id   string
}

func (s *sack) Commit() (weir.Blob, error) {
	s.shed.mu.Lock()
	defer s.shed.mu.Unlock()
	s.shed.blobs[s.id] = s.String()
	return weir.Blob{ID: s.id, Size: int64(s.Len())}, nil
}

func (s *sack) Discard() {}

// stocked returns a door with small limits, and what stands behind it.
func stocked(t *testing.T, limits Limits) (*Door, *shelf, *ledger, *shed) {
	t.Helper()
	journal, refusals, blobs := &shelf{}, &ledger{}, &shed{blobs: map[string]string{}}
	return New(Options{
		Journal: journal, Refusals: refusals, Blobs: blobs, Limits: limits, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}), journal, refusals, blobs
}

// refusalsOf returns what the door turned away.
func refusalsOf(t *testing.T, d *Door, l *ledger) []weir.Refusal {
	t.Helper()
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l.all
}

func TestOnlyDataOverTheInlineLimitBecomesABlob(t *testing.T) {
	t.Parallel()
	door, journal, _, blobs := stocked(t, Limits{Inline: 100, Data: 200})
	short := &weir.Event{ID: "1", Source: "s", Type: "t", ContentType: "text/plain", Data: []byte(strings.Repeat("a", 100))}
	long := &weir.Event{ID: "2", Source: "s", Type: "t", ContentType: "text/plain", Data: []byte(strings.Repeat("b", 101))}

	if _, err := door.Publish(t.Context(), entry, short, long); err != nil {
		t.Fatal(err)
	}

	first, second := journal.records[0].Event, journal.records[1].Event
	if first.Blob != nil || len(first.Data) != 100 {
		t.Errorf("100 bytes became %+v", first.Blob)
	}
	if second.Data != nil || second.Blob == nil || second.Blob.File || blobs.blobs[second.Blob.ID] != strings.Repeat("b", 101) {
		t.Errorf("101 bytes became %+v beside %d bytes", second.Blob, len(second.Data))
	}
}

func TestDataOverItsLimitIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	door, journal, _, blobs := stocked(t, Limits{Inline: 100, Data: 200})
	event := func(id string, n int) *weir.Event {
		return &weir.Event{ID: id, Source: "s", Type: "t", ContentType: "text/plain", Data: make([]byte, n)}
	}

	_, refused := door.Publish(t.Context(), entry, event("1", 150), event("2", 201))
	_, taken := door.Publish(t.Context(), entry, event("3", 200))

	e, ok := errors.AsType[*weir.Error](refused)
	if !ok || e.Code != weir.TooLarge || e.Field != "data" || e.Index != 1 || !strings.Contains(e.Message, "200 are the most") {
		t.Errorf("refused with %+v", refused)
	}
	if taken != nil || blobs.made != 1 || len(journal.records) != 1 {
		t.Errorf("%v, %d blobs, %d records", taken, blobs.made, len(journal.records))
	}
}

func TestABlobIsRemovedWhereItsEventIsADuplicate(t *testing.T) {
	t.Parallel()
	door, _, _, blobs := stocked(t, Limits{Inline: 100})
	event := func() *weir.Event {
		return &weir.Event{ID: "1", Source: "s", Type: "t", ContentType: "text/plain", Data: make([]byte, 101)}
	}

	for range 3 {
		if _, err := door.Publish(t.Context(), entry, event()); err != nil {
			t.Fatal(err)
		}
	}

	if blobs.made != 3 || len(blobs.blobs) != 1 || blobs.blobs["1"] == "" {
		t.Errorf("%d made, left are %d", blobs.made, len(blobs.blobs))
	}
}

func TestABlobIsRemovedOnlyWhereItsRecordWasSurelyNotWritten(t *testing.T) {
	t.Parallel()
	for code, left := range map[weir.Code]int{
		weir.DiskFull: 0, weir.Limited: 0, weir.TooLarge: 0, weir.Unavailable: 1, weir.Internal: 1,
	} {
		door, journal, _, blobs := stocked(t, Limits{Inline: 100})
		journal.err = weir.E("append", code, "no")

		_, err := door.Publish(t.Context(), entry, &weir.Event{
			ID: "1", Source: "s", Type: "t", ContentType: "text/plain", Data: make([]byte, 101),
		})

		if weir.CodeOf(err) != code || len(blobs.blobs) != left {
			t.Errorf("%s: %v, %d blobs are left, want %d", code, err, len(blobs.blobs), left)
		}
	}
}

// catalogue refuses events of one type.
type catalogue string

func (c catalogue) Check(_ context.Context, _ weir.ProjectID, e *weir.Event) error {
	if e.Type == string(c) {
		return weir.E("", weir.Invalid, "does not fit").WithField("data/n")
	}
	return nil
}

func TestDeclaredTypesAreAskedOnceAnEventIsValid(t *testing.T) {
	t.Parallel()
	journal, refusals := &shelf{}, &ledger{}
	door := New(Options{Journal: journal, Refusals: refusals, Types: catalogue("bad"), Log: slog.New(slog.DiscardHandler)})

	_, bad := door.Publish(t.Context(), entry, &weir.Event{ID: "1", Source: "s", Type: "bad"})
	_, good := door.Publish(t.Context(), entry, &weir.Event{ID: "1", Source: "s", Type: "good"})

	all := refusalsOf(t, door, refusals)
	if weir.CodeOf(bad) != weir.Invalid || good != nil || len(all) != 1 || all[0].Field != "data/n" || len(journal.records) != 1 {
		t.Errorf("bad: %v, good: %v, refusals %+v", bad, good, all)
	}
}

func TestPublishersMayNotUseWeirsOwnNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event weir.Event
		field string
	}{
		"a type":         {weir.Event{Type: "weir.run.dead", Source: "/s"}, "type"},
		"a run's source": {weir.Event{Type: "t", Source: "/runs/run_0198"}, "source"},
		"much like them": {weir.Event{Type: "weird", Source: "/runs/mine"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door, _, _ := newDoor(t)
			c.event.ID = "1"

			_, err := door.Publish(t.Context(), entry, &c.event)

			e, _ := errors.AsType[*weir.Error](err)
			if c.field == "" && err != nil || c.field != "" && (e == nil || e.Code != weir.Invalid || e.Field != c.field) {
				t.Errorf("error %v", err)
			}
		})
	}
}
