// Package sealed is the index that stands beside a sealed chapter, and the
// filters over the identities of many. Chapter builds and asks them; this room
// knows nothing of chapters but what it is given: for each record its place,
// offset, time, identity and hashes.
//
//	index:   | header | rows | keys | directory of rows | directory of keys |
//	row:     | place, offset, at, identity, sum |               by place
//	key:     | upper half of a hash, place |                    sorted
//	filter:  | header | blocks of 512 bits |
//
// All is cut into pages of 4 KiB with a CRC-32C that also covers which page of
// which chapter it is. Open keeps the directories, the first place of each page
// of rows and the first key of each page of keys, about 145 KiB for a million
// records with five hashes each, so that a look-up reads one page of keys, and
// an identity one of rows as well.
//
// Half a hash is enough because every hit is verified, in the record or, for
// identities, whose hash stands among the others, in the row: of a million
// records with five hashes one look-up in seven hundred meets a wrong one, and
// building and keeping keys costs half. Identities are kept whole, so that one
// whose record was erased can stay taken.
package sealed

import (
	"encoding/binary"
	"errors"

	"weir"
)

// ErrDamaged is in the chain of an error when bytes are not as they were
// written, or are no index or filter of what was asked for. What can be made
// anew from the chapter should be.
var ErrDamaged = errors.New("damaged")

// Chapter says what an index belongs to.
type Chapter struct {
	DataID [16]byte
	ID     uint64 // random
}

// Row is what an index knows of a record.
type Row struct {
	Place    int   // in the chapter
	Offset   int64 // of the record, below 4 GiB; 0 where it is not there
	At       weir.Time
	Identity weir.Identity // zero for none
	Sum      uint32        // of the record's bytes, whatever it means to whoever reads them
}

const (
	rowSize   = 36
	rowsAPage = payload / rowSize
	keySize   = 8
	keysAPage = payload / keySize
)

func (r *Row) encode(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b, uint32(r.Place))
	le.PutUint32(b[4:], uint32(r.Offset))
	le.PutUint64(b[8:], uint64(r.At))
	copy(b[16:], r.Identity[:])
	le.PutUint32(b[32:], r.Sum)
}

func (r *Row) decode(b []byte) {
	le := binary.LittleEndian
	r.Place = int(le.Uint32(b))
	r.Offset = int64(le.Uint32(b[4:]))
	r.At = weir.Time(le.Uint64(b[8:]))
	copy(r.Identity[:], b[16:])
	r.Sum = le.Uint32(b[32:])
}

// hashOf is the hash under which an identity stands among the keys.
func hashOf(id weir.Identity) uint64 { return binary.BigEndian.Uint64(id[:]) }

// keyOf is what stands in the index for a record under a hash.
func keyOf(hash uint64, place int) uint64 { return hash>>32<<32 | uint64(uint32(place)) }

func placeOf(key uint64) int { return int(uint32(key)) }
