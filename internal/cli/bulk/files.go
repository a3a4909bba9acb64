package bulk

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"mime"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

// Files publishes each file as the data of an event, all of them or none.
func (p *Publisher) Files(ctx context.Context, names []string) ([]client.Receipt, error) {
	told := p.progress()
	s := show.Standing{Unit: "files", Units: len(names)}
	var sent atomic.Int64
	u := client.Upload{Query: p.Query, Key: cmp.Or(p.Key, rand.Text())}
	for i, name := range names {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return nil, weir.E("", weir.Invalid, "%q is no file that can be read", name)
		}
		s.Total += info.Size()
		u.Files = append(u.Files, client.FileData{
			Name: name, ContentType: mime.TypeByExtension(filepath.Ext(name)),
			Open: func() (io.ReadCloser, error) {
				if i == 0 {
					sent.Store(0) // another try
				}
				f, err := os.Open(name)
				return &counted{f, func(n int) {
					s := s
					s.Done = sent.Add(int64(n))
					told.Tell(s, time.Now())
				}}, err
			},
		})
	}
	receipts, err := p.Client.PublishFiles(ctx, u)
	if ctx.Err() != nil {
		return nil, show.Interrupted(ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	s.Done = s.Total
	told.End(s, time.Now())
	return receipts, nil
}

// counted tells of what is read.
type counted struct {
	io.ReadCloser
	read func(n int)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.read(n)
	return n, err
}
