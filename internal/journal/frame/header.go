package frame

import (
	"encoding/binary"

	"weir"
)

// Header is the first page of a chapter. One that was rewritten has a generation
// above 0, the range that it stands for and, between its records, gaps.
type Header struct {
	DataID [16]byte
	ID     uint64 // random
	Number uint64 // from 1; of a rewritten chapter that of the first that it stands for
	First  weir.Seq
	At     weir.Time // of the record before the first

	Generation uint32
	Last       weir.Seq // with a generation: of the range
}

const (
	headerMagic = "weir chapter"
	// HeaderSize is how much of the first page says anything.
	HeaderSize = 80
	// Start is where frames begin: on a page of their own, so that writing them
	// never touches the header.
	Start = 4096
)

// The formats of a header: that of a chapter as it was appended to, and that of
// one that was rewritten.
const (
	plainFormat = 1 + iota
	rewrittenFormat
)

// Encode returns the header's page and its CRC.
func (h *Header) Encode() ([]byte, uint32) {
	le := binary.LittleEndian
	b := make([]byte, Start)
	copy(b, headerMagic)
	le.PutUint32(b[12:], plainFormat)
	copy(b[16:], h.DataID[:])
	le.PutUint64(b[32:], h.ID)
	le.PutUint64(b[40:], h.Number)
	le.PutUint64(b[48:], uint64(h.First))
	le.PutUint64(b[56:], uint64(h.At))
	end := 64
	if h.Generation > 0 {
		le.PutUint32(b[12:], rewrittenFormat)
		le.PutUint32(b[64:], h.Generation)
		le.PutUint64(b[68:], uint64(h.Last))
		end = 76
	}
	crc := Sum(b[:end])
	le.PutUint32(b[end:], crc)
	return b, crc
}

// Decode reads what Encode wrote and returns its CRC. Name is for errors.
func (h *Header) Decode(name string, b []byte) (uint32, error) {
	le := binary.LittleEndian
	if len(b) < HeaderSize || string(b[:12]) != headerMagic {
		return 0, weir.E("open journal", weir.Unavailable, "%s is not a chapter", name)
	}
	format, end := le.Uint32(b[12:]), 64
	switch {
	case format > rewrittenFormat:
		return 0, weir.E("open journal", weir.Unavailable,
			"%s has format %d, and this program reads up to %d: use a newer version of weir", name, format, rewrittenFormat)
	case format == rewrittenFormat:
		end = 76
	}
	crc := le.Uint32(b[end:])
	if Sum(b[:end]) != crc {
		return 0, weir.E("open journal", weir.Unavailable, "the header of chapter %s is damaged: restore from a backup", name)
	}
	copy(h.DataID[:], b[16:])
	h.ID, h.Number = le.Uint64(b[32:]), le.Uint64(b[40:])
	h.First, h.At = weir.Seq(le.Uint64(b[48:])), weir.Time(le.Uint64(b[56:]))
	if format == rewrittenFormat {
		h.Generation, h.Last = le.Uint32(b[64:]), weir.Seq(le.Uint64(b[68:]))
	}
	return crc, nil
}
