package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"weir"
)

// window is how much of a chapter is read at once.
const window = 1 << 20

// Reader reads the frames of one chapter in order.
type Reader struct {
	Off    int64     // of the frame that is next
	Next   weir.Seq  // that it begins with; in a rewritten chapter at the earliest
	Before uint32    // CRC of the frame before it
	At     weir.Time // of the record before it
	Synced int64     // the greatest of the frames read

	f      File
	h      Header
	window []byte // belongs to the records in it
	start  int64  // of the window
}

// File is a chapter's file, of which Size bytes may be frames.
type File struct {
	io.ReaderAt
	Name string // for errors
	Size int64
}

// NewReader returns a reader at the first frame of a chapter; crc is the
// header's.
func NewReader(f File, h Header, crc uint32) *Reader {
	return &Reader{Off: Start, Next: h.First, Before: crc, At: h.At, Synced: Start, f: f, h: h}
}

// Read returns the next frame and the bytes of its records, which are not
// written to again, and goes past it. Nil bytes mean that what is there is no
// good frame, or not the one that comes next.
func (r *Reader) Read() (f Frame, records []byte, err error) {
	f, b, err := r.at(r.Off)
	if b == nil || err != nil {
		return f, nil, err
	}
	follows := f.First == r.Next || r.h.Generation > 0 && f.First > r.Next
	if !follows || f.Before != r.Before || f.At < r.At {
		return f, nil, nil
	}
	r.Off += f.size()
	r.Next, r.Before, r.At, r.Synced = f.First+weir.Seq(f.Count), f.crc, f.At, max(r.Synced, f.Synced)
	return f, b[Size:], nil
}

// Search returns the next good frame of the chapter at or past from, and where it
// is, without going there.
func (r *Reader) Search(from int64) (off int64, f Frame, ok bool, err error) {
	id := binary.LittleEndian.AppendUint64(nil, r.h.ID)
	for at := from; ; {
		b, err := r.view(at, window)
		if err != nil || len(b) < len(id) {
			return 0, f, false, err
		}
		i := bytes.Index(b, id)
		if i < 0 {
			at += int64(len(b) - len(id) + 1)
			continue
		}
		off = at + int64(i) - 8
		at += int64(i) + 1
		if off < from {
			continue
		}
		f, b, err := r.at(off)
		if b != nil || err != nil {
			return off, f, b != nil, err
		}
	}
}

// Skip goes to the next good frame past what is not, with no more than records
// before next missing, or to the end.
func (r *Reader) Skip(next weir.Seq) error {
	for off := r.Off; ; {
		found, f, ok, err := r.Search(off + 1)
		if err != nil {
			return err
		}
		if !ok {
			r.Off, r.Next = r.f.Size, next
			return nil
		}
		if f.First >= r.Next && f.First <= next {
			r.Off, r.Next, r.Before = found, f.First, f.Before
			return nil
		}
		off = found
	}
}

// at returns the frame at off with its bytes, nil where there is no good one.
func (r *Reader) at(off int64) (Frame, []byte, error) {
	b, err := r.view(off, Size)
	if err != nil {
		return Frame{}, nil, err
	}
	f, ok := decode(b, r.h.ID)
	if !ok || off+f.size() > r.f.Size {
		return f, nil, nil
	}
	b, err = r.view(off, int(f.size()))
	if err != nil || !f.whole(b) {
		return f, nil, err
	}
	return f, b, nil
}

// view returns n bytes at off, fewer at the end of the file. They are never
// written to again, so that records may keep parts of them.
func (r *Reader) view(off int64, n int) ([]byte, error) {
	if end := r.start + int64(len(r.window)); off < r.start || off+int64(n) > end {
		b := make([]byte, min(int64(max(n, window)), max(r.f.Size-off, 0)))
		if _, err := r.f.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
			return nil, weir.E("read journal", weir.Unavailable, "read %s: %w", r.f.Name, err)
		}
		r.window, r.start = b, off
	}
	b := r.window[off-r.start:]
	n = min(n, len(b))
	return b[:n:n], nil
}
