package track_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/track"
)

// memory is a journal in memory, as far as a tail asks.
type memory struct {
	mu      sync.Mutex
	records []*weir.Record // by seq; nil is one that is not kept
	moved   chan struct{}
	read    int // records
	track.Journal
}

func newMemory() *memory { return &memory{moved: make(chan struct{})} }

func (m *memory) append(records ...*weir.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		m.records = append(m.records, r)
		r.Seq, r.At = weir.Seq(len(m.records)), weir.Time(len(m.records))*1000
	}
	close(m.moved)
	m.moved = make(chan struct{})
}

func (m *memory) Head() weir.Seq {
	m.mu.Lock()
	defer m.mu.Unlock()
	return weir.Seq(len(m.records))
}

func (m *memory) Wait(ctx context.Context, after weir.Seq) error {
	for {
		m.mu.Lock()
		head, moved := weir.Seq(len(m.records)), m.moved
		m.mu.Unlock()
		if head > after {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *memory) Read(ctx context.Context, after weir.Seq, limit int) (out []*weir.Record, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records[min(int(after), len(m.records)):] {
		if r != nil {
			out = append(out, r)
		}
		if len(out) == limit {
			break
		}
	}
	m.read += len(out)
	return out, ctx.Err()
}

func (m *memory) Records(_ context.Context, seqs []weir.Seq) (out []*weir.Record, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, seq := range seqs {
		out = append(out, m.records[seq-1])
	}
	return out, nil
}

func (m *memory) Place(_ context.Context, id weir.Identity) (weir.Item, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if r != nil && r.Identity() == id {
			return weir.Item{Seq: r.Seq, At: r.At}, true
		}
	}
	return weir.Item{}, false
}

func (m *memory) Find(context.Context, journal.Query) (journal.Found, error) {
	return journal.Found{}, errors.New("not asked")
}

// startTail runs a tail until the test ends.
func startTail(t *testing.T, m *memory, o track.TailOptions) (tail *track.Tail, stop func()) {
	t.Helper()
	o.Journal, o.Reader, o.Log = m, &track.Reader{Journal: m}, slog.New(slog.NewTextHandler(t.Output(), nil))
	tail = track.NewTail(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- tail.Run(ctx) }()
	return tail, sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// reader follows and keeps what it was told.
type reader struct {
	stop  context.CancelFunc
	ended chan struct{}

	mu     sync.Mutex
	places []string
	items  []string
	err    error
}

func follow(ctx context.Context, tail *track.Tail, f client.StreamFilter, after string) *reader {
	ctx, cancel := context.WithCancel(ctx)
	r := &reader{stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		defer cancel()
		for page, err := range tail.Follow(ctx, 1, f, after) {
			r.mu.Lock()
			r.err = err
			r.places = append(r.places, page.Next)
			for _, item := range page.Items {
				r.items = append(r.items, item.Place+" "+itemText(item))
			}
			r.mu.Unlock()
		}
	}()
	return r
}

func (r *reader) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.items)
}

func (r *reader) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func itemText(item client.StreamItem) string {
	switch {
	case item.Event != nil:
		return "event " + item.Event.ID
	case item.Run != nil:
		return "run " + item.Run.ID[4:6] + " " + item.Run.Outcome
	case item.Group != nil:
		return "group " + item.Group.ID[4:6] + " " + item.Group.State
	}
	return fmt.Sprintf("gap %d-%d", item.Gap.From, item.Gap.To)
}

func eventOf(id, kind string) *weir.Record {
	return &weir.Record{Project: 1, Event: &weir.Event{ID: id, Source: "/s", Type: kind, Execution: "x"}}
}

func changeOf(run byte, n uint32, kind weir.ChangeKind, f *weir.Firing) *weir.Record {
	return &weir.Record{Project: 1, Change: &weir.Change{Run: weir.RunID{run}, N: n, Kind: kind, Pipeline: "p", Trigger: "t", Firing: f}}
}

func TestAFollowerIsToldWhatItAsksFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.append(eventOf("old", "a.b"))
		tail, stop := startTail(t, m, track.TailOptions{})
		defer stop()
		var readers []*reader
		for _, c := range []struct {
			filter client.StreamFilter
			want   []string
		}{
			{client.StreamFilter{}, []string{
				"2 event 1", "3 event 2", "4.1 group 09 fired", "4 run 01 retrying", "5 run 01 died", "7 event 3", "8 run 02 succeeded",
			}},
			{client.StreamFilter{Type: "a.*,!a.c"}, []string{"2 event 1", "7 event 3"}},
			{client.StreamFilter{Source: "/s"}, []string{"2 event 1", "3 event 2"}},
			{client.StreamFilter{Trigger: "t"}, []string{"4.1 group 09 fired", "4 run 01 retrying", "5 run 01 died", "8 run 02 succeeded"}},
			{client.StreamFilter{Pipeline: "q"}, nil},
			{client.StreamFilter{Run: weir.RunID{1}.String()}, []string{
				"4.1 group 09 fired", "4 run 01 retrying", "5 run 01 died", "7 event 3",
			}},
			{client.StreamFilter{Execution: "x"}, []string{"2 event 1", "3 event 2", "4.1 group 09 fired", "4 run 01 retrying", "5 run 01 died"}},
			{client.StreamFilter{Execution: "y", Kinds: "run"}, []string{"8 run 02 succeeded"}},
			{client.StreamFilter{Kinds: "group"}, []string{"4 group 09 fired"}},
			{client.StreamFilter{Kinds: "event,group"}, []string{"2 event 1", "3 event 2", "4 group 09 fired", "7 event 3"}},
		} {
			r := follow(t.Context(), tail, c.filter, "")
			readers = append(readers, r)
			defer func() {
				if diff := cmp.Diff(c.want, r.told()); diff != "" {
					t.Errorf("%+v (-want +got):\n%s", c.filter, diff)
				}
			}()
		}
		synctest.Wait()

		emitted := eventOf("3", "a.d")
		emitted.Event.Source, emitted.Event.Cause, emitted.Event.Execution = "/runs", weir.RunID{1}, "z"
		foreign := eventOf("4", "a.b")
		foreign.Project = 2
		stale := changeOf(1, 0, weir.Stale, nil)
		m.append(
			eventOf("1", "a.b"), eventOf("2", "a.c"),
			changeOf(1, 1, weir.Retrying, &weir.Firing{Group: weir.GroupID{9}, Reason: weir.Fired, Executions: []string{"x"}}),
			changeOf(1, 2, weir.Died, nil), foreign, emitted,
			changeOf(2, 1, weir.Succeeded, &weir.Firing{Executions: []string{"y"}}), stale,
			&weir.Record{}, // a tick
		)
		time.Sleep(time.Second)
		for _, r := range readers {
			r.stop()
			<-r.ended
		}
	})
}

// Whatever a follower was told before it was cut off, one that goes on from there
// is told the rest, each once.
func TestAFollowerGoesOnWithoutGapOrDouble(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			m := newMemory()
			tail, stop := startTail(t, m, track.TailOptions{})
			defer stop()
			var want []string
			n := 0
			add := func(count int) {
				var records []*weir.Record
				for range count {
					n++
					if n%3 == 0 {
						f := &weir.Firing{Group: weir.GroupID{byte(n)}, Reason: weir.Expired}
						records = append(records, changeOf(byte(n), 1, weir.Succeeded, f))
						want = append(want, fmt.Sprintf("%d.1 group %02x expired", n, byte(n)), fmt.Sprintf("%d run %02x succeeded", n, byte(n)))
						continue
					}
					records = append(records, eventOf(fmt.Sprint(n), "a"))
					want = append(want, fmt.Sprintf("%d event %d", n, n))
				}
				m.append(records...)
			}
			add(random.IntN(30))
			var got []string
			place := "0"
			for range 10 {
				left := 1 + random.IntN(200)
				cut := random.IntN(2) == 0
				for page, err := range tail.Follow(t.Context(), 1, client.StreamFilter{}, place) {
					if err != nil {
						t.Fatal(err)
					}
					place = page.Next
					for _, item := range page.Items {
						got = append(got, item.Place+" "+itemText(item))
						if left--; left == 0 {
							place = item.Place // cut in the middle of what was handed out
							break
						}
					}
					if left == 0 || len(page.Items) == 0 && cut {
						break
					}
					add(random.IntN(40))
				}
			}
			for page, err := range tail.Follow(t.Context(), 1, client.StreamFilter{}, place) {
				for _, item := range page.Items {
					got = append(got, item.Place+" "+itemText(item))
				}
				if err != nil || len(got) == len(want) {
					break
				}
			}

			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d (-want +got):\n%s", seed, diff)
			}
		})
	}
}

