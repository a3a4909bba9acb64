package httpcall

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"strings"
	"testing"

	"weir"
	"weir/internal/step"
)

// withBlob gives the input's first event data that is in a blob.
func withBlob(in *step.Input, data []byte, file bool) *weir.Blob {
	blob := &weir.Blob{ID: "00", Size: int64(len(data)), Sum: sha256.Sum256(data), File: file}
	e := in.Events[0].Event
	e.Data, e.Blob, e.ContentType = nil, blob, "image/png"
	in.Open = func(context.Context, *weir.Blob) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return blob
}

func TestBinaryModeSendsAnUploadedFileAsItIs(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("\xff\x00weir"), 200_000)
	for _, size := range []int{len(data), 1, 0} {
		r := record(t, nil)
		in := one(t)
		withBlob(in, data[:size], true)

		out := run(t, weir.HTTPStep{URL: r.url, Mode: "binary", Sign: "key"}, in)

		if out.Failure != nil || r.body != string(data[:size]) || r.last.ContentLength != int64(size) || r.header("Content-Type") != "image/png" {
			t.Fatalf("got %d bytes of %q, %+v", len(r.body), r.header("Content-Type"), out.Failure)
		}
		if got, want := r.header("webhook-signature"), sum("key", in.Key(), r.header("webhook-timestamp"), r.body); got != want {
			t.Errorf("signature %s, want %s", got, want)
		}
	}
}

func TestStructuredModeNamesAFileAndHoldsAllElse(t *testing.T) {
	t.Parallel()
	r := record(t, nil)
	in := one(t)
	withBlob(in, []byte{0xff, 0}, true)

	run(t, weir.HTTPStep{URL: r.url}, in)
	if want := `"dataref":"/v1/events/` + in.Events[0].UID(0).String() + `/data"}`; !strings.HasSuffix(r.body, want) || strings.Contains(r.body, "data_base64") {
		t.Errorf("file: got %s", r.body)
	}
	withBlob(in, []byte{0xff, 0}, false)
	run(t, weir.HTTPStep{URL: r.url}, in)
	if !strings.HasSuffix(r.body, `"data_base64":"/wA="}`) || in.Events[0].Event.Data != nil {
		t.Errorf("got %s", r.body)
	}
}

func TestDamagedBlobIsNotSentWhole(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*weir.Blob){
		"changed": func(b *weir.Blob) { b.Sum[0]++ },
		"shorter": func(b *weir.Blob) { b.Size++ },
		"longer":  func(b *weir.Blob) { b.Size-- },
	} {
		for _, def := range []weir.HTTPStep{{Mode: "binary"}, {Mode: "binary", Sign: "key"}, {}} {
			r := record(t, nil)
			in := one(t)
			damage(withBlob(in, bytes.Repeat([]byte("weir"), 100_000), false))
			def.URL = r.url

			out := run(t, def, in)

			if f := out.Failure; f == nil || !f.Final || !strings.Contains(f.Message, "damaged") {
				t.Errorf("%s, %q: got %+v", name, def.Mode, f)
			}
		}
	}
}
