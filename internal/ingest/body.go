package ingest

import (
	"errors"
	"io"
	"net/http"

	"weir"
)

// firstRead is how much room a body of unknown length gets at first.
const firstRead = 64 << 10

// Read reads a request's body. One that says that it is too large is not read
// at all. Bodies at the door together are bounded: done, to be called when the
// events are answered, gives their room back.
func (d *Door) Read(w http.ResponseWriter, r *http.Request) (body []byte, done func(), err error) {
	var held int64
	done = func() { d.inFlight.Add(-held) }
	defer func() {
		if err != nil {
			done()
			done = func() {}
		}
	}()
	if r.ContentLength > d.limits.Body {
		return nil, done, d.limits.tooLarge()
	}
	in := http.MaxBytesReader(w, r.Body, d.limits.Body)
	size := int64(firstRead)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength+1) // so that the end is seen without growing
	}
	for {
		if d.inFlight.Add(size-held) > d.maxInFlight {
			d.inFlight.Add(held - size)
			return nil, done, weir.E("", weir.Limited, "too many bytes are at the door: try again")
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
		size = min(2*size, d.limits.Body+1)
		if r.ContentLength >= 0 {
			size = r.ContentLength + 1
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

func (d *Door) readError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return d.limits.tooLarge()
	}
	return weir.E("", weir.Invalid, "read the body: %w", err)
}
