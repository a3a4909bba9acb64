package sealed

import (
	"encoding/binary"
	"io"
	"math"
	"slices"
	"sort"
	"sync"

	"weir"
)

// Index is the open index of a chapter. Its methods may be called at the same
// time. Their errors are Unavailable, and ErrDamaged where a page is not as it
// was written.
type Index struct {
	pageReader
	header
	places  []uint32 // the first of each page of rows
	firsts  []uint64 // the first of each page of keys
	buffers sync.Pool
}

// header is the first page of an index.
type header struct {
	chapter     Chapter
	count, keys int
	first, last weir.Time
	place       int // of the last row
}

const (
	indexMagic   = "weir index\x00\x00"
	indexVersion = 1
	headerSize   = 72
)

func (h *header) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, headerSize)
	copy(b, indexMagic)
	le.PutUint32(b[12:], indexVersion)
	copy(b[16:], h.chapter.DataID[:])
	le.PutUint64(b[32:], h.chapter.ID)
	le.PutUint32(b[40:], uint32(h.count))
	le.PutUint32(b[44:], uint32(h.place))
	le.PutUint64(b[48:], uint64(h.keys))
	le.PutUint64(b[56:], uint64(h.first))
	le.PutUint64(b[64:], uint64(h.last))
	return b
}

// decode reads what encode wrote; an index of a newer format is damage, too,
// since it is made anew.
func (h *header) decode(b []byte, of Chapter) bool {
	le := binary.LittleEndian
	copy(h.chapter.DataID[:], b[16:])
	h.chapter.ID = le.Uint64(b[32:])
	h.count, h.place = int(le.Uint32(b[40:])), int(le.Uint32(b[44:]))
	h.keys = int(le.Uint64(b[48:]))
	h.first, h.last = weir.Time(le.Uint64(b[56:])), weir.Time(le.Uint64(b[64:]))
	return string(b[:12]) == indexMagic && le.Uint32(b[12:]) == indexVersion && h.chapter == of &&
		h.count <= h.place+1 && h.keys >= 0 && h.keys <= math.MaxInt32*keysAPage
}

// pages returns how many pages n entries take.
func pages(n, aPage int) int { return (n + aPage - 1) / aPage }

