package sealed_test

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/journal/sealed"
)

// disk is a file in memory.
type disk struct{ b []byte }

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(d.b) {
		d.b = append(d.b, make([]byte, end-len(d.b))...)
	}
	return copy(d.b[off:], p), nil
}

func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(d.b)) {
		return 0, io.EOF
	}
	n := copy(p, d.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func goOn() error { return nil }

var chapter = sealed.Chapter{DataID: [16]byte{1, 2, 3}, ID: 77}

// entry is a record as a test gives it to a builder.
type entry struct {
	sealed.Row
	hashes []uint64
}

func build(t testing.TB, entries []entry) *disk {
	t.Helper()
	d := &disk{}
	b := sealed.NewBuilder(d, chapter)
	for _, e := range entries {
		if err := b.Add(e.Row, e.hashes); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Finish(goOn); err != nil {
		t.Fatal(err)
	}
	return d
}

func open(t testing.TB, r io.ReaderAt) *sealed.Index {
	t.Helper()
	x, err := sealed.Open("a.index", r, chapter)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// identity n has half a hash in common with a quarter of all others.
func identity(n uint64) (id weir.Identity) {
	binary.BigEndian.PutUint32(id[:], uint32(n%4)<<30)
	binary.LittleEndian.PutUint64(id[8:], n+1)
	return id
}

// entries draws records: dense or with gaps, some lost, many under few hashes.
func entries(t *rapid.T) []entry {
	gap := rapid.IntRange(1, 3).Draw(t, "gap")
	n := rapid.IntRange(0, 1200).Draw(t, "records")
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	list := make([]entry, n)
	place, at := r.IntN(gap), weir.Time(1000)
	for i := range list {
		list[i].Row = sealed.Row{Place: place, At: at}
		if r.IntN(8) > 0 {
			list[i].Offset = int64(4096 + 100*i)
		}
		if r.IntN(8) > 0 {
			list[i].Identity = identity(uint64(place))
		}
		for range r.IntN(4) {
			h := uint64(r.IntN(5)) << 61
			if r.IntN(2) == 0 {
				h |= 1 << 40
			}
			list[i].hashes = append(list[i].hashes, h, h)
		}
		place += 1 + r.IntN(gap)
		at += weir.Time(r.IntN(3))
	}
	return list
}

// found is what Find should find, by looking at all there is.
func found(list []entry, hash uint64, low, high int) (places []int) {
	for _, e := range slices.Backward(list) {
		hits := slices.ContainsFunc(e.hashes, func(h uint64) bool { return h>>32 == hash>>32 })
		hits = hits || e.Identity != (weir.Identity{}) && binary.BigEndian.Uint32(e.Identity[:]) == uint32(hash>>32)
		if hits && e.Place >= low && e.Place <= high {
			places = append(places, e.Place)
		}
	}
	return places
}

func findAll(t *rapid.T, x *sealed.Index, hash uint64, low, high int) (places []int) {
	dst := make([]int, rapid.IntRange(1, 70).Draw(t, "block"))
	for {
		n, err := x.Find(dst, hash, low, high)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, dst[:n]...)
		if n < len(dst) {
			return places
		}
		high = dst[n-1] - 1
	}
}

func TestIndexAnswersAsIfAllRecordsWereLookedAt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		list := entries(r)
		x := open(t, build(t, list))

		if x.Count() != len(list) {
			r.Fatalf("%d rows of %d", x.Count(), len(list))
		}
		end := 1
		if len(list) > 0 {
			end = list[len(list)-1].Place + 2
		}
		low, high := rapid.IntRange(-1, end).Draw(r, "low"), rapid.IntRange(-1, end).Draw(r, "high")
		for _, hash := range []uint64{0, 1 << 40, 1 << 61, 3<<61 | 1<<40, 7 << 61, 5} {
			if d := cmp.Diff(found(list, hash, low, high), findAll(r, x, hash, low, high)); d != "" {
				r.Fatalf("hash %x in [%d, %d] (-want +got):\n%s", hash, low, high, d)
			}
		}
		checkRows(r, x, list)
		place := rapid.IntRange(-1, end).Draw(r, "place")
		checkPlace(r, x, list, place)
		at := weir.Time(999 + rapid.IntRange(0, 2+2*len(list)).Draw(r, "at"))
		rank, err := x.FirstAt(at)
		want, _ := slices.BinarySearchFunc(list, at, func(e entry, at weir.Time) int {
			if e.At < at {
				return -1
			}
			return 1
		})
		if rank != want || err != nil {
			r.Fatalf("first at %d is %d, %v, want %d", at, rank, err, want)
		}
	})
}

func checkRows(r *rapid.T, x *sealed.Index, list []entry) {
	from := rapid.IntRange(0, len(list)+1).Draw(r, "from")
	rows := make([]sealed.Row, rapid.IntRange(0, len(list)+1).Draw(r, "rows"))
	n, err := x.Rows(rows, from)
	if err != nil {
		r.Fatal(err)
	}
	var want []sealed.Row
	for i := from; i < min(len(list), from+len(rows)); i++ {
		want = append(want, list[i].Row)
	}
	if d := cmp.Diff(want, append([]sealed.Row(nil), rows[:n]...)); d != "" {
		r.Fatalf("rows from %d (-want +got):\n%s", from, d)
	}
}

