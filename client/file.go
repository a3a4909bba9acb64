package client

import (
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"path/filepath"

	"weir"
)

// Upload is files to publish, each as the data of one event. Query holds the
// attributes that they share: type, source, subject, ... With a Key the request
// is repeated where the connection is lost: the same files double nothing.
type Upload struct {
	Query url.Values
	Key   string
	Files []FileData
}

// FileData is one file of an upload. Open is called once for each try; the type
// of its content is application/octet-stream where it is not told.
type FileData struct {
	Name        string
	ContentType string
	Open        func() (io.ReadCloser, error)
}

// PublishFiles sends files as multipart/form-data (RFC 7578): all are kept, or
// none. Their content is streamed and not held in memory.
func (c *Client) PublishFiles(ctx context.Context, u Upload) ([]Receipt, error) {
	boundary := multipart.NewWriter(io.Discard)
	return c.publish(ctx, request{
		method: http.MethodPost, path: "/v1/events", contentType: boundary.FormDataContentType(),
		key: u.Key, repeatable: u.Key != "", long: true,
		stream: func() io.ReadCloser {
			r, w := io.Pipe()
			go func() { w.CloseWithError(u.write(w, boundary.Boundary())) }()
			return r
		},
	})
}

// write writes the body. It ends with an error where the reader ended first.
func (u *Upload) write(w io.Writer, boundary string) error {
	m := multipart.NewWriter(w)
	if err := m.SetBoundary(boundary); err != nil {
		return err
	}
	for name, values := range u.Query {
		for _, v := range values {
			if err := m.WriteField(name, v); err != nil {
				return err
			}
		}
	}
	for _, f := range u.Files {
		if err := f.write(m); err != nil {
			return err
		}
	}
	return m.Close()
}

func (f *FileData) write(m *multipart.Writer) error {
	content, err := f.Open()
	if err != nil {
		return weir.E("", weir.Invalid, "%w", err)
	}
	defer content.Close()
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", multipart.FileContentDisposition("file", filepath.Base(f.Name)))
	h.Set("Content-Type", "application/octet-stream")
	if f.ContentType != "" {
		h.Set("Content-Type", f.ContentType)
	}
	part, err := m.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, content); err != nil {
		return fmt.Errorf("send %s: %w", f.Name, err)
	}
	return nil
}