// Open opens the index of a chapter that was written to r; name is for errors.
// What is no index of it is ErrDamaged.
func Open(name string, r io.ReaderAt, of Chapter) (*Index, error) {
	x := &Index{pageReader: pageReader{name, r, saltOf(of)}}
	x.buffers.New = func() any { return new([pageSize]byte) }
	b := make([]byte, pageSize)
	if err := x.read(b, 0); err != nil {
		return nil, err
	}
	if !x.decode(b, of) {
		return nil, x.damaged("its header is that of another chapter or format")
	}
	rows, keys := pages(x.count, rowsAPage), pages(x.keys, keysAPage)
	page := 1 + rows + keys
	for left := rows; left > 0; left, page = left-payload/4, page+1 {
		if err := x.read(b, page); err != nil {
			return nil, err
		}
		for i := range min(left, payload/4) {
			x.places = append(x.places, binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	for left := keys; left > 0; left, page = left-keysAPage, page+1 {
		if err := x.read(b, page); err != nil {
			return nil, err
		}
		for i := range min(left, keysAPage) {
			x.firsts = append(x.firsts, binary.LittleEndian.Uint64(b[8*i:]))
		}
	}
	x.places, x.firsts = slices.Clip(x.places), slices.Clip(x.firsts)
	return x, nil
}

// Count returns how many rows there are.
func (x *Index) Count() int { return x.count }

// Times returns when the first and the last record were accepted.
func (x *Index) Times() (first, last weir.Time) { return x.first, x.last }

// Last returns the greatest place.
func (x *Index) Last() int { return x.place }

// buffer returns a page to read into, and how to give it back.
func (x *Index) buffer() (*[pageSize]byte, func()) {
	b := x.buffers.Get().(*[pageSize]byte)
	return b, func() { x.buffers.Put(b) }
}

// rowsOf returns how many rows stand in a page of rows, from 0.
func (x *Index) rowsOf(page int) int { return min(rowsAPage, x.count-page*rowsAPage) }

// Rank returns how many rows stand before a place: the rank of its own, if it
// has one.
func (x *Index) Rank(place int) (int, error) {
	page := sort.Search(len(x.places), func(i int) bool { return int(x.places[i]) > place }) - 1
	if page < 0 {
		return 0, nil
	}
	b, free := x.buffer()
	defer free()
	if err := x.read(b[:], 1+page); err != nil {
		return 0, err
	}
	n := sort.Search(x.rowsOf(page), func(i int) bool {
		return int(binary.LittleEndian.Uint32(b[i*rowSize:])) >= place
	})
	return page*rowsAPage + n, nil
}

// Rows fills dst with the rows from a rank on, from 0, and returns how many
// there were.
func (x *Index) Rows(dst []Row, rank int) (int, error) {
	dst = dst[:max(0, min(len(dst), x.count-rank))]
	if len(dst) == 0 {
		return 0, nil
	}
	first, last := rank/rowsAPage, (rank+len(dst)-1)/rowsAPage
	b := make([]byte, min(last-first+1, pagesAtOnce)*pageSize)
	n := 0
	for page := first; page <= last; {
		b = b[:min(len(b)/pageSize, last-page+1)*pageSize]
		if err := x.read(b, 1+page); err != nil {
			return 0, err
		}
		for p := b; len(p) > 0; p, page = p[pageSize:], page+1 {
			for i := max(0, rank-page*rowsAPage); i < rowsAPage && n < len(dst); i++ {
				dst[n].decode(p[i*rowSize:])
				n++
			}
		}
	}
	return n, nil
}

// Row returns the row of a place, if there is one.
func (x *Index) Row(place int) (row Row, ok bool, err error) {
	page := sort.Search(len(x.places), func(i int) bool { return int(x.places[i]) > place }) - 1
	if page < 0 {
		return row, false, nil
	}
	b, free := x.buffer()
	defer free()
	if err := x.read(b[:], 1+page); err != nil {
		return row, false, err
	}
	n := x.rowsOf(page)
	i := sort.Search(n, func(i int) bool { return int(binary.LittleEndian.Uint32(b[i*rowSize:])) >= place })
	if i == n {
		return row, false, nil
	}
	row.decode(b[i*rowSize:])
	return row, row.Place == place, nil
}

// FirstAt returns the rank of the first record that was accepted at or after
// at, Count where there is none.
func (x *Index) FirstAt(at weir.Time) (int, error) {
	if at <= x.first {
		return 0, nil
	}
	if at > x.last {
		return x.count, nil
	}
	b, free := x.buffer()
	defer free()
	var err error
	atOf := func(i int) weir.Time { return weir.Time(binary.LittleEndian.Uint64(b[i*rowSize+8:])) }
	page := sort.Search(len(x.places), func(p int) bool {
		if err == nil {
			err = x.read(b[:], 1+p)
		}
		return err != nil || atOf(0) >= at
	}) - 1
	if err == nil && page < 0 {
		err = x.damaged("its rows are not in order")
	}
	if err == nil {
		err = x.read(b[:], 1+page)
	}
	if err != nil {
		return 0, err
	}
	return page*rowsAPage + sort.Search(x.rowsOf(page), func(i int) bool { return atOf(i) >= at }), nil
}

// Find fills dst with the places under a hash in [low, high], newest first, and
// returns how many there were: fewer than dst holds means that there are no
// more, otherwise the search goes on below the last. Some may be of other
// hashes: whoever reads the records verifies.
func (x *Index) Find(dst []int, hash uint64, low, high int) (int, error) {
	if low > high || high < 0 {
		return 0, nil
	}
	least, most := keyOf(hash, max(low, 0)), keyOf(hash, min(high, math.MaxUint32))
	page := sort.Search(len(x.firsts), func(i int) bool { return x.firsts[i] > most }) - 1
	b, free := x.buffer()
	defer free()
	n := 0
	for ; page >= 0 && n < len(dst); page-- {
		if err := x.read(b[:], 1+len(x.places)+page); err != nil {
			return 0, err
		}
		keyAt := func(i int) uint64 { return binary.LittleEndian.Uint64(b[i*keySize:]) }
		i := sort.Search(min(keysAPage, x.keys-page*keysAPage), func(i int) bool { return keyAt(i) > most })
		for ; i > 0 && n < len(dst); i-- {
			key := keyAt(i - 1)
			if key < least {
				return n, nil
			}
			if key > most {
				return 0, x.damaged("its keys are not in order")
			}
			dst[n] = placeOf(key)
			n++
		}
	}
	return n, nil
}

// Identity returns the newest row with an identity, if there is one.
func (x *Index) Identity(id weir.Identity) (row Row, ok bool, err error) {
	var places [4]int
	for high := x.place; ; {
		n, err := x.Find(places[:], hashOf(id), 0, high)
		if err != nil {
			return row, false, err
		}
		for _, place := range places[:n] {
			if row, ok, err = x.Row(place); err != nil || ok && row.Identity == id {
				return row, ok, err
			}
		}
		if n < len(places) {
			return Row{}, false, nil
		}
		high = places[n-1] - 1
	}
}