func checkPlace(r *rapid.T, x *sealed.Index, list []entry, place int) {
	want, there := slices.BinarySearchFunc(list, place, func(e entry, p int) int { return e.Place - p })
	rank, err := x.Rank(place)
	if rank != want || err != nil {
		r.Fatalf("rank of %d is %d, %v, want %d", place, rank, err, want)
	}
	row, ok, err := x.Row(place)
	if ok != there || err != nil || ok && row != list[want].Row {
		r.Fatalf("row of %d: %v, %v, %v", place, row, ok, err)
	}
	row, ok, err = x.Identity(identity(uint64(place)))
	has := there && list[want].Identity != (weir.Identity{})
	if ok != has || err != nil || ok && row != list[want].Row {
		r.Fatalf("identity of %d: %v, %v, %v; want %v", place, row, ok, err, has)
	}
}

func TestRecordsOutOfOrderAreRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []sealed.Row{{Place: 3, At: 10}, {Place: 4, At: 9}, {Place: 4, At: 10, Offset: 1 << 32}} {
		b := sealed.NewBuilder(&disk{}, chapter)
		if err := b.Add(sealed.Row{Place: 3, At: 10}, nil); err != nil {
			t.Fatal(err)
		}

		if err := b.Add(r, nil); weir.CodeOf(err) != weir.Internal {
			t.Errorf("%v: %v", r, err)
		}
	}
}

func TestPauseEndsABuild(t *testing.T) {
	t.Parallel()
	b := sealed.NewBuilder(&disk{}, chapter)
	for i := range 1 << 16 {
		if err := b.Add(sealed.Row{Place: i}, []uint64{1, 2}); err != nil {
			t.Fatal(err)
		}
	}
	stop, pauses := errors.New("stop"), 0

	err := b.Finish(func() error {
		if pauses++; pauses == 5 {
			return stop
		}
		return nil
	})

	if !errors.Is(err, stop) {
		t.Errorf("%v after %d pauses", err, pauses)
	}
}

func TestEveryChangedByteIsFound(t *testing.T) {
	t.Parallel()
	var list []entry
	for i := range 2000 {
		list = append(list, entry{sealed.Row{Place: i, At: weir.Time(i), Identity: identity(uint64(i))}, []uint64{uint64(i) << 50, 3}})
	}
	d := build(t, list)
	all := func() error {
		x, err := sealed.Open("a.index", d, chapter)
		if err != nil {
			return err
		}
		return x.Check(goOn)
	}
	if err := all(); err != nil {
		t.Fatal(err)
	}
	for off := 0; off < len(d.b); off += 509 {
		d.b[off] ^= 0x40
		if err := all(); !errors.Is(err, sealed.ErrDamaged) || weir.CodeOf(err) != weir.Unavailable {
			t.Errorf("byte %d: %v", off, err)
		}
		d.b[off] ^= 0x40
	}
	for _, n := range []int{0, 100, 4096, len(d.b) - 1} {
		whole := d.b
		d.b = d.b[:n]
		if err := all(); !errors.Is(err, sealed.ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
		d.b = whole
	}
	if _, err := sealed.Open("a.index", d, sealed.Chapter{DataID: chapter.DataID, ID: 78}); !errors.Is(err, sealed.ErrDamaged) {
		t.Errorf("of another chapter: %v", err)
	}
}

const day = 24 * time.Hour

func TestFiltersAreFew(t *testing.T) {
	t.Parallel()
	r := make([]sealed.Row, 1<<12)
	for i := range r {
		r[i] = sealed.Row{Place: i, Identity: identity(uint64(i))}
	}
	var list []*sealed.Filter
	for n := range 64 { // sixteen days of chapters that are a quarter of a day each
		at := weir.Time(n) * weir.Time(6*time.Hour/time.Microsecond)
		b := make([]entry, len(r))
		for i := range b {
			b[i].Row = r[i]
			b[i].At = at
		}
		x := open(t, build(t, b))
		into := sealed.Room(list, x.Count(), at, 7*day)
		next, err := into.With(x, weir.Seq(1+n<<12), goOn)
		if err != nil {
			t.Fatal(err)
		}
		if k := len(list); k > 0 && list[k-1] == into {
			list = list[:k-1]
		}
		list = slices.DeleteFunc(append(list, next), func(f *sealed.Filter) bool { return f.Span().To < at.Add(-7*day) })
	}

	if len(list) > 6 {
		t.Errorf("%d filters for a window", len(list))
	}
	last := weir.Seq(0)
	for s := range sealed.Perhaps(list, identity(5)) {
		if last > 0 && s.Last >= last {
			t.Errorf("%+v is not before %d", s, last)
		}
		last = s.First
	}
	if last == 0 || last > 64<<12-28<<12 {
		t.Errorf("the window reaches back to %d", last)
	}
}

func TestDamagedFilterIsFound(t *testing.T) {
	t.Parallel()
	d := &disk{}
	if err := sealed.Room(nil, 10, 0, day).Write(d, chapter.DataID, goOn); err != nil {
		t.Fatal(err)
	}
	for _, off := range []int{0, 79, 4095, 4096, 100_000, len(d.b) - 1} {
		d.b[off] ^= 1
		if _, err := sealed.OpenFilter("a.filter", d, chapter.DataID); !errors.Is(err, sealed.ErrDamaged) {
			t.Errorf("byte %d: %v", off, err)
		}
		d.b[off] ^= 1
	}
	if _, err := sealed.OpenFilter("a.filter", d, [16]byte{}); !errors.Is(err, sealed.ErrDamaged) {
		t.Errorf("of another journal: %v", err)
	}
}
