package ingest

import (
	"context"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir"
)

// Files is an upload of files by a form (RFC 7578). Its fields are attributes of
// all of its events; topic is another name of type.
type Files struct {
	In          io.Reader
	ContentType string // multipart/form-data with its boundary
	Key         string // the files' ids are "{key}.1" and so on; "": they are made
	Source      string // where no field says it
}

// TakeFiles publishes one event per file: all of them, or none. The files go to
// blobs as they come.
func (d *Door) TakeFiles(ctx context.Context, entry Entry, in Files) ([]Accepted, error) {
	const buffers = 256 << 10 // of the form's reader and of copying
	if !d.inFlight.take(buffers + d.limits.Fields) {
		err := errNoRoom()
		d.Refuse(entry, nil, err)
		return nil, err
	}
	defer d.inFlight.give(buffers + d.limits.Fields)
	f := form{Door: d, Files: in, fence: fence{in: in.In}, values: url.Values{}, left: d.limits.Fields}
	if err := f.read(ctx); err != nil {
		d.removeBlobs(ctx, f.events)
		if code := weir.CodeOf(err); code == weir.Invalid || code == weir.TooLarge {
			d.Refuse(entry, nil, err)
		}
		return nil, err
	}
	return d.publish(ctx, entry, Decoded{Events: f.events, Batch: true})
}

// form is a form that is being read.
type form struct {
	*Door
	Files
	fence  fence
	values url.Values
	left   int64 // bytes that further fields may have
	events []*weir.Event
}

func (f *form) read(ctx context.Context) error {
	_, params, err := mime.ParseMediaType(f.ContentType)
	if err != nil || params["boundary"] == "" {
		return weir.E("", weir.Invalid, "the form has no boundary").WithField("content-type")
	}
	f.fence.end = "--" + params["boundary"] + "--"
	parts := multipart.NewReader(&f.fence, params["boundary"])
	for {
		f.fence.left = maxPartHeader
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f.formError(err)
		}
		f.fence.left = math.MaxInt64
		if part.FileName() == "" {
			err = f.field(part)
		} else {
			err = f.file(ctx, part)
		}
		if err != nil {
			return err
		}
	}
	if len(f.events) == 0 {
		return weir.E("", weir.Invalid, "the form has no file").WithField("file")
	}
	return f.name()
}

// field keeps what an attribute says.
func (f *form) field(part *multipart.Part) error {
	name := part.FormName()
	if name == "topic" {
		name = "type"
	}
	switch name {
	case "":
		return weir.E("", weir.Invalid, "a part of the form has no name")
	case "id":
		return weir.E("", weir.Invalid, "is no name of a field: use type or topic, source, subject, execution, time or an extension").
			WithField(name)
	}
	f.left -= int64(len(name))
	value, err := io.ReadAll(io.LimitReader(part, f.left+1))
	if err != nil {
		return f.formError(err)
	}
	if f.left -= int64(len(value)); f.left < 0 {
		return weir.E("", weir.TooLarge, "the fields of the form have more than %d bytes, which are the most", f.limits.Fields).
			WithField(clip(name, maxRepeated))
	}
	f.values.Add(name, string(value))
	return nil
}

// file writes a file into a blob, and makes its event.
func (f *form) file(ctx context.Context, part *multipart.Part) error {
	if len(f.events) == f.limits.Files {
		return weir.E("", weir.TooLarge, "more than %d files in a form", f.limits.Files).WithField("files")
	}
	switch coding := strings.ToLower(part.Header.Get("Content-Transfer-Encoding")); coding {
	case "", "7bit", "8bit", "binary":
	default:
		return weir.E("", weir.Invalid, "%q is not taken: send the bytes as they are", clip(coding, maxRepeated)).
			WithField("content-transfer-encoding").WithIndex(len(f.events))
	}
	w, err := f.blobs.Create(ctx)
	if err != nil {
		return err
	}
	in := &tapped{in: io.LimitReader(part, f.limits.File+1)}
	n, err := io.Copy(w, in)
	switch {
	case in.err != nil:
		err = f.formError(in.err)
	case err == nil && n > f.limits.File:
		err = weir.E("", weir.TooLarge, "%q is longer than %d bytes, which are the most", baseName(part.FileName()), f.limits.File).
			WithField("file").WithIndex(len(f.events))
	}
	if err != nil {
		w.Discard()
		return err
	}
	blob, err := w.Commit()
	if err != nil {
		return err
	}
	blob.File = true
	e := &weir.Event{Source: f.Source, ContentType: part.Header.Get("Content-Type"), Blob: &blob}
	if e.ContentType == "" {
		e.ContentType = "application/octet-stream"
	}
	e.Subject = baseName(part.FileName())
	f.events = append(f.events, e)
	return nil
}

// name gives the events what the fields say, their ids and their files' names.
func (f *form) name() error {
	if !f.values.Has("type") {
		return weir.E("", weir.Invalid, "is required: give the form a field type or topic").WithField("type")
	}
	for i, e := range f.events {
		file := e.Subject
		if file != "" && !f.values.Has("filename") {
			e.Extensions = []weir.Extension{{Name: "filename", Value: file}}
		}
		if err := setValues(e, f.values); err != nil {
			return err
		}
		e.ID = f.Key + "." + strconv.Itoa(i+1)
		if f.Key == "" {
			e.ID = NewID(time.Now())
		}
	}
	return nil
}

// formError says why a form could not be read.
func (f *form) formError(err error) error {
	if e, ok := errors.AsType[*weir.Error](err); ok {
		return e
	}
	switch {
	case f.fence.err == nil || errors.Is(f.fence.err, io.EOF):
		return weir.E("", weir.Invalid, "the form is malformed: %s", clip(err.Error(), 200))
	case errors.Is(f.fence.err, errCutOff):
		return weir.E("", weir.Invalid, "the form has no end: its last boundary is missing")
	}
	return f.readError(f.fence.err)
}

// baseName returns the name of a file without the directories and the control
// characters that its sender may have put there; "" where nothing is left.
func baseName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if name == "." || name == ".." {
		return ""
	}
	return name
}

// maxPartHeader bounds the header of a part with the boundary before it.
const maxPartHeader = 64 << 10

// fence lets so many bytes through, and remembers why there are no more. That
// there are none is an end only behind the last boundary: the form's reader alone
// takes one that is cut within a header for whole.
type fence struct {
	in   io.Reader
	left int64
	end  string // the last boundary
	tail []byte // what came last, as long as that and the end of a line
	err  error
}

var errCutOff = errors.New("no last boundary")

func (f *fence) Read(b []byte) (int, error) {
	if f.left <= 0 {
		return 0, weir.E("", weir.TooLarge, "the header of a part is longer than %d bytes, which are the most", maxPartHeader).
			WithField("header")
	}
	n, err := f.in.Read(b[:min(int64(len(b)), f.left)])
	f.left -= int64(n)
	long := len(f.end) + len("\r\n")
	last := b[max(0, n-long):n]
	f.tail = append(f.tail[min(len(f.tail), max(0, len(f.tail)+len(last)-long)):], last...)
	if errors.Is(err, io.EOF) && !strings.Contains(string(f.tail), f.end) {
		err = errCutOff
	}
	f.err = err
	return n, err
}

// tapped remembers the error of reading, which is not that of writing.
type tapped struct {
	in  io.Reader
	err error
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.in.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}
