package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"weir"
)

// Lines are events to upload, one a line, of any number. Query holds the
// attributes of plain JSON (type, source, ...); CloudEvents have their own.
//
// Lines without an id get "{Key}.{line}", counted over all of In, so that the
// same lines sent again under the same Key double nothing. First is the number
// of the first line of In where those before it were sent earlier; 0 is 1.
type Lines struct {
	In    io.Reader
	Query url.Values
	Key   string
	First int

	Answered func(Sent)                           // called for each chunk in order; nil: not
	Waiting  func(err error, again time.Duration) // called before each wait; nil: not
}

// Sent is a chunk that was answered: its first line, and how many bytes of the
// input it was. The line of its Error counts over all of the input.
type Sent struct {
	Chunk
	First int
	Bytes int
}

// The bounds of one request of an upload. A longer line is no event that a server
// takes.
var requestBounds = bounds{lines: 100_000, bytes: 8 << 20, line: 32 << 20}

// The bounds of patience.
const (
	lineTries   = 10              // without an answer
	answerGrace = 2 * time.Minute // between two answers

	maxAnswerLine = 64 << 10
)

// PublishLines uploads lines, in requests of a bounded size one after the other,
// so that little is held in memory. Where the connection is cut, or the server
// asks to wait, it waits and goes on after the last chunk that was answered; it
// gives up after ten tries without an answer. A chunk that is turned away does
// not end it. The total is what was answered, also beside an error.
func (c *Client) PublishLines(ctx context.Context, l Lines) (Total, error) {
	return c.publishLines(ctx, l, requestBounds)
}

func (c *Client) publishLines(ctx context.Context, l Lines, most bounds) (Total, error) {
	u := upload{client: c, Lines: l, next: max(l.First, 1)}
	parts := partReader{in: l.In, most: most}
	for {
		part, err := parts.read()
		switch {
		case errors.Is(err, errLongLine):
			u.tooLong(parts.skipped, most.line)
		case errors.Is(err, io.EOF):
			u.total.Done = true
			return u.total, nil
		case err != nil:
			return u.total, weir.E("read line "+strconv.Itoa(u.next+bytes.Count(part, newline)), weir.Invalid, "%w", err)
		default:
			if err := u.send(ctx, part); err != nil {
				return u.total, err
			}
		}
	}
}

// upload is an upload under way.
type upload struct {
	Lines
	client *Client
	next   int // number of the first line that was not answered
	total  Total
}

// send sends a part, again from where it was answered, until all of it is.
func (u *upload) send(ctx context.Context, part []byte) error {
	for try := 1; ; try++ {
		before := len(part)
		wait, err := u.try(ctx, &part)
		if err == nil && len(part) == 0 {
			return nil
		}
		if err == nil {
			return weir.E("upload lines", weir.Internal, "the server ended its answer before line %d", u.next)
		}
		if len(part) < before {
			try = 1
		}
		if !mayMend(err) && weir.CodeOf(err) != weir.DiskFull || try == lineTries || ctx.Err() != nil {
			return err
		}
		wait = max(wait, pauseAfter(try))
		if u.Waiting != nil {
			u.Waiting(err, wait)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// try sends what is left of a part once and takes from it what was answered.
func (u *upload) try(ctx context.Context, rest *[]byte) (wait time.Duration, err error) {
	answering, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(answerGrace, func() {
		cancel(weir.E("", weir.Unavailable, "the server has not answered for %s", answerGrace))
	})
	defer watch.Stop()
	r := u.request(*rest)
	resp, err := u.client.do(answering, &r)
	if err != nil {
		if ctx.Err() == nil && answering.Err() != nil {
			err = context.Cause(answering)
		}
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
		asked, _ := retryAfter(resp.Header)
		return min(asked, time.Minute), failure(r.op(), resp.StatusCode, body)
	}
	answers := bufio.NewReaderSize(resp.Body, maxAnswerLine)
	for {
		line, err := answers.ReadSlice('\n')
		switch {
		case err == nil:
			watch.Reset(answerGrace)
			if done, err := u.answer(line, rest); done || err != nil {
				return 0, err
			}
		case errors.Is(err, bufio.ErrBufferFull):
			return 0, weir.E(r.op(), weir.Internal, "a line of the answer is longer than %d bytes", maxAnswerLine)
		case ctx.Err() == nil && answering.Err() != nil:
			return 0, context.Cause(answering)
		default:
			return 0, weir.E(r.op(), weir.Unavailable, "the answer was cut off: %w", err)
		}
	}
}

func (u *upload) request(rest []byte) request {
	q := maps.Clone(u.Query)
	if u.next > 1 {
		if q == nil {
			q = url.Values{}
		}
		q.Set("line", strconv.Itoa(u.next))
	}
	return request{
		method: http.MethodPost, path: "/v1/events", query: q, body: rest, contentType: LinesType, key: u.Key, long: true,
	}
}

// answer reads a line of the answer. The last one is done, or an error.
func (u *upload) answer(line []byte, rest *[]byte) (done bool, err error) {
	var a struct {
		Chunk
		Done *bool `json:"done"`
	}
	switch err := json.Unmarshal(line, &a); {
	case err != nil:
		return false, weir.E("upload lines", weir.Internal, "read the answer: %w", err)
	case a.Done == nil:
		return false, u.answered(a.Chunk, rest)
	case a.Error != nil:
		return false, a.Error.Error("post /v1/events")
	}
	return true, nil
}

var newline = []byte{'\n'}

// answered counts a chunk and takes its lines from the rest.
func (u *upload) answered(a Chunk, rest *[]byte) error {
	at := 0
	for range a.Lines {
		if at == len(*rest) {
			return weir.E("upload lines", weir.Internal, "the server answered more lines than it was sent")
		}
		if i := bytes.IndexByte((*rest)[at:], '\n'); i >= 0 {
			at += i + 1
		} else {
			at = len(*rest)
		}
	}
	*rest = (*rest)[at:]
	u.client.See(a.Seq)
	u.count(Sent{Chunk: a, First: u.next, Bytes: at})
	return nil
}

// tooLong counts a line that is not worth sending.
func (u *upload) tooLong(size, most int) {
	e := weir.E("", weir.TooLarge, "the line is longer than %d MiB, and no event is: it was not sent", most>>20)
	u.count(Sent{First: u.next, Bytes: size, Chunk: Chunk{
		Lines: 1, Error: &Problem{Code: e.Code, Detail: e.Message, Line: u.next},
	}})
}

func (u *upload) count(s Sent) {
	u.next += s.Lines
	u.total.Lines += s.Lines
	u.total.Taken += s.Taken
	u.total.Duplicates += s.Duplicates
	if s.Error != nil {
		u.total.Refused += s.Lines
	}
	s.Chunk.Chunk = 0 // counts in its request only
	if u.Answered != nil {
		u.Answered(s)
	}
}

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
