package chapter

import (
	"encoding/binary"
	"hash/crc32"

	"weir"
)

// A frame holds what one Append wrote. Numbers are little-endian:
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
const frameHeader = 52

const frameMagic = 0x31465257 // "WRF1"

// recordHeader is the length before each record.
const recordHeader = 4

// maxFrame bounds the records of one frame, in bytes.
const maxFrame = 32 << 20

type frame struct {
	chapter uint64
	first   weir.Seq
	at      weir.Time
	synced  int64
	count   uint32
	length  uint32
	before  uint32
	crc     uint32
}

// seal writes the header into the first bytes of b, which holds the whole
// frame, and returns its CRC.
func (f *frame) seal(b []byte) uint32 {
	le := binary.LittleEndian
	le.PutUint32(b, frameMagic)
	le.PutUint64(b[8:], f.chapter)
	le.PutUint64(b[16:], uint64(f.first))
	le.PutUint64(b[24:], uint64(f.at))
	le.PutUint64(b[32:], uint64(f.synced))
	le.PutUint32(b[40:], f.count)
	le.PutUint32(b[44:], uint32(len(b)-frameHeader))
	le.PutUint32(b[48:], f.before)
	crc := checksum(b[8:])
	le.PutUint32(b[4:], crc)
	return crc
}

// readFrameHeader reads a header and reports whether it could be one of the
// chapter's. Whether it is, its CRC says.
func readFrameHeader(b []byte, chapter uint64) (f frame, ok bool) {
	le := binary.LittleEndian
	if len(b) < frameHeader || le.Uint32(b) != frameMagic || le.Uint64(b[8:]) != chapter {
		return f, false
	}
	f = frame{
		crc:     le.Uint32(b[4:]),
		chapter: chapter,
		first:   weir.Seq(le.Uint64(b[16:])),
		at:      weir.Time(le.Uint64(b[24:])),
		synced:  int64(le.Uint64(b[32:])),
		count:   le.Uint32(b[40:]),
		length:  le.Uint32(b[44:]),
		before:  le.Uint32(b[48:]),
	}
	return f, f.length <= maxFrame && f.count <= f.length/recordHeader
}

// size is the length of the whole frame.
func (f *frame) size() int64 { return frameHeader + int64(f.length) }

// whole reports whether b, which is the frame, is as it was written.
func (f *frame) whole(b []byte) bool { return checksum(b[8:]) == f.crc }

func checksum(b []byte) uint32 {
	// MakeTable returns the one table of the package for this polynomial.
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

// header is the first page of a chapter.
type header struct {
	dataID [16]byte
	id     uint64 // random
	number uint64 // from 1
	first  weir.Seq
	at     weir.Time // of the record before the first
}

const (
	headerMagic   = "weir chapter"
	headerVersion = 1
	headerLength  = 68
	// dataStart is where frames begin: on a page of their own, so that writing
	// them never touches the header.
	dataStart = 4096
)

// encode returns the header's page and its CRC.
func (h *header) encode() ([]byte, uint32) {
	le := binary.LittleEndian
	b := make([]byte, dataStart)
	copy(b, headerMagic)
	le.PutUint32(b[12:], headerVersion)
	copy(b[16:], h.dataID[:])
	le.PutUint64(b[32:], h.id)
	le.PutUint64(b[40:], h.number)
	le.PutUint64(b[48:], uint64(h.first))
	le.PutUint64(b[56:], uint64(h.at))
	crc := checksum(b[:64])
	le.PutUint32(b[64:], crc)
	return b, crc
}

// decode reads what encode wrote and returns its CRC.
func (h *header) decode(name string, b []byte) (uint32, error) {
	le := binary.LittleEndian
	if len(b) < headerLength || string(b[:12]) != headerMagic {
		return 0, weir.E("open journal", weir.Unavailable, "%s is not a chapter", name)
	}
	if v := le.Uint32(b[12:]); v > headerVersion {
		return 0, weir.E("open journal", weir.Unavailable,
			"%s has format %d, and this program reads up to %d: use a newer version of weir", name, v, headerVersion)
	}
	crc := le.Uint32(b[64:])
	if checksum(b[:64]) != crc {
		return 0, weir.E("open journal", weir.Unavailable, "the header of chapter %s is damaged", name)
	}
	copy(h.dataID[:], b[16:])
	h.id, h.number = le.Uint64(b[32:]), le.Uint64(b[40:])
	h.first, h.at = weir.Seq(le.Uint64(b[48:])), weir.Time(le.Uint64(b[56:]))
	return crc, nil
}
