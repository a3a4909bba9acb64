package sealed

import (
	"encoding/binary"
	"io"
	"math"
	"slices"

	"weir"
)

const (
	// Keys are spread over buckets by their first bits, so that each is sorted in
	// the processor's cache.
	bucketBits = 10
	chunkKeys  = 256
	// pauseEvery is after how many keys a build pauses: a fraction of a millisecond's work.
	pauseEvery = 1 << 14
)

// Builder writes the index of one chapter. It holds 8 bytes for each hash and
// each identity, 16 more for each with the most frequent hash, and 2 MiB at most
// beside them: 65 MB for a million records with five hashes each, one of which
// all share. Rows are written as they come.
type Builder struct {
	out     pageWriter
	of      Chapter
	last    Row
	count   int
	first   weir.Time
	places  []uint32 // the first of each page of rows
	buckets [1 << bucketBits]bucket
	keys    []uint64 // of the bucket being sorted
	sorted  []uint64
}

type bucket struct {
	chunks [][]uint64
	count  int
}

// NewBuilder returns a builder that writes to w, which is empty.
func NewBuilder(w io.WriterAt, of Chapter) *Builder {
	return &Builder{out: pageWriter{w: w, salt: saltOf(of), page: 1}, of: of}
}

// Add takes in the next record with the hashes under which it is found. Places
// grow, and times do not fall.
func (b *Builder) Add(r Row, hashes []uint64) error {
	if b.count > 0 && (r.Place <= b.last.Place || r.At < b.last.At) {
		return weir.E("build index", weir.Internal, "place %d at %s follows place %d at %s", r.Place, r.At, b.last.Place, b.last.At)
	}
	if r.Place < 0 || r.Place > math.MaxUint32 || r.Offset < 0 || r.Offset > math.MaxUint32 {
		return weir.E("build index", weir.Internal, "place %d, offset %d are out of range", r.Place, r.Offset)
	}
	out, err := b.out.room(rowSize)
	if err != nil {
		return err
	}
	r.encode(out)
	if b.count%rowsAPage == 0 {
		b.places = append(b.places, uint32(r.Place))
	}
	if b.count == 0 {
		b.first = r.At
	}
	b.last, b.count = r, b.count+1
	if r.Identity != (weir.Identity{}) {
		b.put(keyOf(hashOf(r.Identity), r.Place))
	}
	for _, h := range hashes {
		b.put(keyOf(h, r.Place))
	}
	return nil
}

func (b *Builder) put(key uint64) {
	to := &b.buckets[key>>(64-bucketBits)]
	if to.count%chunkKeys == 0 {
		to.chunks = append(to.chunks, make([]uint64, 0, chunkKeys))
	}
	last := &to.chunks[len(to.chunks)-1]
	*last = append(*last, key)
	to.count++
}

// Finish sorts and writes the keys, and then the header: before that, the file
// is no index. The caller syncs it. Pause is called after each fraction of a
// millisecond of work; it may wait, so that others get the processor, and ends
// the build by an error.
func (b *Builder) Finish(pause func() error) error {
	if err := b.out.end(); err != nil {
		return err
	}
	h := header{
		chapter: b.of, count: b.count, first: b.first, last: b.last.At, place: b.last.Place,
	}
	var firsts []uint64 // of each page of keys
	for i := range b.buckets {
		keys, err := b.sort(&b.buckets[i], pause)
		if err != nil {
			return err
		}
		for n, key := range keys {
			if n > 0 && key == keys[n-1] {
				continue // a record that has a value twice
			}
			out, err := b.out.room(keySize)
			if err != nil {
				return err
			}
			binary.LittleEndian.PutUint64(out, key)
			if h.keys%keysAPage == 0 {
				firsts = append(firsts, key)
			}
			if h.keys++; h.keys%pauseEvery == 0 {
				if err := pause(); err != nil {
					return err
				}
			}
		}
	}
	return b.finish(&h, firsts)
}

// finish writes the directories and the header.
func (b *Builder) finish(h *header, firsts []uint64) error {
	if err := b.out.end(); err != nil {
		return err
	}
	for _, place := range b.places {
		out, err := b.out.room(4)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(out, place)
	}
	if err := b.out.end(); err != nil {
		return err
	}
	for _, key := range firsts {
		out, err := b.out.room(keySize)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(out, key)
	}
	return b.out.finish(h.encode())
}

// sort empties a bucket and returns its keys in order. They come by place, so
// it sorts by the bits of the hash alone, and leaves what is equal in its order.
func (b *Builder) sort(from *bucket, pause func() error) ([]uint64, error) {
	b.keys = slices.Grow(b.keys[:0], from.count)
	b.sorted = slices.Grow(b.sorted[:0], from.count)[:from.count]
	for _, c := range from.chunks {
		b.keys = append(b.keys, c...)
	}
	*from = bucket{}
	if len(b.keys) < 1<<digitBits/4 {
		slices.Sort(b.keys) // counting would take longer
		return b.keys, nil
	}
	keys, to := b.keys, b.sorted
	for _, shift := range [...]int{32, 32 + digitBits} {
		if err := pass(to, keys, shift, pause); err != nil {
			return nil, err
		}
		keys, to = to, keys
	}
	return keys, nil
}

// digitBits is how many bits one pass of sort is by: two passes are by what the
// bucket leaves of half a hash.
const digitBits = (32 - bucketBits) / 2

// pass moves keys to dst in the order of one digit.
func pass(dst, keys []uint64, shift int, pause func() error) error {
	var starts [1 << digitBits]int
	const mask = 1<<digitBits - 1
	for _, k := range keys {
		starts[k>>shift&mask]++
	}
	sum := 0
	for i, n := range starts {
		starts[i], sum = sum, sum+n
	}
	for len(keys) > 0 {
		n := min(len(keys), pauseEvery)
		for _, k := range keys[:n] {
			at := &starts[k>>shift&mask]
			dst[*at] = k
			*at++
		}
		if keys = keys[n:]; n == pauseEvery {
			if err := pause(); err != nil {
				return err
			}
		}
	}
	return nil
}
