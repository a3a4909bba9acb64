package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"

	"weir"
)

// Lines is an upload of events, one a line (NDJSON), of any length.
type Lines struct {
	In     io.Reader
	Stop   func()     // ends a read of In that waits
	Query  url.Values // with a type, lines are data and these are their attributes; else lines are CloudEvents
	Key    string     // a line without an id gets "{key}.{line}"; "": one is made
	Source string     // of lines that are data, where Query has none
}

// Chunk says what became of a part of the lines, which is taken whole or not at
// all.
type Chunk struct {
	Lines      int
	Taken      int
	Duplicates int
	Seq        weir.Seq // the greatest place of its events
	Line       int      // at fault, from 1 over the whole upload
	Err        error    // why nothing was taken
}

// TakeLines reads lines and publishes them chunk by chunk: while one is being
// appended the next is read. What became of each is given to answer, in order,
// by one goroutine at a time.
// A chunk that is turned away leaves nothing, is listed as a refusal, and does
// not end the upload; an error of answer, of the connection or of the journal
// does, and is returned: what was not answered was not taken, or may be sent
// again under the same key.
func (d *Door) TakeLines(ctx context.Context, entry Entry, in Lines, answer func(Chunk) error) error {
	l, err := d.newLines(in)
	if err != nil {
		d.Refuse(entry, nil, err)
		return err
	}
	defer func() { l.inFlight.give(l.held) }()
	var former func() error // waits for the chunk that is being appended
	for {
		c, readErr := l.next(ctx, entry)
		if former != nil {
			if err := former(); err != nil {
				return err
			}
			if former = nil; weir.CodeOf(readErr) == weir.Limited {
				continue // its room is free now
			}
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return nil
		case readErr != nil:
			d.Refuse(entry, nil, atLine(readErr, l.line))
			return readErr
		}
		former = l.begin(ctx, entry, c, answer)
	}
}

// begin appends a chunk and answers it, and returns what waits for that. A chunk
// that came whole is kept though its sender be gone.
func (l *lines) begin(ctx context.Context, entry Entry, c *chunk, answer func(Chunk) error) func() error {
	var err error
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	go func() {
		defer close(done)
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				err = weir.E("", weir.Internal, "panic: %v\n%s", v, debug.Stack())
			}
			if err != nil {
				l.Stop()
			}
		}()
		if c.Err == nil {
			err = l.appendChunk(ctx, entry, c)
		}
		if err == nil {
			err = answer(c.Chunk)
		}
	}()
	return func() error {
		<-done
		l.give(c.held)
		return err
	}
}

func (l *lines) appendChunk(ctx context.Context, entry Entry, c *chunk) error {
	if len(c.events) == 0 {
		return nil
	}
	accepted, err := l.append(ctx, waiting{l.journal}, entry, c.events)
	for _, a := range accepted {
		c.Seq = max(c.Seq, a.Seq)
		if a.Duplicate {
			c.Duplicates++
		} else {
			c.Taken++
		}
	}
	if weir.CodeOf(err) == weir.TooLarge {
		c.Line, c.Err = c.first, err
		return nil
	}
	return err
}

// waiting is a journal for those who can wait while too much waits there: of
// lines no more are read meanwhile, so that their sender waits, too.
type waiting struct{ Journal }

// Append appends once there is room.
func (w waiting) Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	for {
		receipts, err := w.Journal.Append(ctx, batches...)
		if weir.CodeOf(err) != weir.Limited {
			return receipts, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(askAgain):
		}
	}
}

// askAgain is about what a few appends take.
const askAgain = 20 * time.Millisecond

// chunk is some lines, and what was made of them.
type chunk struct {
	Chunk
	first  int // number of its first line
	events []*weir.Event
	held   int // bytes of the budget
}

// lines reads chunks of lines. The bytes of each are its events'.
type lines struct {
	*Door
	Lines
	like *weir.Event // of lines that are data; nil: lines are CloudEvents
	line int         // number of the first line that was not given out

	buf   []byte // read and not given out
	usual int    // bytes of the last chunk
	ended bool   // In has no more
	cutBy error  // why In broke off behind what was read
	held  int64  // bytes of buf and of chunks, taken from the budget
}

func (d *Door) newLines(in Lines) (*lines, error) {
	l := &lines{Door: d, Lines: in, line: 1}
	attributes := url.Values{}
	for name, values := range in.Query {
		if name != "line" {
			attributes[name] = values
		}
	}
	if from, ok := in.Query["line"]; ok {
		n, err := strconv.Atoi(from[0])
		if err != nil || n < 1 || len(from) > 1 {
			return nil, weir.E("", weir.Invalid, "%q is not the number of the first line", clip(from[0], 40)).WithField("line")
		}
		l.line = n
	}
	switch {
	case len(attributes) == 0:
		return l, nil
	case attributes.Get("type") == "":
		return nil, weir.E("", weir.Invalid, "is required where lines are plain JSON, whose attributes are the query's").WithField("type")
	case attributes.Has("id"):
		return nil, weir.E("", weir.Invalid, "would be that of all lines: use the header Idempotency-Key").WithField("id")
	}
	l.like = &weir.Event{Source: in.Source, ContentType: jsonType}
	return l, setValues(l.like, attributes)
}

