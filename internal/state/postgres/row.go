package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/jackc/pgx/v5"

	"weir"
)

// row is a row of a result in PostgreSQL's binary form, valid until the next one
// is read. Its accessors give zero for a null; the columns' types keep the kinds
// right.
type row [][]byte

// each calls f for every row, and closes rows.
func each(rows pgx.Rows, f func(row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.RawValues()); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (r row) copy() row {
	c := make(row, len(r))
	for i := range r {
		c[i] = bytes.Clone(r[i])
	}
	return c
}

func (r row) int(i int) int64 {
	switch b := r[i]; len(b) {
	case 8:
		return int64(binary.BigEndian.Uint64(b))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b)))
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b)))
	}
	return 0
}

func (r row) bool(i int) bool { return len(r[i]) == 1 && r[i][0] == 1 }

func (r row) time(i int) weir.Time { return weir.Time(r.int(i)) }

// turn reads the columns of a place among the runs of an ordered key.
func (r row) turn(i int) weir.Precedence {
	return weir.Precedence{Due: r.time(i), Seq: weir.Seq(r.int(i + 1))}
}

func (r row) text(i int) string { return string(r[i]) }

// id reads a column of 16 bytes.
func (r row) id(i int) (id [16]byte, err error) {
	if len(r[i]) != len(id) {
		return id, weir.E("read row", weir.Internal, "an id of %d bytes", len(r[i]))
	}
	return [16]byte(r[i]), nil
}

// plain returns s as PostgreSQL can keep it: as UTF-8 without the zero byte.
// What people named so does not exist, and what strangers sent so was refused.
func plain(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\ufffd")
	}
	return s
}

// bytesOf returns ids as the arguments of an array.
func bytesOf[ID ~[16]byte](ids []ID) [][]byte {
	list := make([][]byte, len(ids))
	for i := range ids {
		list[i] = ids[i][:]
	}
	return list
}
