package sealed

import (
	"encoding/binary"
	"io"
	"iter"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"weir"
)

const (
	// bitsARecord of a filter, and the probes in them, let one in a thousand
	// identities pass that was never added.
	bitsARecord = 16
	blockWords  = 8 // a line of the processor's cache
	probes      = 7

	smallest = 1 << 16 // records in the first filter
	largest  = 1 << 24
)

// Span is what a filter covers: the records of chapters that follow each other.
type Span struct {
	First, Last weir.Seq
	From, To    weir.Time // when the first and the last were accepted
	Count       int       // of identities
}

// Filter says of an identity that it is surely not, or perhaps, among those of
// many chapters. It is kept in memory, 2 bytes for each record that it has room
// for. A Filter itself does not change: With makes the one that takes its place,
// and both share their bits. So who asks need not wait for who adds.
type Filter struct {
	span     Span
	capacity int
	words    []uint64
}

// Room returns the filter that takes in n records accepted up to a time: the
// newest of list, which is in the order of seqs, or a new one, when that is full
// or has taken in a quarter of the window. There are few of them, since a new
// one has room for as many as all before it, 16,777,216 at most.
func Room(list []*Filter, n int, to weir.Time, window time.Duration) *Filter {
	held := 0
	for _, f := range list {
		held += f.span.Count
	}
	if len(list) > 0 {
		last := list[len(list)-1]
		young := last.span.Count == 0 || to.Sub(last.span.From) <= window/4
		if young && last.span.Count+n <= last.capacity {
			return last
		}
	}
	capacity := max(n, min(max(held, smallest), largest))
	return &Filter{capacity: capacity, words: make([]uint64, blocksFor(capacity)*blockWords)}
}

func blocksFor(capacity int) int { return max(1, (capacity*bitsARecord+511)/512) }

// Perhaps yields the spans of list, newest first, in which an identity may be.
func Perhaps(list []*Filter, id weir.Identity) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		for _, f := range slices.Backward(list) {
			if f.May(id) && !yield(f.span) {
				return
			}
		}
	}
}

// Span returns what the filter covers.
func (f *Filter) Span() Span { return f.span }

// Bytes returns what the filter takes in memory, and about that on disk.
func (f *Filter) Bytes() int { return len(f.words) * 8 }

// May reports whether an identity is perhaps among the filter's.
func (f *Filter) May(id weir.Identity) bool {
	block, probe := f.place(id)
	for range probes {
		if atomic.LoadUint64(&block[probe>>6&(blockWords-1)])>>(probe&63)&1 == 0 {
			return false
		}
		probe >>= 9
	}
	return true
}

func (f *Filter) add(id weir.Identity) {
	block, probe := f.place(id)
	for range probes {
		atomic.OrUint64(&block[probe>>6&(blockWords-1)], 1<<(probe&63))
		probe >>= 9
	}
}

// place returns the block of an identity, and bits that say which of it.
func (f *Filter) place(id weir.Identity) (block []uint64, probe uint64) {
	le := binary.LittleEndian
	n, _ := bits.Mul64(le.Uint64(id[:]), uint64(len(f.words)/blockWords))
	return f.words[n*blockWords : (n+1)*blockWords], le.Uint64(id[8:])
}

// With returns a filter that covers the chapter of an index, too, whose places
// count from first. Pause is called as by Builder.Finish.
func (f *Filter) With(x *Index, first weir.Seq, pause func() error) (*Filter, error) {
	g := *f
	if g.span.Count == 0 {
		g.span.First, g.span.From = first, x.first
	}
	g.span.Last, g.span.To = first+weir.Seq(x.place), x.last
	var rows [rowsAPage * pagesAtOnce]Row
	for rank := 0; rank < x.count; {
		n, err := x.Rows(rows[:], rank)
		if err != nil {
			return nil, err
		}
		for i := range rows[:n] {
			if id := rows[i].Identity; id != (weir.Identity{}) {
				g.add(id)
				g.span.Count++
			}
		}
		rank += n
		if err := pause(); err != nil {
			return nil, err
		}
	}
	return &g, nil
}

const (
	filterMagic   = "weir filter\x00"
	filterVersion = 1
	filterHeader  = 80
)

func filterSalt(dataID [16]byte) salt { return salt(dataID) }

// Write writes the filter of a journal to w, which is empty, its header last.
// The caller syncs it. Pause is called as by Builder.Finish.
func (f *Filter) Write(w io.WriterAt, dataID [16]byte, pause func() error) error {
	le := binary.LittleEndian
	out := pageWriter{w: w, salt: filterSalt(dataID), page: 1}
	for i := range f.words {
		b, err := out.room(8)
		if err != nil {
			return err
		}
		le.PutUint64(b, atomic.LoadUint64(&f.words[i]))
		if i%(8*pauseEvery) == 0 {
			if err := pause(); err != nil {
				return err
			}
		}
	}
	b := make([]byte, filterHeader)
	copy(b, filterMagic)
	le.PutUint32(b[12:], filterVersion)
	copy(b[16:], dataID[:])
	le.PutUint64(b[32:], uint64(f.span.First))
	le.PutUint64(b[40:], uint64(f.span.Last))
	le.PutUint64(b[48:], uint64(f.span.From))
	le.PutUint64(b[56:], uint64(f.span.To))
	le.PutUint64(b[64:], uint64(f.span.Count))
	le.PutUint64(b[72:], uint64(f.capacity))
	return out.finish(b)
}

// OpenFilter reads the filter of a journal that was written to r; name is for
// errors. What is none of it is ErrDamaged.
func OpenFilter(name string, r io.ReaderAt, dataID [16]byte) (*Filter, error) {
	le := binary.LittleEndian
	in := pageReader{name, r, filterSalt(dataID)}
	b := make([]byte, pagesAtOnce*pageSize)
	if err := in.read(b[:pageSize], 0); err != nil {
		return nil, err
	}
	f := &Filter{
		span: Span{
			First: weir.Seq(le.Uint64(b[32:])), Last: weir.Seq(le.Uint64(b[40:])),
			From: weir.Time(le.Uint64(b[48:])), To: weir.Time(le.Uint64(b[56:])), Count: int(le.Uint64(b[64:])),
		},
		capacity: int(le.Uint64(b[72:])),
	}
	if string(b[:12]) != filterMagic || le.Uint32(b[12:]) != filterVersion || [16]byte(b[16:]) != dataID ||
		f.capacity < 0 || f.capacity > 1<<32 {
		return nil, in.damaged("its header is that of another journal or format")
	}
	words := blocksFor(f.capacity) * blockWords
	// The last page first: what is not there is given no memory.
	if err := in.read(b[:pageSize], pages(words, keysAPage)); err != nil {
		return nil, err
	}
	f.words = make([]uint64, 0, words)
	for page := 1; len(f.words) < words; page += pagesAtOnce {
		left := words - len(f.words)
		b = b[:min(pagesAtOnce, pages(left, keysAPage))*pageSize]
		if err := in.read(b, page); err != nil {
			return nil, err
		}
		for p := b; len(p) > 0; p = p[pageSize:] {
			for i := range min(keysAPage, words-len(f.words)) {
				f.words = append(f.words, le.Uint64(p[8*i:]))
			}
		}
	}
	return f, nil
}
