package client

import (
	"bytes"
	"errors"
	"io"
)

// errLongLine says that a line was skipped because it is longer than any event.
var errLongLine = errors.New("the line is too long")

// bounds are the most lines and bytes of a part, which ends with the line that
// reaches them, and the most bytes of a line.
type bounds struct{ lines, bytes, line int }

// partReader reads an input in parts of whole lines, of a bounded size.
type partReader struct {
	in      io.Reader
	most    bounds
	buf     []byte // what was read
	begin   int    // of what was not handed out
	ended   error  // what ended the input
	idle    bool   // the input has nothing more at the moment
	skipped int    // bytes of the line of which errLongLine tells
}

// read returns the next part, which is good until the next call. The last line
// may have no end.
func (p *partReader) read() ([]byte, error) {
	p.buf = p.buf[:copy(p.buf, p.buf[p.begin:])]
	p.begin = 0
	for {
		if end := p.whole(); end > 0 {
			p.begin = end
			return p.buf[:end], nil
		}
		if p.ended != nil {
			return p.buf, p.ended
		}
		if len(p.buf) >= p.most.line {
			return nil, p.skip()
		}
		p.fill()
	}
}

// whole returns how much of what was read is a part: lines with their ends, or,
// at the end of the input, all of it. 0 means that more must be read. An input
// that reads nothing, without an error, is not waited for.
func (p *partReader) whole() int {
	if p.ended == nil && len(p.buf) < p.most.bytes && !p.idle {
		return 0
	}
	end := 0
	for range p.most.lines {
		i := bytes.IndexByte(p.buf[end:], '\n')
		if i < 0 {
			break
		}
		end += i + 1
		if end >= p.most.bytes {
			return end
		}
	}
	if errors.Is(p.ended, io.EOF) && bytes.IndexByte(p.buf[end:], '\n') < 0 {
		return len(p.buf)
	}
	return end
}

// fill reads more, into a buffer that has room for a part and, where a line
// needs it, for the longest line.
func (p *partReader) fill() {
	if len(p.buf) == cap(p.buf) {
		grown := make([]byte, len(p.buf), min(max(2*cap(p.buf), p.most.bytes+p.most.bytes/16), p.most.line))
		copy(grown, p.buf)
		p.buf = grown
	}
	n, err := p.in.Read(p.buf[len(p.buf):cap(p.buf)])
	p.buf, p.ended, p.idle = p.buf[:len(p.buf)+n], err, n == 0 && err == nil
}

// skip drops the line that fills the buffer, with its end.
func (p *partReader) skip() error {
	p.skipped = 0
	for {
		i := bytes.IndexByte(p.buf, '\n')
		if i >= 0 {
			p.skipped += i + 1
			p.begin = i + 1
			return errLongLine
		}
		p.skipped += len(p.buf)
		p.buf = p.buf[:0]
		if p.ended != nil {
			return errLongLine
		}
		p.fill()
	}
}
