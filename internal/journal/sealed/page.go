package sealed

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"weir"
)

const (
	pageSize = 4096
	payload  = pageSize - 4
	// pagesAtOnce is how many pages one write, or a read of many rows, takes.
	pagesAtOnce = 64
)

// salt tells the pages of one file from all others.
type salt [16]byte

// sum is the checksum of a page's payload.
func (s salt) sum(page int, b []byte) uint32 {
	// MakeTable returns the one table of the package for this polynomial.
	table := crc32.MakeTable(crc32.Castagnoli)
	where := binary.LittleEndian.AppendUint64(s[:], uint64(page))
	return crc32.Update(crc32.Checksum(where, table), table, b)
}

func saltOf(c Chapter) (s salt) {
	binary.LittleEndian.PutUint64(s[:], c.ID)
	copy(s[8:], c.DataID[:8])
	return s
}

// pageWriter writes pages one after the other, many at once.
type pageWriter struct {
	w    io.WriterAt
	salt salt
	page int    // that b belongs to
	b    []byte // of the page being filled, no longer than payload
	done []byte // full pages not yet written
}

// room returns n bytes of the page being filled, of the next where it is full.
func (w *pageWriter) room(n int) ([]byte, error) {
	if len(w.b)+n > payload {
		if err := w.end(); err != nil {
			return nil, err
		}
	}
	if w.b == nil {
		w.b = make([]byte, 0, pageSize)
	}
	w.b = w.b[:len(w.b)+n]
	return w.b[len(w.b)-n:], nil
}

// end ends the page being filled, unless nothing is in it.
func (w *pageWriter) end() error {
	if len(w.b) == 0 {
		return nil
	}
	b := w.b[:pageSize]
	clear(b[len(w.b):])
	binary.LittleEndian.PutUint32(b[payload:], w.salt.sum(w.page, b[:payload]))
	w.done, w.b = append(w.done, b...), w.b[:0]
	w.page++
	if len(w.done) < pagesAtOnce*pageSize {
		return nil
	}
	return w.write()
}

// write writes the full pages.
func (w *pageWriter) write() error {
	_, err := w.w.WriteAt(w.done, int64(w.page)*pageSize-int64(len(w.done)))
	w.done = w.done[:0]
	return err
}

// finish writes what is left, and the header in front of all.
func (w *pageWriter) finish(header []byte) error {
	if err := w.end(); err != nil {
		return err
	}
	if err := w.write(); err != nil {
		return err
	}
	w.page = 0
	b, err := w.room(len(header))
	if err != nil {
		return err
	}
	copy(b, header)
	if err := w.end(); err != nil {
		return err
	}
	return w.write()
}

// pageReader reads pages and checks them.
type pageReader struct {
	name string
	r    io.ReaderAt
	salt salt
}

// read fills b, some whole pages long, from page on.
func (r *pageReader) read(b []byte, page int) error {
	if n, err := r.r.ReadAt(b, int64(page)*pageSize); n < len(b) {
		if errors.Is(err, io.EOF) {
			return r.damaged("it ends at byte %d", int64(page)*pageSize+int64(n))
		}
		return weir.E("read index", weir.Unavailable, "read %s: %w", r.name, err)
	}
	for ; len(b) > 0; b, page = b[pageSize:], page+1 {
		if binary.LittleEndian.Uint32(b[payload:]) != r.salt.sum(page, b[:payload]) {
			return r.damaged("page %d is not as it was written", page)
		}
	}
	return nil
}

func (r *pageReader) damaged(format string, args ...any) error {
	return weir.E("read index", weir.Unavailable, "%s: "+format+": %w", append(append([]any{r.name}, args...), ErrDamaged)...)
}
