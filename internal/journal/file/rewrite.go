package file

import (
	"encoding/binary"
	"errors"
	"math"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/frame"
)

const (
	// writeSize is about how much is written at once, and in one frame.
	writeSize = 1 << 20
)

// Rewritten is what came of chapters that were rewritten.
type Rewritten struct {
	Chapter *Chapter // with what stays, sealed; nil where nothing does
	Records int      // that are gone
	Last    weir.Seq // of them
}

// Rewrite makes of neighbouring sealed chapters one that stands for the places of
// all and has the records that do not go; goes may be nil. That its name is
// durable, and that it takes their place, the caller sees to.
func (d Dir) Rewrite(from []*Chapter, id uint64, goes func(*weir.Record) bool, p *Pacer) (Rewritten, error) {
	first, last := from[0], from[len(from)-1]
	h := frame.Header{
		DataID: first.DataID, ID: id, Number: first.Number, First: first.First, At: first.At, Last: last.Through(),
	}
	for _, f := range from {
		h.Generation = max(h.Generation, f.Generation+1)
	}
	c := &Chapter{Header: h, Name: Name(h.Number, h.Generation), dir: d}
	var done Rewritten
	var w *writer
	var err error
	c.Disk, err = disk.Write(d.FS, c.Name, func(f disk.File) error {
		w = newWriter(c, f, p)
		take := func(r *weir.Record, body []byte) error {
			if goes != nil && goes(r) {
				done.Records, done.Last = done.Records+1, r.Seq
				return nil
			}
			return w.add(r, body)
		}
		for _, from := range from {
			if err := from.EachLeft(take, p.Pause); err != nil {
				return err
			}
		}
		return w.end()
	})
	if errors.Is(err, errNothing) {
		return done, nil
	}
	if err != nil {
		return done, err
	}
	c.Grow(w.off, h.Last)
	x, err := c.BuildIndex(p)
	if err != nil {
		return done, errors.Join(err, c.Disk.Close(), d.FS.Remove(c.Name))
	}
	c.Seal(x)
	done.Chapter = c
	return done, nil
}

// errNothing says that nothing stays.
var errNothing = errors.New("nothing stays")

// writer writes the frames of a chapter: one for consecutive records with one at.
type writer struct {
	disk   disk.File
	pace   *Pacer
	b      []byte // not yet written, complete frames and the one being made
	off    int64  // of b
	start  int    // in b, of the frame being made
	made   frame.Frame
	before uint32 // CRC of the frame before it
}

func newWriter(c *Chapter, f disk.File, p *Pacer) *writer {
	page, crc := c.Encode()
	c.CRC = crc
	return &writer{
		disk: disk.Steady(f), pace: p, b: page, before: crc, made: frame.Frame{Chapter: c.ID, Synced: frame.Start},
	}
}

// add puts a record into the frame being made, where it follows the one before.
func (w *writer) add(r *weir.Record, body []byte) error {
	g := &w.made
	if g.Count > 0 && (r.Seq != g.First+weir.Seq(g.Count) || r.At != g.At || len(w.b)-w.start >= writeSize) {
		w.endFrame()
	}
	if g.Count == 0 {
		if len(w.b) >= writeSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
		g.First, g.At = r.Seq, r.At
		w.start = len(w.b)
		w.b = append(w.b, make([]byte, frame.Size)...)
	}
	g.Count++
	w.b = append(binary.LittleEndian.AppendUint32(w.b, uint32(len(body))), body...)
	if g.Count%pauseEvery == 0 {
		return w.pace.Pause()
	}
	return nil
}

func (w *writer) endFrame() {
	w.made.Before = w.before
	w.before = w.made.Seal(w.b[w.start:])
	w.made.Count = 0
}

func (w *writer) flush() error {
	_, err := w.disk.WriteAt(w.b, w.off)
	w.off += int64(len(w.b))
	w.b = w.b[:0]
	return err
}

// end writes what is left.
func (w *writer) end() error {
	if w.made.Count == 0 {
		return errNothing
	}
	w.endFrame()
	return w.flush()
}

// mergeFan is how many chapters are merged at least. As none of them may be
// larger than the others together, a record is copied no more often than the
// logarithm of how many small chapters make a large one.
const mergeFan = 4

// maxRange is how many places a chapter can have, those of records that are gone
// included.
const maxRange = math.MaxUint32

// Mergeable returns sealed neighbours among full chapters that fit into one
// together, as many as there are. What was damaged is left as it is, for whoever
// wants to save something of it.
func Mergeable(files []*Chapter, maxRecords int, maxBytes int64) []*Chapter {
	for end := len(files); end >= mergeFan; end-- {
		records, bytes, largest := 0, int64(0), 0
		first := end
		for ; first > 0; first-- {
			f := files[first-1]
			if !f.Sealed() || f.Hurt() || files[end-1].Through()-f.First >= maxRange {
				break
			}
			count := f.Index().Count()
			if records+count > maxRecords || bytes+f.End() > maxBytes {
				break
			}
			records, bytes, largest = records+count, bytes+f.End(), max(largest, count)
		}
		if end-first >= mergeFan && largest <= records-largest {
			return files[first:end]
		}
	}
	return nil
}