// next reads a chunk. Where its lines are at fault its Err says so; io.EOF is
// the end of all lines.
func (l *lines) next(ctx context.Context, entry Entry) (*chunk, error) {
	first := l.line
	body, n, err := l.split()
	long := errors.Is(err, errLong)
	if err != nil && !long {
		return nil, err
	}
	l.line += n
	c := &chunk{Chunk: Chunk{Lines: n}, first: first, held: cap(body)}
	if long {
		c.Line, c.Err = first, weir.E("", weir.TooLarge, "longer than %d bytes, which are the most", l.limits.Body).WithField("line")
		l.Refuse(entry, nil, atLine(c.Err, first))
		return c, nil
	}
	fault := l.decode(ctx, entry.Project, c, body)
	if weir.CodeOf(c.Err) == weir.Internal {
		return nil, c.Err // not the sender's fault
	}
	if c.Err != nil {
		l.Refuse(entry, fault, atLine(c.Err, c.Line))
	}
	return c, nil
}

// decode makes a chunk's events and holds them to the rules. With an Err it
// returns the event at fault, as far as it was read.
func (l *lines) decode(ctx context.Context, project weir.ProjectID, c *chunk, body []byte) *weir.Event {
	d := decoder{limits: l.limits}
	at := make([]int, 0, c.Lines) // the lines of the events
	now, n := time.Now(), l.line-c.Lines
	for rest := body; len(rest) > 0; n++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, newline)
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		at = append(at, n)
		if c.Err = l.event(&d, line, now); c.Err != nil {
			break
		}
		if e := d.events[len(d.events)-1]; e.ID == "" {
			e.ID = l.id(n, now)
		}
	}
	fault := len(d.events) - 1
	if c.Err == nil {
		fault, c.Err = l.checkAll(ctx, project, d.events)
	}
	if c.Err != nil {
		c.Line = at[fault]
		return d.events[fault]
	}
	in := Decoded{Events: d.events}
	in.unpin(cap(body))
	c.events = d.events
	return nil
}

// event reads the event of a line.
func (l *lines) event(d *decoder, line []byte, now time.Time) error {
	d.scanner = scanner{b: line}
	if err := checkUTF8(line); err != nil {
		d.next()
		return err
	}
	if l.like != nil {
		e := d.next()
		*e = *l.like
		return d.plainData(e)
	}
	if err := d.event(); err != nil {
		return err
	}
	return d.end()
}

// id makes the id of a line.
func (l *lines) id(line int, now time.Time) string {
	if l.Key == "" {
		return NewID(now)
	}
	return l.Key + "." + strconv.Itoa(line)
}

// atLine puts a line's number before an error, for the list of refusals.
func atLine(err error, line int) error {
	e, ok := errors.AsType[*weir.Error](err)
	if !ok {
		return err
	}
	c := *e
	c.Message = fmt.Sprintf("line %d: %s", line, e.Message)
	return &c
}

var newline = []byte{'\n'}

// errLong says that the next line is longer than a line may be. It is not kept,
// and counts as a chunk of its own.
var errLong = errors.New("line too long")

// split returns the next whole lines, as many as belong together, and how many
// they are; io.EOF is the end.
func (l *lines) split() (body []byte, n int, err error) {
	most := int(l.limits.Body)
	end, scanned := 0, 0 // of the whole lines, and of what was looked through
	for {
		for n < l.limits.Lines {
			i := bytes.IndexByte(l.buf[scanned:], '\n')
			if i < 0 {
				scanned = len(l.buf)
				break
			}
			scanned += i + 1
			end, n = scanned, n+1
		}
		switch {
		case n == l.limits.Lines || n > 0 && len(l.buf) > most:
			return l.cut(end), n, nil
		case len(l.buf) > most:
			return nil, 1, l.skip()
		case l.ended && len(l.buf) > end:
			return l.cut(len(l.buf)), n + 1, nil
		case l.ended && n > 0:
			return l.cut(end), n, nil
		case l.ended:
			return nil, 0, io.EOF
		}
		if !l.room(most) {
			if n == 0 {
				return nil, 0, errNoRoom()
			}
			return l.cut(end), n, nil // when the door is full, chunks are smaller
		}
		if err := l.read(); err != nil {
			return nil, 0, err
		}
	}
}

// read reads on, into the room that there is.
func (l *lines) read() error {
	if l.cutBy != nil {
		return l.readError(l.cutBy)
	}
	n, err := l.In.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	switch {
	case errors.Is(err, io.EOF):
		l.ended = true
	case err != nil && n > 0:
		l.cutBy = err // whole chunks come first
	case err != nil:
		return l.readError(err)
	}
	return nil
}

// room makes room to read on, and reports whether the budget has it.
func (l *lines) room(most int) bool {
	if len(l.buf) < cap(l.buf) {
		return true
	}
	for _, size := range []int{max(2*cap(l.buf), l.usual+firstRead), cap(l.buf) + firstRead} {
		size = min(size, most+1)
		more := int64(size - cap(l.buf))
		if l.inFlight.take(more) {
			l.held += more
			grown := make([]byte, len(l.buf), size)
			copy(grown, l.buf)
			l.buf = grown
			return true
		}
	}
	return false
}

// cut gives out what was read up to end, and keeps what stands behind it.
func (l *lines) cut(end int) []byte {
	body := l.buf[:end]
	rest := l.buf[end:]
	l.usual, l.buf = end, nil
	if len(rest) > 0 {
		l.buf = append(make([]byte, 0, len(rest)), rest...)
		l.give(-len(rest))
	}
	return body
}

// skip forgets the line that is too long, to its end.
func (l *lines) skip() error {
	for {
		l.buf = l.buf[:0]
		if err := l.read(); err != nil {
			return err
		}
		if i := bytes.IndexByte(l.buf, '\n'); i >= 0 || l.ended {
			l.buf = append(l.buf[:0], l.buf[cmp.Or(i+1, len(l.buf)):]...)
			return errLong
		}
	}
}

// give gives back n bytes of the budget; those below zero are there already.
func (l *lines) give(n int) {
	l.held -= int64(n)
	l.inFlight.give(int64(n))
}
