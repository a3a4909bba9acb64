package httpcall

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"net/http"

	"weir"
)

// maxWhole bounds the data that is read from blobs into one body.
const maxWhole = 64 << 20

// inBlob reports whether the data of an event is in a blob and was not read.
func inBlob(e *weir.Event) bool { return e.Data == nil && e.Blob != nil }

// dataref is where this server gives out the data of an event (CloudEvents
// extension dataref).
func dataref(rec *weir.Record) string { return "/v1/events/" + rec.UID(0).String() + "/data" }

// whole returns the batch with the data that stands in blobs, but for uploaded
// files.
func (c *call) whole(ctx context.Context) ([]*weir.Record, error) {
	events := c.in.Events
	size := int64(0)
	for i, rec := range c.in.Events {
		if !inBlob(rec.Event) || rec.Event.Blob.File {
			continue
		}
		if size += rec.Event.Blob.Size; size > maxWhole {
			return nil, weir.E("", weir.TooLarge, "the data of the batch is over %d bytes long", maxWhole)
		}
		if &events[0] == &c.in.Events[0] {
			events = append([]*weir.Record(nil), events...)
		}
		filled, event := *rec, *rec.Event
		filled.Event = &event
		var err error
		if event.Data, err = c.read(ctx, event.Blob); err != nil {
			return nil, err
		}
		events[i] = &filled
	}
	return events, nil
}

func (c *call) read(ctx context.Context, blob *weir.Blob) ([]byte, error) {
	f, err := c.open(ctx, blob)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, blob.Size)
	_, err = io.ReadFull(f, data)
	return data, err
}

func (c *call) open(ctx context.Context, blob *weir.Blob) (io.ReadCloser, error) {
	f, err := c.in.Open(ctx, blob)
	if err != nil {
		return nil, err
	}
	return &verified{ReadCloser: f, blob: blob, sum: sha256.New(), left: blob.Size}, nil
}

// verified reads a blob, and fails before its last bytes where it is damaged, so
// that no receiver takes it for whole.
type verified struct {
	io.ReadCloser
	blob *weir.Blob
	sum  hash.Hash
	left int64
}

// Read is that of io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.sum.Write(p[:n])
	v.left -= int64(n)
	if v.left <= 0 && n > 0 && [sha256.Size]byte(v.sum.Sum(nil)) != v.blob.Sum || v.left > 0 && err == io.EOF {
		return 0, weir.E("", weir.Internal, "blob %s is damaged", v.blob.ID)
	}
	return n, err
}

// attach makes a blob the body of the request, which is read as it is sent.
func (c *call) attach(ctx context.Context, blob *weir.Blob) (err error) {
	if blob.Size == 0 {
		c.req.Body = http.NoBody
		return nil
	}
	c.req.ContentLength = blob.Size
	c.req.GetBody = func() (io.ReadCloser, error) { return c.open(ctx, blob) }
	c.req.Body, err = c.req.GetBody()
	return err
}

// writeTo writes the body of the request once, for its signature.
func (b content) writeTo(ctx context.Context, c *call, w io.Writer) error {
	if b.blob == nil {
		_, err := w.Write(b.bytes)
		return err
	}
	f, err := c.open(ctx, b.blob)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
