package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weir"
)

// line returns a CloudEvent without an id.
func line(id int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/s","type":"t"}`, id)
}

// take uploads lines and returns what became of each chunk.
func take(t *testing.T, d *Door, in Lines) (chunks []Chunk, err error) {
	t.Helper()
	in.Stop = func() {}
	err = d.TakeLines(t.Context(), entry, in, func(c Chunk) error {
		chunks = append(chunks, c)
		return nil
	})
	if held := d.inFlight.used.Load(); held != 0 {
		t.Errorf("%d bytes of the budget are still held", held)
	}
	return chunks, err
}

// told are chunks without the texts of their errors.
func told(chunks []Chunk) []Chunk {
	out := make([]Chunk, len(chunks))
	for i, c := range chunks {
		out[i] = c
		out[i].Err = nil
	}
	return out
}

func TestLinesAreTakenInChunksAndEachIsAnswered(t *testing.T) {
	t.Parallel()
	door, journal, _, _ := stocked(t, Limits{Lines: 2})
	in := line(1) + "\n" + line(2) + "\r\n" + line(1) + "\n\n" + line(3)

	got, err := take(t, door, Lines{In: strings.NewReader(in)})
	if err != nil {
		t.Fatal(err)
	}
	want := []Chunk{{Lines: 2, Taken: 2, Seq: 2}, {Lines: 2, Duplicates: 1, Seq: 1}, {Lines: 1, Taken: 1, Seq: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(journal.records) != 3 || journal.records[2].Event.ID != "3" {
		t.Errorf("%d records", len(journal.records))
	}
}

func TestABadChunkLeavesNothingAndLaterOnesGoOn(t *testing.T) {
	t.Parallel()
	door, journal, refusals, _ := stocked(t, Limits{Lines: 3})
	in := strings.Join([]string{
		line(1), "", line(2), line(3), line(4), `{"specversion":"1.0","id":"5","source":"/s","type":""}`, line(6), "\xff", line(7), line(8), line(9), line(10),
	}, "\n")

	got, err := take(t, door, Lines{In: strings.NewReader(in)})

	want := []Chunk{{Lines: 3, Taken: 2, Seq: 2}, {Lines: 3, Line: 6}, {Lines: 3, Line: 8}, {Lines: 3, Taken: 3, Seq: 5}}
	if diff := cmp.Diff(want, told(got)); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if len(journal.records) != 5 {
		t.Errorf("%d records", len(journal.records))
	}
	wantRefusals := []weir.Refusal{
		{Code: weir.Invalid, Field: "type", Reason: "line 6: may not be empty", Source: "/s", ID: "5"},
		{Code: weir.Invalid, Reason: "line 8: not valid UTF-8 at byte 0"},
	}
	all := refusalsOf(t, door, refusals)
	if diff := cmp.Diff(wantRefusals, all, cmpopts.IgnoreFields(weir.Refusal{}, "At", "Project", "Door")); diff != "" {
		t.Error(diff)
	}
}

func TestLinesOfPlainJSONTakeTheirAttributesFromTheQuery(t *testing.T) {
	t.Parallel()
	door, journal, _, _ := stocked(t, Limits{})
	query := url.Values{"type": {"a"}, "tag": {"x"}, "line": {"11"}}

	for range 2 {
		if _, err := take(t, door, Lines{In: strings.NewReader("{\"n\": 1}\n 2 \n"), Query: query, Key: "k", Source: "/api/x"}); err != nil {
			t.Fatal(err)
		}
	}

	if len(journal.records) != 2 {
		t.Fatalf("%d records of 2 lines that were sent twice", len(journal.records))
	}
	got := journal.records[1].Event
	want := &weir.Event{
		ID: "k.12", Type: "a", Source: "/api/x", ContentType: jsonType, Extensions: []weir.Extension{{Name: "tag", Value: "x"}},
		Data: []byte("2"), Execution: got.Execution,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestALineWithoutAnIDGetsOne(t *testing.T) {
	t.Parallel()
	door, journal, _, _ := stocked(t, Limits{})
	nameless := `{"specversion":"1.0","source":"/s","type":"t"}`
	in := nameless + "\n" + line(7) + "\n" + nameless

	if _, err := take(t, door, Lines{In: strings.NewReader(in), Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if _, err := take(t, door, Lines{In: strings.NewReader(nameless)}); err != nil {
		t.Fatal(err)
	}

	var ids []string
	for _, r := range journal.records {
		ids = append(ids, r.Event.ID)
	}
	if diff := cmp.Diff([]string{"k.1", "7", "k.3"}, ids[:3]); diff != "" || len(ids[3]) != 32 {
		t.Error(diff, ids)
	}
}

func TestAQueryThatFitsNoLinesIsRefused(t *testing.T) {
	t.Parallel()
	for query, field := range map[string]string{
		"subject=x": "type", "type=t&id=1": "id", "type=t&type=u": "type", "line=0": "line", "line=x": "line", "line=1&line=2": "line",
		"type=t&hops=1": "hops",
	} {
		door, journal, refusals, _ := stocked(t, Limits{})
		values, _ := url.ParseQuery(query)

		chunks, err := take(t, door, Lines{In: strings.NewReader("1\n"), Query: values})

		e, ok := errors.AsType[*weir.Error](err)
		if !ok || e.Code != weir.Invalid || e.Field != field || len(chunks) != 0 || len(journal.records) != 0 {
			t.Errorf("%s: %v", query, err)
		}
		if all := refusalsOf(t, door, refusals); len(all) != 1 || all[0].Field != field {
			t.Errorf("%s: refusals %+v", query, all)
		}
	}
}

func TestALineAtTheLimitIsTakenAndOneMoreByteIsNot(t *testing.T) {
	t.Parallel()
	const most = 300
	pad := func(n int) string { return line(n) + strings.Repeat(" ", most-len(line(n))+n-1) }
	for name, end := range map[string]string{"with an end": "\n", "at the end": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n, code := range map[int]weir.Code{1: "", 2: weir.TooLarge} {
				door, _, _, _ := stocked(t, Limits{Body: most})

				got, err := take(t, door, Lines{In: strings.NewReader(pad(n) + end)})

				if err != nil || len(got) != 1 || weir.CodeOf(got[0].Err) != code {
					t.Errorf("%d bytes: %+v, %v", len(pad(n)), got, err)
				}
			}
		})
	}
}

func TestALineThatIsTooLongIsNotKeptAndRefusesNoOther(t *testing.T) {
	t.Parallel()
	door, journal, refusals, _ := stocked(t, Limits{Body: 1 << 20, Data: 1 << 10})
	long := &tap{}
	in := io.MultiReader(strings.NewReader(line(1)+"\n"), io.LimitReader(long, 100<<20), strings.NewReader("\n"+line(2)))

	got, err := take(t, door, Lines{In: in})

	want := []Chunk{{Lines: 1, Taken: 1, Seq: 1}, {Lines: 1, Line: 2}, {Lines: 1, Taken: 1, Seq: 2}}
	if diff := cmp.Diff(want, told(got)); diff != "" || err != nil {
		t.Error(err, diff)
	}
	e, _ := errors.AsType[*weir.Error](got[1].Err)
	if e == nil || e.Code != weir.TooLarge || e.Field != "line" || !strings.Contains(e.Message, "1048576 bytes") {
		t.Errorf("error %+v", e)
	}
	if all := refusalsOf(t, door, refusals); len(all) != 1 || all[0].Reason != "line 2: longer than 1048576 bytes, which are the most" {
		t.Errorf("refusals %+v", all)
	}
	if long.read < 100<<20 || len(journal.records) != 2 {
		t.Errorf("%d bytes read, %d records", long.read, len(journal.records))
	}
}

func TestAChunkEndsAtTheLimitOfBytesToo(t *testing.T) {
	t.Parallel()
	door, _, _, _ := stocked(t, Limits{Body: int64(2*len(line(1)) + 1)})
	in := line(1) + "\n" + line(2) + "\n" + line(3) + "\n" + line(4) + "\n" + line(5) + "\n"

	got, err := take(t, door, Lines{In: strings.NewReader(in)})

	want := []Chunk{{Lines: 2, Taken: 2, Seq: 2}, {Lines: 2, Taken: 2, Seq: 4}, {Lines: 1, Taken: 1, Seq: 5}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestWholeChunksBeforeACutStandAndTheHalfOneLeavesNothing(t *testing.T) {
	t.Parallel()
	cut := func() io.Reader {
		return io.MultiReader(strings.NewReader(line(1)+"\n"+line(2)+"\n"+line(3)+"\n"+line(4)[:20]), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	for name, in := range map[string]io.Reader{"told after": cut(), "told with the last bytes": iotest.DataErrReader(cut())} {
		door, journal, refusals, _ := stocked(t, Limits{Lines: 2})

		got, err := take(t, door, Lines{In: in})

		if diff := cmp.Diff([]Chunk{{Lines: 2, Taken: 2, Seq: 2}}, got); diff != "" || weir.CodeOf(err) != weir.Invalid {
			t.Error(name, err, diff)
		}
		all := refusalsOf(t, door, refusals)
		if len(journal.records) != 2 || len(all) != 1 || !strings.HasPrefix(all[0].Reason, "line 3: the body ends before its end") {
			t.Errorf("%s: %d records, refusals %+v", name, len(journal.records), all)
		}
	}
}

func TestAWholeChunkIsKeptThoughItsSenderIsGone(t *testing.T) {
	t.Parallel()
	door, journal, _, _ := stocked(t, Limits{Lines: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	err := door.TakeLines(ctx, entry, Lines{In: strings.NewReader(line(1)), Stop: func() {}}, func(Chunk) error { return nil })

	if err != nil || len(journal.records) != 1 {
		t.Errorf("%v, %d records", err, len(journal.records))
	}
}

func TestAJournalThatTakesNothingEndsTheUpload(t *testing.T) {
	t.Parallel()
	door, journal, refusals, _ := stocked(t, Limits{Lines: 1})
	journal.err = weir.E("append", weir.DiskFull, "no room")
	in := &tap{}

	got, err := take(t, door, Lines{In: io.MultiReader(strings.NewReader(line(1)+"\n"+line(2)+"\n"), in)})

	if len(got) != 0 || weir.CodeOf(err) != weir.DiskFull || in.read > 1<<20 || len(refusalsOf(t, door, refusals)) != 0 {
		t.Errorf("%+v, %v after %d bytes", got, err, in.read)
	}
}

// crowded is a journal in which too much waits at first.
type crowded struct {
	Journal
	left int
}

func (c *crowded) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	if c.left--; c.left >= 0 {
		return nil, weir.E("append", weir.Limited, "too much waits")
	}
	return c.Journal.Append(ctx, batches...)
}

func TestLinesWaitWhileTooMuchWaitsInTheJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			left    int
			code    weir.Code
			records int
		}{{100, "", 3}, {1_000_000, weir.Limited, 0}} { // for a minute at most
			door, journal, _, blobs := stocked(t, Limits{Lines: 2, Inline: 10})
			door.journal = &crowded{journal, c.left}

			in := strings.NewReader(strings.Repeat(`"data that is a blob"`+"\n", 3))
			_, err := take(t, door, Lines{In: in, Query: url.Values{"type": {"t"}}, Source: "/s"})

			if weir.CodeOf(err) != c.code || len(journal.records) != c.records || len(blobs.blobs) != c.records {
				t.Errorf("%v, %d records, %d blobs", err, len(journal.records), len(blobs.blobs))
			}
		}
	})
}

// narrow is a journal that takes two records together.
type narrow struct{ Journal }

func (n narrow) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	if len(batches[0].Records) > 2 {
		return nil, weir.E("append", weir.TooLarge, "too much together")
	}
	return n.Journal.Append(ctx, batches...)
}

func TestAChunkThatIsTooLongForTheJournalIsRefusedAndLaterOnesGoOn(t *testing.T) {
	t.Parallel()
	door, journal, refusals, _ := stocked(t, Limits{Lines: 3})
	door.journal = narrow{journal}

	got, err := take(t, door, Lines{In: strings.NewReader(strings.Join([]string{line(1), line(2), line(3), line(4)}, "\n"))})

	want := []Chunk{{Lines: 3, Line: 1}, {Lines: 1, Taken: 1, Seq: 1}}
	if diff := cmp.Diff(want, told(got)); diff != "" || err != nil || weir.CodeOf(got[0].Err) != weir.TooLarge {
		t.Error(err, diff)
	}
	if all := refusalsOf(t, door, refusals); len(all) != 1 || all[0].Code != weir.TooLarge {
		t.Errorf("refusals %+v", all)
	}
}

// broken fails to check.
type broken struct{}

func (broken) Check(context.Context, weir.ProjectID, *weir.Event) error {
	return errors.New("the state is away")
}

func TestAChunkThatCouldNotBeCheckedEndsTheUpload(t *testing.T) {
	t.Parallel()
	door, _, _, _ := stocked(t, Limits{Lines: 1})
	door.types = broken{}

	got, err := take(t, door, Lines{In: strings.NewReader(line(1) + "\n" + line(2))})

	if len(got) != 0 || weir.CodeOf(err) != weir.Internal {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnAnswerThatCannotBeGivenEndsTheUpload(t *testing.T) {
	t.Parallel()
	door, _, _, _ := stocked(t, Limits{Lines: 1})
	gone := errors.New("gone")
	in := strings.NewReader(strings.Repeat(line(1)+"\n", 10_000))

	err := door.TakeLines(t.Context(), entry, Lines{In: in, Stop: func() {}}, func(Chunk) error { return gone })

	if !errors.Is(err, gone) || in.Len() == 0 || door.inFlight.used.Load() != 0 {
		t.Errorf("%v, %d bytes left, %d held", err, in.Len(), door.inFlight.used.Load())
	}
}

func TestAChunkIsAnsweredBeforeTheNextHasCome(t *testing.T) {
	t.Parallel()
	door, _, _, _ := stocked(t, Limits{Lines: 1})
	in, feed := io.Pipe()
	answered := make(chan Chunk)
	go func() {
		defer feed.Close()
		for i := range 3 {
			_, _ = io.WriteString(feed, line(i)+"\n")
			<-answered
		}
	}()

	err := door.TakeLines(t.Context(), entry, Lines{In: in}, func(c Chunk) error {
		answered <- c
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnUploadThatFailsDoesNotWaitForItsSender(t *testing.T) {
	t.Parallel()
	door, journal, _, _ := stocked(t, Limits{Lines: 1})
	journal.err = weir.E("append", weir.Unavailable, "no")
	in, feed := io.Pipe()
	go func() { _, _ = io.WriteString(feed, line(1)+"\n") }() // and nothing more

	err := door.TakeLines(t.Context(), entry, Lines{In: in, Stop: func() { _ = feed.Close() }}, func(Chunk) error { return nil })

	if weir.CodeOf(err) != weir.Unavailable {
		t.Error(err)
	}
}

func TestLinesHoldNoMoreMemoryThanTheDoorHas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		room int64
		code weir.Code
	}{"smaller chunks": {firstRead + 1000, ""}, "none": {1000, weir.Limited}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door, journal, _, _ := stocked(t, Limits{Lines: 10_000})
			door.inFlight.most = c.room
			var in bytes.Buffer
			for i := range 1500 {
				fmt.Fprintln(&in, line(i))
			}

			got, err := take(t, door, Lines{In: &in})

			if weir.CodeOf(err) != c.code || c.code == "" && (len(journal.records) != 1500 || len(got) < 2) {
				t.Errorf("%v, %d chunks, %d records", err, len(got), len(journal.records))
			}
		})
	}
}

func TestTheNextChunkIsReadWhileTheFormerIsBeingAppended(t *testing.T) {
	t.Parallel()
	door, journal, _, _ := stocked(t, Limits{Lines: 1})
	journal.mu.Lock() // the first append waits
	in, feed := io.Pipe()
	go func() {
		defer feed.Close()
		_, _ = io.WriteString(feed, line(1)+"\n")
		_, _ = io.WriteString(feed, line(2)+"\n") // returns once it is read
		journal.mu.Unlock()
	}()

	got, err := take(t, door, Lines{In: in})

	if err != nil || len(got) != 2 || got[1].Seq != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Lines come out as they went in, whatever the reads were cut into, and no chunk
// is over its bounds.
func TestSplittingLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.SampledFrom([]byte("ab\n")), 0, 200).Draw(t, "in")
		most := rapid.IntRange(1, 20).Draw(t, "most")
		count := rapid.IntRange(1, 5).Draw(t, "count")
		readers := []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader, func(r io.Reader) io.Reader { return r }}
		read := rapid.SampledFrom(readers).Draw(t, "read")

		checkSplit(t, in, most, count, read(bytes.NewReader(in)))
	})
}

// checkSplit holds split against bytes.Split.
func checkSplit(t rapid.TB, in []byte, most, count int, r io.Reader) {
	t.Helper()
	d := New(Options{Limits: Limits{Body: int64(most), Lines: count}})
	l := &lines{Door: d, Lines: Lines{In: r}}
	want := bytes.Split(in, newline)
	if len(want[len(want)-1]) == 0 {
		want = want[:len(want)-1]
	}
	for {
		body, n, err := l.split()
		l.give(cap(body))
		if errors.Is(err, io.EOF) {
			break
		}
		if n == 0 || n > len(want) || n > count {
			t.Fatalf("%d lines, %d are left", n, len(want))
		}
		if errors.Is(err, errLong) {
			if len(want[0]) <= most {
				t.Fatalf("%q is not too long", want[0])
			}
		} else if err != nil || len(body) > most+1 || !bytes.Equal(bytes.TrimSuffix(body, newline), bytes.Join(want[:n], newline)) {
			t.Fatalf("%q, want %q, %v", body, want[:n], err)
		}
		want = want[n:]
	}
	if len(want) != 0 {
		t.Fatalf("%q were lost", want)
	}
	if l.give(cap(l.buf)); l.held != 0 || d.inFlight.used.Load() != 0 {
		t.Fatalf("%d bytes are held", l.held)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), uint8(2), uint8(2))
	f.Add([]byte("aaaaaa\n"), uint8(3), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, most, count uint8) {
		checkSplit(t, in, int(most)+1, int(count)+1, iotest.HalfReader(bytes.NewReader(in)))
	})
}

// void is a journal that keeps nothing.
type void struct{}

func (void) Append(_ context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	return []weir.Receipt{{Items: make([]weir.Item, len(batches[0].Records))}}, nil
}

func BenchmarkLines(b *testing.B) {
	var in []byte
	for i := range 100_000 {
		in = fmt.Appendf(in, `{"specversion":"1.0","id":"order-%d","source":"/shop/eu","type":"order.placed","data":{"order":%d,"total":129.90}}`+"\n", i, i)
	}
	door := New(Options{Journal: void{}})
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := door.TakeLines(b.Context(), entry, Lines{In: bytes.NewReader(in), Stop: func() {}}, func(Chunk) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
