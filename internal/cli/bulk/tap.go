package bulk

import (
	"context"
	"io"
	"time"
)

// tap reads an input that may have nothing for a while, as standard input does:
// a read then returns nothing, without an error, and ends with its context.
type tap struct {
	ctx    context.Context
	blocks chan block
	rest   block
}

// block is what one read of the input brought.
type block struct {
	b   []byte
	err error
}

const (
	tapBlock = 64 << 10
	tapIdle  = 500 * time.Millisecond
)

// newTap begins to read. A read of in cannot be interrupted: it is left behind to
// end with the process.
func newTap(ctx context.Context, in io.Reader) *tap {
	t := &tap{ctx: ctx, blocks: make(chan block)}
	go func() {
		for {
			b := make([]byte, tapBlock)
			n, err := in.Read(b)
			select {
			case t.blocks <- block{b[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return t
}

// Read returns what is there, or after half a second nothing.
func (t *tap) Read(b []byte) (int, error) {
	if len(t.rest.b) == 0 && t.rest.err == nil {
		select {
		case t.rest = <-t.blocks:
		case <-t.ctx.Done():
			return 0, t.ctx.Err()
		case <-time.After(tapIdle):
			return 0, nil
		}
	}
	n := copy(b, t.rest.b)
	t.rest.b = t.rest.b[n:]
	if len(t.rest.b) > 0 {
		return n, nil
	}
	return n, t.rest.err
}

// Close does nothing: a read of the input may be under way, and ends with the process.
func (t *tap) Close() error { return nil }
