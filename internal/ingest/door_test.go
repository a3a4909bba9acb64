package ingest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// shelf is a journal in memory that gives places from 1.
type shelf struct {
	mu      sync.Mutex
	records []*weir.Record
	err     error
}

func (s *shelf) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.err != nil {
		return nil, s.err
	}
	var receipts []weir.Receipt
	for _, b := range batches {
		var receipt weir.Receipt
		for _, r := range b.Records {
			receipt.Items = append(receipt.Items, s.take(r))
		}
		receipts = append(receipts, receipt)
	}
	return receipts, nil
}

func (s *shelf) take(r *weir.Record) weir.Item {
	for _, old := range s.records {
		if old.Identity() == r.Identity() {
			return weir.Item{Seq: old.Seq, At: old.At, Repeated: true}
		}
	}
	r.Seq = weir.Seq(len(s.records) + 1)
	r.At = weir.Time(1_700_000_000_000_000).Add(time.Duration(r.Seq) * time.Millisecond)
	s.records = append(s.records, r)
	return weir.Item{Seq: r.Seq, At: r.At}
}

// ledger keeps refusals in memory.
type ledger struct {
	mu    sync.Mutex
	all   []weir.Refusal
	calls int
	err   error
}

func (l *ledger) AddRefusals(_ context.Context, refusals []weir.Refusal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.err != nil {
		return l.err
	}
	l.all = append(l.all, refusals...)
	return nil
}

func newDoor(t *testing.T) (*Door, *shelf, *ledger) {
	t.Helper()
	journal, refusals := &shelf{}, &ledger{}
	return New(Options{
		Journal: journal, Refusals: refusals, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}), journal, refusals
}

var entry = Entry{Project: 3, Door: "api"}