func TestAFollowerThatFallsBehindIsToldSoAndDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		for range 5000 { // one that begins far behind is not dropped
			m.append(&weir.Record{})
		}
		tail, stop := startTail(t, m, track.TailOptions{Behind: 1000})
		defer stop()
		next, end := iter.Pull2(tail.Follow(t.Context(), 1, client.StreamFilter{}, "0"))
		defer end()
		fast := follow(t.Context(), tail, client.StreamFilter{}, "")
		defer fast.stop()
		for range 2 {
			if page, err, _ := next(); err != nil {
				t.Fatal(page, err) // where it stands, and where it stands 15 s later
			}
		}
		m.append(eventOf("first", "a"))
		if page, err, _ := next(); err != nil || len(page.Items) != 1 {
			t.Fatal(page, err)
		}

		for i := range 1200 {
			m.append(eventOf(fmt.Sprint(i), "a"))
		}
		time.Sleep(time.Second)
		page, err, _ := next()

		if err == nil {
			_, err, _ = next()
		}
		if weir.CodeOf(err) != weir.Limited || !strings.Contains(err.Error(), "too slow") {
			t.Errorf("%d items, %v", len(page.Items), err)
		}
		if _, _, more := next(); more {
			t.Error("it goes on")
		}
		if n := len(fast.told()); n != 1201 || fast.failed() != nil {
			t.Errorf("the fast one has %d items, %v", n, fast.failed())
		}
	})
}

func TestWhatIsNotKeptIsToldAsAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		for i := range 10 {
			m.append(eventOf(fmt.Sprint(i+1), "a"))
		}
		for _, lost := range []int{0, 1, 2, 6} {
			m.records[lost] = nil
		}
		tail, stop := startTail(t, m, track.TailOptions{})
		defer stop()

		r := follow(t.Context(), tail, client.StreamFilter{}, "1")
		synctest.Wait()
		r.stop()
		<-r.ended

		want := []string{
			"3 gap 2-3", "4 event 4", "5 event 5", "6 event 6", "7 gap 7-7", "8 event 8", "9 event 9", "10 event 10",
		}
		if diff := cmp.Diff(want, r.told()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestASilentFollowerHearsWhereItStands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		tail, stop := startTail(t, m, track.TailOptions{})
		defer stop()
		r := follow(t.Context(), tail, client.StreamFilter{Type: "never"}, "")
		time.Sleep(time.Second / 2) // so that nothing happens when it is told

		for i := range 31 {
			m.append(eventOf(fmt.Sprint(i), "a"))
			time.Sleep(time.Second)
		}
		r.stop()
		<-r.ended

		if diff := cmp.Diff([]string{"0", "15", "30"}, r.places); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestFollowersAreBoundedAndEndWithTheTail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		tail, stop := startTail(t, m, track.TailOptions{Most: 3})
		var readers []*reader
		for range 3 {
			readers = append(readers, follow(t.Context(), tail, client.StreamFilter{}, ""))
		}
		synctest.Wait()
		refused := follow(t.Context(), tail, client.StreamFilter{}, "")
		<-refused.ended
		if weir.CodeOf(refused.err) != weir.Limited {
			t.Errorf("the fourth: %v", refused.err)
		}
		readers[0].stop()
		<-readers[0].ended
		readers[0] = follow(t.Context(), tail, client.StreamFilter{}, "")
		synctest.Wait()
		if err := readers[0].failed(); err != nil {
			t.Errorf("after one left: %v", err)
		}

		stop()

		for _, r := range readers {
			<-r.ended
			if weir.CodeOf(r.err) != weir.Unavailable {
				t.Errorf("at the end: %v", r.err)
			}
		}
	})
}

func TestAFilterOrPlaceThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tail, stop := startTail(t, newMemory(), track.TailOptions{})
		defer stop()
		for _, c := range []struct {
			filter       client.StreamFilter
			after, field string
		}{
			{client.StreamFilter{Kinds: "event,cake"}, "", "kinds"},
			{client.StreamFilter{Type: "a,["}, "", "type"},
			{client.StreamFilter{Run: "7"}, "", "run"},
			{client.StreamFilter{}, "x", "after"},
			{client.StreamFilter{}, "-1", "after"},
			{client.StreamFilter{}, "1.0", "after"},
			{client.StreamFilter{}, "0.1", "after"},
			{client.StreamFilter{}, "1.-1", "after"},
			{client.StreamFilter{}, "1.x", "after"},
			{client.StreamFilter{}, "1", "after"}, // past the end
			{client.StreamFilter{}, "99999999999999999999", "after"},
		} {
			r := follow(t.Context(), tail, c.filter, c.after)
			<-r.ended
			if e, ok := errors.AsType[*weir.Error](r.err); !ok || e.Code != weir.Invalid || e.Field != c.field {
				t.Errorf("%+v after %q: %v", c.filter, c.after, r.err)
			}
		}
	})
}

// What happens is read and compared once for all that ask for the same, and read
// again only by those for whom there is something.
func TestIdleFollowersReadNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		tail, stop := startTail(t, m, track.TailOptions{})
		defer stop()
		for i := range 500 {
			r := follow(t.Context(), tail, client.StreamFilter{Type: fmt.Sprint("of.", i%10)}, "")
			defer r.stop()
		}
		synctest.Wait()

		for i := range 2000 {
			m.append(eventOf(fmt.Sprint(i), "other"))
		}
		time.Sleep(10 * time.Second)

		m.mu.Lock()
		defer m.mu.Unlock()
		if m.read != 2000 {
			t.Errorf("%d records were read of 2000", m.read)
		}
	})
}

// Those who come back after a restart read what they missed once for all, where
// it is for none of them, and are told of the rest.
func TestManyWhoComeBackReadThePastOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		const behind, many = 20 * 1024, 200
		for i := range behind {
			m.append(eventOf(fmt.Sprint(i), map[bool]string{true: "of.7", false: "other"}[i == 12_345]))
		}
		m.records[3000] = nil
		tail, stop := startTail(t, m, track.TailOptions{})
		defer stop()
		readers := make([]*reader, many)
		for i := range readers {
			readers[i] = follow(t.Context(), tail, client.StreamFilter{Type: fmt.Sprint("of.", i)}, fmt.Sprint(i))
			defer readers[i].stop()
		}
		time.Sleep(time.Second)
		synctest.Wait()

		for i, r := range readers {
			want := []string{"3001 gap 3001-3001"}
			if i == 7 {
				want = append(want, "12346 event 12345")
			}
			if diff := cmp.Diff(want, r.told()); diff != "" {
				t.Errorf("reader %d (-want +got):\n%s", i, diff)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		// Each reads the block with the gap itself, and one that with the event.
		if most := behind + many*2*1024; m.read > most {
			t.Errorf("%d records were read, %d are enough", m.read, most)
		}
	})
}
