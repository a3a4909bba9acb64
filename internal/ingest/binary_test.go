package ingest

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// ce makes headers of pairs.
func ce(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestAnEventInBinaryModeHasItsAttributesInHeaders(t *testing.T) {
	t.Parallel()
	body := []byte("\x00\xff any bytes")
	h := ce(
		"Ce-Specversion", "1.0", "ce-id", "a-1", "CE-Source", "/shop", "ce-type", "order.placed", "ce-subject", "Euro%20%E2%82%AC",
		"ce-time", "2026-01-31T09:30:00Z", "ce-dataschema", "https://x.example/s", "ce-hops", "2", "ce-traceparent", "00-ab",
		"ce-execution", "e1", "ce-alpha", "1", "Content-Type", "image/png", "Authorization", "no attribute",
	)

	got, err := DefaultLimits().Decode(Body{Header: h, Bytes: body})
	if err != nil {
		t.Fatal(err)
	}
	want := Decoded{Events: []*weir.Event{{
		ID: "a-1", Source: "/shop", Type: "order.placed", Subject: "Euro €", ContentType: "image/png",
		Time: weir.TimeOf(time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)), Schema: "https://x.example/s", Execution: "e1", Hops: 2,
		Extensions: []weir.Extension{{Name: "alpha", Value: "1"}, {Name: "traceparent", Value: "00-ab"}}, Data: body,
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if &got.Events[0].Data[0] != &body[0] {
		t.Error("the data was copied")
	}
}

// required are the headers of every event in binary mode.
func required(more ...string) http.Header {
	return ce(append([]string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "s", "ce-type", "t"}, more...)...)
}

func TestBinaryModeTakesAnyContentType(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "application/json", "text/csv", "application/x-ndjson", "multipart/form-data; boundary=x", "application/json; charset=latin1"} {
		h := required()
		if kind != "" {
			h.Set("Content-Type", kind)
		}

		form, formErr := FormOf(h)
		got, err := DefaultLimits().Decode(Body{Header: h, Bytes: []byte(`{"a":1}`)})

		if formErr != nil || form != Whole || err != nil || got.Events[0].ContentType != kind || string(got.Events[0].Data) != `{"a":1}` {
			t.Errorf("%q: form %d, %v, %v", kind, form, formErr, err)
		}
	}
}

func TestAnEventInBinaryModeMayHaveNoData(t *testing.T) {
	t.Parallel()

	got, err := DefaultLimits().Decode(Body{Header: required("Content-Type", "application/json"), Bytes: []byte{}})

	if err != nil || got.Events[0].Data != nil {
		t.Errorf("data %q, %v", got.Events[0].Data, err)
	}
}

func TestAStructuredContentTypeDecidesOverHeadersOfAttributes(t *testing.T) {
	t.Parallel()
	h := required("Content-Type", "application/cloudevents+json; charset=UTF-8")

	got, err := DefaultLimits().Decode(Body{Header: h, Bytes: []byte(`{"specversion":"1.0","id":"inner","source":"/i","type":"i"}`)})

	if err != nil || got.Events[0].ID != "inner" {
		t.Errorf("%+v, %v", got.Events, err)
	}
}

func TestHeaderValuesAreUnquotedAndPercentDecodedOnce(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"plain": "plain", "a b": "a b", "%41%20b": "A b", "%2541": "%41", `"quoted \"x\" \\"`: `quoted "x" \`, `"%41"`: "A",
		"Ümläut": "Ümläut", "%e2%82%ac": "€", "%F0%9F%98%80": "😀", `a"b`: `a"b`,
	} {
		got, err := headerText(value)

		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", value, got, err, want)
		}
	}
}

func TestAnEventInBinaryModeThatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header      http.Header
		body        string
		field, text string
	}{
		"no specversion":     {ce("ce-id", "1", "ce-source", "s", "ce-type", "t"), "", "specversion", "is required, as the header ce-specversion"},
		"old specversion":    {ce("ce-specversion", "0.3"), "", "ce-specversion", `"0.3" is not taken: use 1.0`},
		"header twice":       {required("ce-id", "2"), "", "ce-id", "given twice"},
		"cut percent":        {required("ce-subject", "50%"), "", "ce-subject", "after % stand no two hex digits at byte 2"},
		"bad percent":        {required("ce-subject", "%zz"), "", "ce-subject", "after % stand no two hex digits at byte 0"},
		"overlong UTF-8":     {required("ce-subject", "%C0%A0"), "", "ce-subject", "is not valid UTF-8"},
		"raw bytes":          {required("ce-subject", "\xff"), "", "ce-subject", "is not valid UTF-8"},
		"open quote":         {required("ce-subject", `"a`), "", "ce-subject", "begins with a quote and does not end with one"},
		"quote in the midst": {required("ce-subject", `"a"b`), "", "ce-subject", "goes on after its quotes"},
		"empty":              {required("ce-subject", ""), "", "ce-subject", "may not be empty"},
		"time":               {required("ce-time", "now"), "", "ce-time", `"now" is not an RFC 3339 time such as 2026-01-31T09:30:00Z`},
		"hops":               {required("ce-hops", "x"), "", "ce-hops", `"x" is not a 32-bit integer`},
		"data's type":        {required("ce-datacontenttype", "text/plain"), "", "ce-datacontenttype", "is not taken: the header Content-Type tells it"},
		"broken JSON":        {required("Content-Type", "application/json"), "{", "data", "not JSON: it ends at byte 1, where a name was expected"},
		"JSON in no UTF-8":   {required("Content-Type", "application/json; charset=latin1"), "\"\xe4\"", "data", "not valid UTF-8 at byte 1"},
		"no type, no JSON":   {required(), "hello", "data", "not JSON: at byte 0 stands 'h', where a value was expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := DefaultLimits().Decode(Body{Header: c.header, Bytes: []byte(c.body)})

			e, ok := errors.AsType[*weir.Error](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff([]string{"invalid", c.field, c.text}, []string{string(e.Code), e.Field, e.Message}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHeadersThatMatterMayNotBeThereTwice(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"content-type", "content-encoding", "idempotency-key"} {
		_, err := FormOf(ce(name, "a", name, "b"))

		if e, ok := errors.AsType[*weir.Error](err); !ok || e.Field != name || e.Code != weir.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzHeaders checks that reading an event in binary mode never panics, and that
// what is taken is valid and keeps its data.
func FuzzHeaders(f *testing.F) {
	f.Add("ce-subject", "%E2%82%AC", "application/json", []byte(`1`))
	f.Add("ce-x", `"a\"b"`, "text/plain", []byte("\xff"))
	f.Add("ce-time", "2026-01-01T00:00:00Z", "", []byte{})
	f.Add("Ce-Hops", "%31", "application/cloudevents", []byte("x"))
	f.Fuzz(func(t *testing.T, name, value, contentType string, body []byte) {
		h := required("Content-Type", contentType)
		h[http.CanonicalHeaderKey(name)] = []string{value}

		got, err := DefaultLimits().Decode(Body{Header: h, Bytes: body})

		if weir.CodeOf(err) == weir.Internal {
			t.Fatal(err)
		}
		if err != nil || isStructured(contentType) {
			return
		}
		e := got.Events[0]
		if len(body) > 0 && !bytes.Equal(e.Data, body) {
			t.Errorf("data %q of %q", e.Data, body)
		}
		if !utf8.ValidString(e.ID + e.Source + e.Type + e.Subject) {
			t.Errorf("not UTF-8: %+v", e)
		}
	})
}
