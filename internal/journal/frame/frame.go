// Package frame is what a chapter's file consists of: a page with its header,
// then frames, each with the records of one append. It writes and reads their
// bytes and tells good ones from bad; what follows from that, chapter decides.
//
// Numbers are little-endian. A frame:
//
//	 0 magic    4 bytes
//	 4 CRC-32C  4 of all that follows, records included
//	 8 chapter  8 the random id of the chapter, so that no other bytes pass for a frame of it
//	16 first    8 seq of the first record
//	24 at       8 of all records
//	32 synced   8 durable end of the chapter when the frame was written
//	40 count    4 records
//	44 length   4 bytes of the records
//	48 before   4 CRC of the frame before, of the chapter's header for the first
//	52 records    each behind its length of 4 bytes
package frame

import (
	"encoding/binary"
	"hash/crc32"

	"weir"
	"weir/internal/journal"
)

const (
	// Size is the length of a frame without its records.
	Size = 52
	// RecordSize is the length before each record.
	RecordSize = 4
	// Max bounds the records of one frame, in bytes.
	Max = 32 << 20

	magic = 0x31465257 // "WRF1"
)

// Frame is what stands before the records of one append.
type Frame struct {
	Chapter uint64
	First   weir.Seq
	At      weir.Time
	Synced  int64
	Count   uint32
	Before  uint32

	length uint32
	crc    uint32
}

// Seal writes the frame into the first Size bytes of b, which holds the whole,
// and returns its CRC, which is the Before of the next.
func (f *Frame) Seal(b []byte) uint32 {
	le := binary.LittleEndian
	le.PutUint32(b, magic)
	le.PutUint64(b[8:], f.Chapter)
	le.PutUint64(b[16:], uint64(f.First))
	le.PutUint64(b[24:], uint64(f.At))
	le.PutUint64(b[32:], uint64(f.Synced))
	le.PutUint32(b[40:], f.Count)
	le.PutUint32(b[44:], uint32(len(b)-Size))
	le.PutUint32(b[48:], f.Before)
	crc := Sum(b[8:])
	le.PutUint32(b[4:], crc)
	return crc
}

// decode reads what stands before the records and reports whether it could be a
// frame of the chapter. Whether it is, its CRC says.
func decode(b []byte, chapter uint64) (f Frame, ok bool) {
	le := binary.LittleEndian
	if len(b) < Size || le.Uint32(b) != magic || le.Uint64(b[8:]) != chapter {
		return f, false
	}
	f = Frame{
		crc:     le.Uint32(b[4:]),
		Chapter: chapter,
		First:   weir.Seq(le.Uint64(b[16:])),
		At:      weir.Time(le.Uint64(b[24:])),
		Synced:  int64(le.Uint64(b[32:])),
		Count:   le.Uint32(b[40:]),
		length:  le.Uint32(b[44:]),
		Before:  le.Uint32(b[48:]),
	}
	return f, f.length <= Max && f.Count <= f.length/RecordSize
}

// Begins reports whether b could begin with a frame of the chapter.
func Begins(b []byte, chapter uint64) bool {
	_, ok := decode(b, chapter)
	return ok
}

// size is the length of the whole frame.
func (f *Frame) size() int64 { return Size + int64(f.length) }

// whole reports whether b, which is the frame, is as it was written.
func (f *Frame) whole(b []byte) bool { return Sum(b[8:]) == f.crc }

// Sum is the checksum of frames, and of the records in them.
func Sum(b []byte) uint32 {
	// MakeTable returns the one table of the package for this polynomial.
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

// Cut returns the bytes of the record that begins b with its length, and what
// follows it.
func Cut(b []byte) (record, rest []byte, err error) {
	if len(b) < RecordSize {
		return nil, nil, weir.E("decode record", weir.Internal, "no room for a length")
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	b = b[RecordSize:]
	if n > uint64(len(b)) {
		return nil, nil, weir.E("decode record", weir.Internal, "length %d reaches past the end", n)
	}
	return b[:n:n], b[n:], nil
}

// Append appends a record behind its length, as Cut reads it.
func Append(dst []byte, r *weir.Record) []byte {
	start := len(dst)
	dst = journal.AppendRecord(append(dst, 0, 0, 0, 0), r)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-RecordSize))
	return dst
}

// Needs returns how many bytes the record that begins b takes with its length,
// where b says that and it can be.
func Needs(b []byte) (n int, ok bool) {
	if len(b) < RecordSize {
		return 0, false
	}
	length := binary.LittleEndian.Uint32(b)
	return RecordSize + int(length), length <= Max
}
