package chapter

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/file"
	"weir/internal/journal/journaltest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, o := range []struct {
		name string
		Options
	}{
		{"one chapter", Options{}},
		{"small chapters and tail", Options{MaxRecords: 20, Tail: 8}},
		{"tiny chapters", Options{MaxRecords: 4, Tail: 2}},
	} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			journaltest.Run(t, func(tb testing.TB, dir string) (journaltest.Journal, io.Closer) {
				o := o.Options
				o.Dir = dir
				j, err := Open(tb.Context(), o)
				if err != nil {
					tb.Fatal(err)
				}
				return j, j
			})
		})
	}
}

// start opens a journal on a disk and closes it at the end of the test.
func start(tb testing.TB, d *faultDisk, o Options) *Journal {
	tb.Helper()
	o.FS = d
	j, err := Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close() })
	return j
}

func stop(tb testing.TB, j *Journal) {
	tb.Helper()
	if err := j.Close(); err != nil {
		tb.Fatal(err)
	}
}

// event makes an event with an id and data of a size.
func event(id string, size int) *weir.Record {
	return &weir.Record{Project: 1, Event: &weir.Event{
		ID: id, Source: "/s", Type: "t", Execution: "x-" + id, Data: bytes.Repeat([]byte{'d'}, size),
	}}
}

func events(prefix string, n, size int) weir.Batch {
	var b weir.Batch
	for i := range n {
		b.Records = append(b.Records, event(fmt.Sprint(prefix, i), size))
	}
	return b
}

func put(tb testing.TB, j *Journal, batches ...weir.Batch) []weir.Receipt {
	tb.Helper()
	got, err := j.Append(tb.Context(), batches...)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// all reads the whole journal.
func all(tb testing.TB, j *Journal) []*weir.Record {
	tb.Helper()
	var out []*weir.Record
	after := weir.Seq(0)
	for {
		got, err := j.Read(tb.Context(), after, 100)
		if err != nil {
			tb.Fatal(err)
		}
		if len(got) == 0 {
			return out
		}
		out = append(out, got...)
		after = got[len(got)-1].Seq
	}
}

func same(tb testing.TB, what string, got, want []*weir.Record) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func wantCode(tb testing.TB, err error, code weir.Code) {
	tb.Helper()
	if weir.CodeOf(err) != code {
		tb.Fatalf("got %v, want an error with code %s", err, code)
	}
}

func TestChapterBeginsAtTheLimitAndAllAreRead(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	o := Options{MaxRecords: 10, Tail: 4}
	j := start(t, d, o)
	for i := range 17 {
		put(t, j, events(fmt.Sprint("a", i, "."), 3, 10))
	}
	want := all(t, j)
	stop(t, j)

	j = start(t, d, o)

	if got := j.Stats(); got.Chapters != 5 || got.Head != 51 {
		t.Errorf("got %+v", got)
	}
	same(t, "records after reopening", all(t, j), want)
	got := put(t, j, weir.Batch{Records: []*weir.Record{event("a0.1", 0), event("new", 0)}})
	wantItems := []weir.Item{{Seq: 2, At: want[1].At, Repeated: true}, {Seq: 52, At: j.At()}}
	if diff := cmp.Diff(wantItems, got[0].Items); diff != "" {
		t.Error(diff)
	}
	found, err := j.Find(t.Context(), journal.Query{Project: 1, Kind: journal.ByExecution, Value: "x-a0.2"})
	if err != nil || found.Next != 0 {
		t.Fatal(found.Next, err)
	}
	same(t, "found", found.Records, want[2:3])
}

func TestBytesBoundAChapter(t *testing.T) {
	t.Parallel()
	j := start(t, newFaultDisk(), Options{MaxBytes: 10_000})

	for i := range 8 {
		put(t, j, events(fmt.Sprint(i, "."), 1, 3000))
	}

	if got := j.Stats().Chapters; got != 4 {
		t.Errorf("%d chapters, want 4", got)
	}
}

func TestAtGoesOnAtHalfSpeedWhenTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	c := clock{}
	mono := time.Now()
	wall := time.UnixMicro(10_000_000)
	at := func(wallMoved, monoMoved time.Duration) weir.Time {
		return c.next(wall.Add(wallMoved), mono.Add(monoMoved))
	}

	got := []weir.Time{
		at(0, 0),
		at(-time.Hour, time.Second),
		at(-time.Hour+2*time.Second, 3*time.Second),
		at(-time.Hour+2*time.Second, 3*time.Second),
		at(-time.Hour, 2*time.Second),
		at(5*time.Second, 4*time.Second),
		at(4*time.Second, 5*time.Second),
		at(4*time.Second, 7*time.Second),
	}

	want := []weir.Time{10_000_000, 10_000_000, 11_000_000, 11_000_000, 11_000_000, 15_000_000, 15_000_000, 16_000_000}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAtNeverDecreasesOverARestartWithTheClockSetBack(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	now := time.UnixMicro(10_000_000)
	o := Options{Now: func() time.Time { return now }, MaxRecords: 2}
	j := start(t, d, o)
	put(t, j, events("a", 1, 0))
	stop(t, j)
	now = now.Add(-time.Hour)

	j = start(t, d, o)
	for i := range 4 {
		put(t, j, events(fmt.Sprint("b", i), 1, 0))
	}

	last := weir.Time(10_000_000)
	for _, r := range all(t, j) {
		if r.At < last {
			t.Errorf("record %d has %s after %s", r.Seq, r.At, last)
		}
		last = r.At
	}
	if last > weir.TimeOf(now.Add(2*time.Hour)) {
		t.Errorf("at ran away to %s", last)
	}
}

func TestAFullQueueAnswersLimited(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{Queue: 2})
	entered, release := blockSync(d)
	done := make(chan error)
	send := func(id string) {
		_, err := j.Append(t.Context(), events(id, 1, 0))
		done <- err
	}
	go send("a")
	<-entered
	go send("b")
	go send("c")
	for j.Stats().Waiting < 2 {
		runtime.Gosched()
	}

	_, err := j.Append(t.Context(), events("d", 1, 0))

	wantCode(t, err, weir.Limited)
	close(release)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	put(t, j, events("d", 1, 0))
}

