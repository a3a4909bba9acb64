package ingest

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"weir"
)

// firstRead is how much room a body of unknown length gets at first.
const firstRead = 64 << 10

// budget bounds the bytes of bodies that are at the door together.
type budget struct {
	most int64
	used atomic.Int64
}

// take reports whether there was room for n more bytes; give gives it back.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.most {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) give(n int64) { b.used.Add(-n) }

func errNoRoom() error {
	return weir.E("", weir.Limited, "too many bytes are at the door: try again")
}

// Read reads the body of a publisher's request, which may be compressed with
// gzip. One that says that it is too large is not read at all. Bodies at the
// door together are bounded: done, to be called when the events are answered,
// gives their room back.
func (d *Door) Read(w http.ResponseWriter, r *http.Request) (body []byte, done func(), err error) {
	compressed, err := isCompressed(r.Header)
	if err != nil {
		return nil, func() {}, err
	}
	if !compressed {
		return d.read(http.MaxBytesReader(w, r.Body, d.limits.Body), r.ContentLength, &d.inFlight)
	}
	const overhead = 64 << 10 // of gzip over what it cannot make smaller
	in, err := gzip.NewReader(http.MaxBytesReader(w, r.Body, d.limits.Body+overhead))
	if err != nil {
		return nil, func() {}, d.readError(err)
	}
	return d.read(http.MaxBytesReader(w, in, d.limits.Body), -1, &d.inFlight)
}

// ReadUnverified reads the body of a request like Read, where only the body
// itself, byte for byte, will tell whether its sender is known: it may not be
// compressed. Such bodies have a room of their own, so that strangers cannot take
// that of publishers.
func (d *Door) ReadUnverified(w http.ResponseWriter, r *http.Request) (body []byte, done func(), err error) {
	if compressed, err := isCompressed(r.Header); err != nil || compressed {
		return nil, func() {}, withField(notTaken("a body that is signed is not taken with an encoding"), "content-encoding")
	}
	return d.read(http.MaxBytesReader(w, r.Body, d.limits.Body), r.ContentLength, &d.unverified)
}

// read reads all of in, of which length bytes are said to come; -1 is unknown.
func (d *Door) read(in io.Reader, length int64, room *budget) (body []byte, done func(), err error) {
	var held int64
	done = func() { room.give(held) }
	defer func() {
		if err != nil {
			done()
			done = func() {}
		}
	}()
	if length > d.limits.Body {
		return nil, done, d.limits.tooLarge()
	}
	longest := d.limits.Body + 1 // so that the end is seen without growing
	if length >= 0 {
		longest = length + 1
	}
	for size := min(int64(firstRead), longest); ; size = min(4*size, longest) { // what is only announced takes no room
		if !room.take(size - held) {
			return nil, done, errNoRoom()
		}
		held = size
		grown := make([]byte, len(body), size)
		copy(grown, body)
		body, err = fill(in, grown)
		if errors.Is(err, io.EOF) {
			return body, done, nil
		}
		if err != nil {
			return nil, done, d.readError(err)
		}
	}
}

// fill reads into the free room of b; io.EOF says that all was read.
func fill(in io.Reader, b []byte) ([]byte, error) {
	for len(b) < cap(b) {
		n, err := in.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// isCompressed reports whether a body is compressed with gzip, and fails where
// it is encoded otherwise.
func isCompressed(h http.Header) (bool, error) {
	switch coding := strings.ToLower(h.Get("Content-Encoding")); coding {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip":
		return true, nil
	default:
		return false, withField(notTaken("%q is not taken: use gzip or none", coding), "content-encoding")
	}
}

// readError says why a body could not be read.
func (d *Door) readError(err error) error {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case tooLarge:
		return d.limits.tooLarge()
	case corrupt || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum):
		return weir.E("", weir.Invalid, "the body is not gzip: %w", err).WithField("content-encoding")
	}
	e := weir.E("", weir.Invalid, "the body ends before its end: the connection was cut, or it is not as long as it was said to be")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e = weir.E("", weir.Invalid, "the body ends before its end: nothing more of it came in time")
	}
	e.Err = err
	return e
}

// patience is how long a client may send nothing, or read nothing.
const patience = time.Minute

// Stream is the body of a request that may take as long as it goes on.
type Stream struct {
	body    io.Reader
	raw     io.Reader
	control *http.ResponseController
	stopped atomic.Bool
}

// Stream returns the body of a publisher's request as a stream, of which gzip is
// undone. A minute in which nothing comes ends it with an error.
func (d *Door) Stream(w http.ResponseWriter, r *http.Request) (*Stream, error) {
	s := &Stream{raw: r.Body, control: http.NewResponseController(w)}
	s.body = timed{s}
	compressed, err := isCompressed(r.Header)
	if err != nil || !compressed {
		return s, err
	}
	if s.body, err = gzip.NewReader(s.body); err != nil {
		return nil, d.readError(err)
	}
	return s, nil
}

// Read reads on.
func (s *Stream) Read(b []byte) (int, error) { return s.body.Read(b) }

// Stop ends a Read that waits, and all further ones.
func (s *Stream) Stop() {
	s.stopped.Store(true)
	_ = s.control.SetReadDeadline(time.Now())
}

// Drain reads on a little without keeping anything: a client that is still
// sending would not see its answer if the connection were closed at once.
func (s *Stream) Drain() {
	const most, longest = 8 << 20, 5 * time.Second
	if s.control.SetReadDeadline(time.Now().Add(longest)) == nil {
		_, _ = io.CopyN(io.Discard, s.raw, most)
	}
}

// atOnce bounds a read: within a chunk of HTTP, which may be long, one does not
// return before all that it asks for has come.
const atOnce = 16 << 10

// timed gives each read of a stream a deadline of its own.
type timed struct{ *Stream }

func (t timed) Read(b []byte) (int, error) {
	_ = t.control.SetReadDeadline(time.Now().Add(patience)) // else the server's holds
	if t.stopped.Load() {                                   // after the deadline was set, which Stop sets anew
		return 0, net.ErrClosed
	}
	return t.raw.Read(b[:min(len(b), atOnce)])
}