func TestABatchIsAppendedAtOnceAndEachEventAnswered(t *testing.T) {
	t.Parallel()
	door, journal, _ := newDoor(t)
	body := []byte(`[{"specversion":"1.0","id":"1","source":"s","type":"t","execution":"e"},
		{"specversion":"1.0","id":"2","source":"s","type":"t"},{"specversion":"1.0","id":"1","source":"s","type":"t"}]`)

	got, err := door.Take(t.Context(), entry, Body{Header: kind(batchType), Bytes: body})
	if err != nil {
		t.Fatal(err)
	}
	at := weir.Time(1_700_000_000_000_000)
	want := []Accepted{
		{ID: "1", Seq: 1, UID: weir.Place(at.Add(time.Millisecond), 0, 1)},
		{ID: "2", Seq: 2, UID: weir.Place(at.Add(2*time.Millisecond), 0, 2)},
		{ID: "1", Seq: 1, UID: weir.Place(at.Add(time.Millisecond), 0, 1), Duplicate: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	first, second := journal.records[0], journal.records[1]
	if first.Project != 3 || first.Event.Execution != "e" || len(second.Event.Execution) != 32 {
		t.Errorf("executions %q and %q in project %d", first.Event.Execution, second.Event.Execution, first.Project)
	}
}

func TestABatchWithOneBadEventLeavesNothingButARefusal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bad  string
		want weir.Refusal
	}{
		"missing attribute": {
			`{"specversion":"1.0","id":"2","source":"/s"}`,
			weir.Refusal{Code: weir.Invalid, Field: "type", Reason: "is required and may not be empty", Source: "/s", ID: "2"},
		},
		"control character": {
			`{"specversion":"1.0","id":"a\u0007","source":"/s","type":"t"}`,
			weir.Refusal{Code: weir.Invalid, Field: "id", Reason: "contains the control character U+0007", Source: "/s", ID: "a\a", Type: "t"},
		},
		"reserved name": {
			`{"specversion":"1.0","id":"2","source":"/s","type":"t","uid":"u"}`,
			weir.Refusal{Code: weir.Invalid, Field: "uid", Reason: "is reserved: only Weir sets it", Source: "/s", ID: "2", Type: "t"},
		},
		"extension given twice": {
			`{"specversion":"1.0","id":"2","source":"/s","type":"t","x":"1","x":"2"}`,
			weir.Refusal{Code: weir.Invalid, Field: "x", Reason: "given twice", Source: "/s", ID: "2", Type: "t"},
		},
		"data too large": {
			`{"specversion":"1.0","id":"2","source":"/s","type":"t","data":"` + strings.Repeat("x", 1<<20) + `"}`,
			weir.Refusal{Code: weir.TooLarge, Field: "data", Reason: "1048578 bytes long, and 1048576 are the most", Source: "/s", ID: "2", Type: "t"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door, journal, refusals := newDoor(t)
			body := `[{"specversion":"1.0","id":"1","source":"/s","type":"t"},` + c.bad + `]`

			_, err := door.Take(t.Context(), entry, Body{Header: kind(batchType), Bytes: []byte(body)})

			e, ok := errors.AsType[*weir.Error](err)
			if !ok || !e.HasIndex || e.Index != 1 || e.Code != c.want.Code || e.Field != c.want.Field {
				t.Errorf("error %+v", err)
			}
			if len(journal.records) != 0 {
				t.Errorf("%d records were kept", len(journal.records))
			}
			if err := door.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := refusals.all[0]
			got.At = 0
			c.want.Project, c.want.Door = 3, "api"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAFailedAppendIsAnsweredAndIsNoRefusal(t *testing.T) {
	t.Parallel()
	door, journal, refusals := newDoor(t)
	journal.err = weir.E("append", weir.DiskFull, "no space")

	_, err := door.Publish(t.Context(), entry, &weir.Event{ID: "1", Source: "s", Type: "t"})

	if flushErr := door.Flush(t.Context()); flushErr != nil || weir.CodeOf(err) != weir.DiskFull || len(refusals.all) != 0 {
		t.Errorf("error %v, refusals %v", err, refusals.all)
	}
}

func TestAFloodOfRefusalsIsWrittenInBulkAndBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		door, _, refusals := newDoor(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- door.Run(ctx) }()
		err := weir.E("", weir.Invalid, "%s", strings.Repeat("no ", 1000))
		door.Refuse(entry, nil, err)
		synctest.Wait()

		for range 3 * refusalsHeld {
			door.Refuse(entry, nil, err)
		}
		time.Sleep(2 * flushEvery)
		synctest.Wait()

		if n := len(refusals.all); refusals.calls != 2 || n < refusalsHeld*9/10 || n > refusalsHeld+1 {
			t.Errorf("%d refusals in %d writes", n, refusals.calls)
		}
		if n := len(refusals.all[0].Reason); n > maxReason+len("…") {
			t.Errorf("a reason of %d bytes", n)
		}
		door.Refuse(entry, nil, err)
		cancel()
		if err := <-ended; err != nil || refusals.calls != 3 {
			t.Errorf("at the end: %v, %d writes", err, refusals.calls)
		}
	})
}

func TestRefusalsThatCouldNotBeWrittenAreWrittenLater(t *testing.T) {
	t.Parallel()
	door, _, refusals := newDoor(t)
	refusals.err = errors.New("busy")
	door.Refuse(entry, nil, weir.E("", weir.Invalid, "first"))

	failed := door.Flush(t.Context())
	refusals.err = nil
	door.Refuse(entry, nil, weir.E("", weir.Invalid, "second"))
	written := door.Flush(t.Context())

	if failed == nil || written != nil || len(refusals.all) != 2 || refusals.all[0].Reason != "first" {
		t.Errorf("%v, %v, %+v", failed, written, refusals.all)
	}
}

func TestALittleDataDoesNotKeepALargeBody(t *testing.T) {
	t.Parallel()
	journal := &shelf{}
	d := New(Options{Journal: journal, Refusals: &ledger{}, Log: slog.New(slog.DiscardHandler)})
	padded := `{"specversion":"1.0","id":"%","source":"/s","type":"t","data":{"a":1}` + strings.Repeat(" ", 1<<20) + "}"
	body := []byte(strings.ReplaceAll(padded, "%", "1"))

	if _, err := d.Take(t.Context(), Entry{Project: 1, Door: "api"}, Body{Header: kind(eventType), Bytes: body}); err != nil {
		t.Fatal(err)
	}

	data := journal.records[0].Event.Data
	at := bytes.Index(body, []byte(`{"a":1}`))
	if string(data) != `{"a":1}` || &data[0] == &body[at] {
		t.Errorf("%s is a part of a body of %d bytes", data, len(body))
	}
}