// blockSync makes each sync of a file tell entered and wait for release.
func blockSync(d *faultDisk) (entered chan string, release chan struct{}) {
	entered, release = make(chan string, 100), make(chan struct{})
	d.onChange(func(op, name string) error {
		if op == "sync" {
			entered <- name
			<-release
		}
		return nil
	})
	return entered, release
}

func TestARepeatedOneIsNotAnsweredBeforeItsOriginalIsDurable(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{})
	entered, release := blockSync(d)
	type answer struct {
		receipts []weir.Receipt
		err      error
	}
	answers := make(chan answer, 2)
	send := func() {
		r, err := j.Append(t.Context(), events("a", 1, 0))
		answers <- answer{r, err}
	}
	go send()
	<-entered
	go send()
	for j.Stats().Waiting == 0 {
		runtime.Gosched()
	}

	if _, ok := j.Place(t.Context(), event("a0", 0).Identity()); ok || j.Head() != 0 || len(answers) > 0 {
		t.Fatal("seen before it is durable")
	}
	close(release)
	first, second := <-answers, <-answers

	if first.err != nil || second.err != nil {
		t.Fatal(first.err, second.err)
	}
	if first.receipts[0].Items[0].Repeated {
		first, second = second, first
	}
	want := weir.Item{Seq: 1, At: first.receipts[0].Items[0].At, Repeated: true}
	if first.receipts[0].Items[0].Repeated || second.receipts[0].Items[0] != want {
		t.Errorf("got %+v and %+v", first, second)
	}
}

func TestRepeatedInAGroupThatFailsIsUnavailableAndForgotten(t *testing.T) {
	t.Parallel()
	d := newFaultDisk()
	j := start(t, d, Options{})
	boom := fmt.Errorf("i/o error")
	d.onChange(failOn("sync", boom))

	_, err := j.Append(t.Context(), events("a", 1, 0), events("a", 1, 0))

	wantCode(t, err, weir.Unavailable)
	if _, ok := j.Place(t.Context(), event("a0", 0).Identity()); ok {
		t.Error("what a failed write took in is found")
	}
	if got := all(t, j); len(got) > 0 || j.Head() != 0 {
		t.Errorf("got %d records", len(got))
	}
}

func failOn(op string, err error) func(op, name string) error {
	return func(o, _ string) error {
		if o == op {
			return err
		}
		return nil
	}
}

func TestForeignChapterIsRefusedByName(t *testing.T) {
	t.Parallel()
	d, other := newFaultDisk(), newFaultDisk()
	stop(t, start(t, d, Options{}))
	j := start(t, other, Options{MaxRecords: 1})
	put(t, j, events("a", 1, 0))
	put(t, j, events("b", 1, 0))
	stop(t, j)
	d.names[file.Name(2, 0)] = other.names[file.Name(2, 0)]

	_, err := Open(t.Context(), Options{FS: d})

	wantCode(t, err, weir.Unavailable)
	if !bytes.Contains([]byte(err.Error()), []byte(file.Name(2, 0))) {
		t.Errorf("%v does not name the chapter", err)
	}
}

func TestOneProcessHasTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}

	_, err = Open(t.Context(), Options{Dir: dir})

	wantCode(t, err, weir.Unavailable)
	stop(t, j)
	j, err = Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, j)
}

func TestClosedJournalAnswersUnavailable(t *testing.T) {
	t.Parallel()
	j := start(t, newFaultDisk(), Options{})
	waited := make(chan error)
	go func() { waited <- j.Wait(t.Context(), 0) }()
	stop(t, j)

	_, err := j.Append(t.Context(), events("a", 1, 0))

	wantCode(t, err, weir.Unavailable)
	wantCode(t, <-waited, weir.Unavailable)
	stop(t, j)
}

func TestWhatIsLeftOfARepeatedBatchHasDataOfItsOwn(t *testing.T) {
	t.Parallel()
	j, err := Open(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	body := []byte(`{"n":1}{"n":2}`)
	record := func(id string, data []byte) *weir.Record {
		return &weir.Record{Project: 1, Event: &weir.Event{ID: id, Source: "/s", Type: "t", Data: data}}
	}
	for _, batch := range [][]*weir.Record{
		{record("1", body[:7])},
		{record("1", body[:7]), record("2", body[7:])},
	} {
		if _, err := j.Append(t.Context(), weir.Batch{Records: batch}); err != nil {
			t.Fatal(err)
		}
	}

	got, err := j.Read(t.Context(), 0, 10)

	if err != nil || len(got) != 2 || string(got[1].Event.Data) != `{"n":2}` {
		t.Fatalf("got %d records, %v", len(got), err)
	}
	if &got[1].Event.Data[0] == &body[7] {
		t.Error("the second event keeps the body of both")
	}
}
