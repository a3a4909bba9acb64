package chapter

import (
	"encoding/binary"
	"fmt"
	"slices"

	"weir"
	"weir/internal/journal"
)

const (
	suffix    = ".chapter"
	newSuffix = ".new"
	// chunk is how many records one slice of a chapter's table of offsets covers.
	chunk = 1 << 14
)

// file is a chapter with its tables. What grows is guarded by Journal.mu; the
// records themselves are read without it, since what is durable never changes.
type file struct {
	header
	name string
	disk File
	crc  uint32 // of the header

	count   int        // records
	offsets [][]uint32 // of each record, by place in the chapter; 0 is one lost to damage
	marks   []mark     // where at changes
	end     int64      // of the frames

	identities identities
	links      links
}

// mark says that from a place on records have an at.
type mark struct {
	place int
	at    weir.Time
}

func chapterName(number uint64) string { return fmt.Sprintf("%08d%s", number, suffix) }

// place returns where seq stands in the chapter.
func (f *file) place(seq weir.Seq) int { return int(seq - f.first) }

// seq returns which record stands at a place.
func (f *file) seq(place int) weir.Seq { return f.first + weir.Seq(place) }

// next is the seq after the chapter's last.
func (f *file) next() weir.Seq { return f.seq(f.count) }

func (f *file) offset(place int) int64 { return int64(f.offsets[place/chunk][place%chunk]) }

// add takes in the next record, which lies at offset.
func (f *file) add(offset int64) {
	if f.count%chunk == 0 {
		f.offsets = append(f.offsets, make([]uint32, 0, chunk))
	}
	last := &f.offsets[len(f.offsets)-1]
	*last = append(*last, uint32(offset))
	f.count++
}

// lose takes in records that damage took, up to the one at seq next.
func (f *file) lose(next weir.Seq, at weir.Time) {
	f.mark(at)
	for f.next() < next {
		f.add(0)
	}
}

// mark says that records from the next on have at.
func (f *file) mark(at weir.Time) {
	if n := len(f.marks); n > 0 {
		last := &f.marks[n-1]
		if last.place == f.count { // an empty frame's
			last.at = at
		}
		if last.at == at {
			return
		}
	}
	f.marks = append(f.marks, mark{f.count, at})
}

// atOf returns when the record at a place was accepted.
func (f *file) atOf(place int) weir.Time { return f.marks[f.markOf(place)].at }

// markOf returns the index of the mark that covers a place.
func (f *file) markOf(place int) int {
	i, found := slices.BinarySearchFunc(f.marks, place, func(m mark, p int) int { return m.place - p })
	if !found {
		i--
	}
	return i
}

// firstAt returns the first place whose record was accepted at or after at.
func (f *file) firstAt(at weir.Time) int {
	i, _ := slices.BinarySearchFunc(f.marks, at, func(m mark, t weir.Time) int {
		if m.at < t {
			return -1
		}
		return 1
	})
	if i == len(f.marks) {
		return f.count
	}
	return f.marks[i].place
}

// span is a part of a chapter's file with consecutive records.
type span struct {
	file    *file
	place   int
	offsets []int64     // from the start of the span; -1 is a lost record
	ats     []weir.Time // of each
	from    int64
	size    int64
}

// spanOf plans the reading of up to n records from a place on, of about size
// bytes, one at least. The caller holds Journal.mu.
func (f *file) spanOf(place, n int, size int64) span {
	s := span{file: f, place: place}
	n = min(n, f.count-place)
	m := f.markOf(place)
	for i := place; i < place+n; i++ {
		off := f.offset(i)
		if s.from == 0 {
			s.from = off
		}
		if off != 0 && off-s.from >= size {
			break
		}
		for m+1 < len(f.marks) && f.marks[m+1].place <= i {
			m++
		}
		s.ats = append(s.ats, f.marks[m].at)
		if off == 0 {
			s.offsets = append(s.offsets, -1)
			continue
		}
		s.offsets = append(s.offsets, off-s.from)
	}
	if s.from > 0 {
		s.size = f.endOf(place+len(s.offsets)-1) - s.from
	}
	return s
}

// endOf returns an offset at or past the end of the record at a place.
func (f *file) endOf(place int) int64 {
	for place++; place < f.count; place++ {
		if off := f.offset(place); off != 0 {
			return off
		}
	}
	return f.end
}

// read reads and decodes the span's records; a lost one is nil.
func (s *span) read() ([]*weir.Record, error) {
	b := make([]byte, s.size)
	if s.from > 0 {
		if n, err := s.file.disk.ReadAt(b, s.from); n < len(b) {
			return nil, weir.E("read journal", weir.Unavailable, "chapter %s: %w", s.file.name, err)
		}
	}
	records := make([]*weir.Record, len(s.offsets))
	for i, off := range s.offsets {
		if off < 0 {
			continue
		}
		r, err := decode(b[off:])
		if err != nil {
			return nil, fmt.Errorf("chapter %s, record %d: %w", s.file.name, s.file.seq(s.place+i), err)
		}
		r.Seq, r.At = s.file.seq(s.place+i), s.ats[i]
		records[i] = r
	}
	return records, nil
}

// decode reads the record that begins b with its length.
func decode(b []byte) (*weir.Record, error) {
	if len(b) < recordHeader {
		return nil, weir.E("decode record", weir.Internal, "no room for a length")
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[recordHeader:]
	if uint64(n) > uint64(len(b)) {
		return nil, weir.E("decode record", weir.Internal, "length %d reaches past the end", n)
	}
	return journal.DecodeRecord(b[:n:n])
}
