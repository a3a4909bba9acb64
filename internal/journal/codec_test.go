package journal

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
)

// anyRecord draws records with everything that the types allow.
func anyRecord() *rapid.Generator[*weir.Record] {
	events, changes := rapid.Make[weir.Event](), rapid.Make[weir.Change]()
	applies, starts := rapid.Make[weir.Apply](), rapid.Make[weir.Start]()
	return rapid.Custom(func(t *rapid.T) *weir.Record {
		r := &weir.Record{Project: weir.ProjectID(rapid.Uint32().Draw(t, "project"))}
		switch rapid.IntRange(0, 4).Draw(t, "holds") {
		case 1:
			v := events.Draw(t, "event")
			r.Event = &v
		case 2:
			v := changes.Draw(t, "change")
			r.Change = &v
		case 3:
			v := applies.Draw(t, "apply")
			r.Apply = &v
		case 4:
			v := starts.Draw(t, "start")
			r.Start = &v
		}
		return r
	})
}

// emptyIsNil: of lists, only bodies tell an empty one from none.
var emptyIsNil = cmp.FilterValues(func(x, y any) bool {
	switch x := x.(type) {
	case []weir.Extension:
		y, ok := y.([]weir.Extension)
		return ok && len(x)+len(y) == 0
	case []weir.StepOutcome:
		y, ok := y.([]weir.StepOutcome)
		return ok && len(x)+len(y) == 0
	case []weir.Member:
		y, ok := y.([]weir.Member)
		return ok && len(x)+len(y) == 0
	case []weir.Definition:
		y, ok := y.([]weir.Definition)
		return ok && len(x)+len(y) == 0
	case []string:
		y, ok := y.([]string)
		return ok && len(x)+len(y) == 0
	}
	return false
}, cmp.Comparer(func(any, any) bool { return true }))

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := anyRecord().Draw(t, "record")

		b := AppendRecord([]byte("before"), want)
		got, err := DecodeRecord(b[len("before"):])
		if err != nil {
			t.Fatal(err)
		}

		if e := want.Event; e != nil && e.Blob != nil {
			e.Data = nil // it is kept elsewhere
		}
		if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
			t.Fatal(diff)
		}
		if string(b[:6]) != "before" {
			t.Fatal("what stood before was changed")
		}
	})
}

func TestNoPartOfARecordIsARecord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := AppendRecord(nil, anyRecord().Draw(t, "record"))

		for n := range b {
			if _, err := DecodeRecord(b[:n]); weir.CodeOf(err) != weir.Internal {
				t.Fatalf("%d of %d bytes: %v", n, len(b), err)
			}
		}
		if _, err := DecodeRecord(append(b, 0)); err == nil {
			t.Fatal("a byte too many is taken")
		}
	})
}

func TestBodiesTellNoneFromEmptyAndStayByteForByte(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{nil, {}, []byte("{ \"a\" : 1.0 }\n"), {0xff, 0}} {
		want := &weir.Record{Event: &weir.Event{ID: "a", Data: data}}

		got, err := DecodeRecord(AppendRecord(nil, want))
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestNewerFormatIsNamed(t *testing.T) {
	t.Parallel()
	b := AppendRecord(nil, &weir.Record{})
	b[0] = Version + 1

	_, err := DecodeRecord(b)

	if !errors.Is(err, ErrNewer) || weir.CodeOf(err) != weir.Unavailable || !strings.Contains(err.Error(), fmt.Sprintf("format %d", Version+1)) {
		t.Errorf("got %v", err)
	}
}

func TestDecodingAllocatesLittle(t *testing.T) {
	b := AppendRecord(nil, sample())

	got := testing.AllocsPerRun(100, func() {
		if _, err := DecodeRecord(b); err != nil {
			t.Fatal(err)
		}
	})

	// The record with its event, the text of all attributes, the extensions.
	if got > 3 {
		t.Errorf("%v allocations", got)
	}
}

func sample() *weir.Record {
	return &weir.Record{Project: 1, Event: &weir.Event{
		ID: "0198f2a4-5c1e-7d7c-9a55-3f1f7a2b9c01", Source: "/api/token", Type: "com.example.order.placed", Subject: "order-12345",
		Time: 1_764_000_000_123_456, Execution: "0198f2a4-5c1e-7d7c-9a55-3f1f7a2b9c01",
		Extensions: []weir.Extension{{Name: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}},
		Data:       []byte(`{"order":12345,"lines":[{"sku":"A-1","n":2},{"sku":"B-7","n":1}],"total":99.5}`),
	}}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(AppendRecord(nil, sample()))
	f.Add(AppendRecord(nil, &weir.Record{Change: &weir.Change{
		Attempt: &weir.Attempt{Steps: []weir.StepOutcome{{Output: []byte("1")}}},
		Firing:  &weir.Firing{Executions: []string{"x"}, Members: []weir.Member{{Time: 5, Seq: 7}}},
	}}))
	f.Add(AppendRecord(nil, &weir.Record{Apply: &weir.Apply{Put: []weir.Definition{{Name: "a", Body: []byte("{}")}}}}))
	f.Add(AppendRecord(nil, &weir.Record{Start: &weir.Start{Key: "k"}}))
	f.Add([]byte{Version, holdsChange, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRecord(b)
		if err != nil {
			return
		}
		again, err := DecodeRecord(AppendRecord(nil, r))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestACountThatTheBytesCannotHoldAllocatesNothing(t *testing.T) {
	change := AppendRecord(nil, &weir.Record{Change: &weir.Change{Firing: &weir.Firing{Members: []weir.Member{{}}}}})
	// The member count is the fourth byte from the end, with one byte each for time, seq and an empty error.
	b := append(change[:len(change)-4:len(change)-4], 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0)

	got := testing.AllocsPerRun(10, func() {
		if _, err := DecodeRecord(b); err == nil {
			t.Fatal("decoded")
		}
	})

	if got > 12 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkCodec(b *testing.B) {
	r := sample()
	encoded := AppendRecord(nil, r)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst = AppendRecord(dst[:0], r)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeRecord(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("identity", func(b *testing.B) {
		for b.Loop() {
			_ = r.Identity()
		}
	})
	b.Run("hashes", func(b *testing.B) {
		var dst []uint64
		for b.Loop() {
			dst = AppendHashes(dst[:0], r)
		}
	})
}
