package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// kind is the header of a body.
func kind(contentType string) http.Header { return http.Header{"Content-Type": {contentType}} }

func TestAStructuredEventIsReadAttributeByAttribute(t *testing.T) {
	t.Parallel()
	body := `{"specversion":"1.0","id":"a-1","source":"/shop","type":"order.placed","subject":"o\u00e9\ud83d\ude00",
		"time":"2026-01-31T09:30:00.5+01:00","datacontenttype":"application/json","dataschema":"https://x.example/s",
		"execution":"e1","hops":2,"zflag":true,"anum":-7,"traceparent":"00-ab","gone":null, "data" : {"n": 1.50, "s":"\ud800"} }`

	got, err := DefaultLimits().Decode(Body{Header: kind("application/cloudevents+json; charset=UTF-8"), Bytes: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	want := Decoded{Events: []*weir.Event{{
		ID: "a-1", Source: "/shop", Type: "order.placed", Subject: "oé😀", ContentType: "application/json",
		Time: weir.TimeOf(time.Date(2026, 1, 31, 8, 30, 0, 500_000_000, time.UTC)), Schema: "https://x.example/s",
		Execution: "e1", Hops: 2,
		Extensions: []weir.Extension{
			{Name: "anum", Kind: weir.ExtensionInt, Value: "-7"},
			{Name: "traceparent", Value: "00-ab"},
			{Name: "zflag", Kind: weir.ExtensionBool, Value: "true"},
		},
		Data: []byte(`{"n": 1.50, "s":"\ud800"}`),
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDataIsAPartOfTheBody(t *testing.T) {
	t.Parallel()
	body := []byte(`{"specversion":"1.0","data":{"a":1},"id":"1"}`)

	got, err := DefaultLimits().Decode(Body{Header: kind(eventType), Bytes: body})
	if err != nil {
		t.Fatal(err)
	}
	data := got.Events[0].Data
	if &data[0] != &body[bytes.Index(body, []byte(`{"a"`))] || cap(data) != len(data) {
		t.Error("data was copied, or can be appended to")
	}
}

func TestDataFollowsItsContentType(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ members, want string }{
		"text in a string":     {`"datacontenttype":"text/plain","data":"a\nb"`, "a\nb"},
		"text, type later":     {`"data":"\u0041","datacontenttype":"text/plain"`, "A"},
		"JSON string":          {`"data":"a\nb"`, `"a\nb"`},
		"null":                 {`"data":null`, `null`},
		"base64":               {`"datacontenttype":"image/png","data_base64":"AP8="`, "\x00\xff"},
		"JSON in base64":       {`"data_base64":"eyJhIjoxfQ=="`, `{"a":1}`},
		"a type that is +json": {`"datacontenttype":"application/vnd.x+json","data":[1]`, `[1]`},
		"none":                 {`"datacontenttype":"text/plain"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := DefaultLimits().Decode(Body{Header: kind(eventType), Bytes: []byte(`{"specversion":"1.0",` + c.members + `}`)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got.Events[0].Data)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlainJSONTakesItsAttributesFromTheQuery(t *testing.T) {
	t.Parallel()
	query := url.Values{"type": {"a.b"}, "time": {"2026-01-01T00:00:00Z"}, "subject": {"s"}, "tag": {"x"}}

	got, err := DefaultLimits().Decode(Body{
		Header: kind(jsonType), Bytes: []byte(" {\"a\": 1}\n"), Query: query, Key: "key-1", Source: "/api/ci",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &weir.Event{
		ID: "key-1", Source: "/api/ci", Type: "a.b", Subject: "s", ContentType: jsonType,
		Time:       weir.TimeOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		Extensions: []weir.Extension{{Name: "tag", Value: "x"}}, Data: []byte(`{"a": 1}`),
	}
	if diff := cmp.Diff(want, got.Events[0]); diff != "" {
		t.Error(diff)
	}
}

func TestAnIDIsMadeWherePlainJSONHasNone(t *testing.T) {
	t.Parallel()

	got, err := DefaultLimits().Decode(Body{Header: kind(jsonType), Bytes: []byte("1"), Query: url.Values{"type": {"t"}}})

	if err != nil || len(got.Events[0].ID) != 32 {
		t.Errorf("id %q, error %v", got.Events[0].ID, err)
	}
}

// refusedBodies are bodies with what their error says.
var refusedBodies = []struct {
	name, contentType, body, query string
	code                           weir.Code
	field, text                    string
}{
	{"unknown type", "text/csv", "a", "", weir.Invalid, "content-type", `content type "text/csv" is not taken: use application/cloudevents+json, application/cloudevents-batch+json, application/json, application/x-ndjson or multipart/form-data, or the header ce-specversion`},
	{"no type", "", "a", "", weir.Invalid, "content-type", "there is no content type: use application/cloudevents+json, application/cloudevents-batch+json, application/json, application/x-ndjson or multipart/form-data, or the header ce-specversion"},
	{"charset", jsonType + "; charset=latin1", "1", "", weir.Invalid, "content-type", `charset "latin1" is not taken: JSON is UTF-8`},
	{"empty", eventType, "", "", weir.Invalid, "", "not JSON: it ends at byte 0, where an event, which is an object, was expected"},
	{"cut off", eventType, `{"specversion":"1.0","id":"x`, "", weir.Invalid, "", "not JSON: it ends at byte 28, where a quote was expected"},
	{"trailing", eventType, `{"specversion":"1.0"} x`, "", weir.Invalid, "", "not JSON: at byte 22 stands 'x', where nothing more was expected"},
	{"broken data", jsonType, `{"a":01}`, "type=t", weir.Invalid, "", "not JSON: at byte 6 stands '1', where a comma or the end of the list was expected"},
	{"a control character", eventType, "{\"id\":\"a\tb\"}", "", weir.Invalid, "", "not JSON: at byte 8 stands '\\t', where an escape, as in a string every control character must be one, was expected"},
	{"not UTF-8", eventType, "{\"id\":\"\xff\"}", "", weir.Invalid, "", "not valid UTF-8 at byte 7"},
	{"too deep", jsonType, strings.Repeat("[", 129) + strings.Repeat("]", 129), "type=t", weir.Invalid, "", "JSON is deeper than 128 at byte 128"},
	{"no specversion", eventType, `{"id":"1"}`, "", weir.Invalid, "specversion", "is required"},
	{"null specversion", eventType, `{"specversion":null}`, "", weir.Invalid, "specversion", "is required"},
	{"old specversion", eventType, `{"specversion":"0.3"}`, "", weir.Invalid, "specversion", `"0.3" is not taken: use 1.0`},
	{"id twice", eventType, `{"id":"1","id":"1"}`, "", weir.Invalid, "id", "given twice"},
	{"id twice, escaped", eventType, `{"id":"1","\u0069d":"1"}`, "", weir.Invalid, "id", "given twice"},
	{"id a number", eventType, `{"id":1}`, "", weir.Invalid, "id", "is not a string"},
	{"empty subject", eventType, `{"subject":""}`, "", weir.Invalid, "subject", "may not be empty"},
	{"time", eventType, `{"time":"today"}`, "", weir.Invalid, "time", `"today" is not an RFC 3339 time such as 2026-01-31T09:30:00Z`},
	{"hops", eventType, `{"hops":"1"}`, "", weir.Invalid, "hops", `"1" is not a 32-bit integer`},
	{"extension an object", eventType, `{"x":{}}`, "", weir.Invalid, "x", "is not a string, an integer or a boolean"},
	{"extension a fraction", eventType, `{"x":1.5}`, "", weir.Invalid, "x", "1.5 is not a 32-bit integer"},
	{"half a surrogate", eventType, `{"x":"\ud800"}`, "", weir.Invalid, "x", "contains half of a surrogate pair"},
	{"both kinds of data", eventType, `{"specversion":"1.0","data":1,"data_base64":"MQ=="}`, "", weir.Invalid, "data_base64", "data and data_base64 are both given"},
	{"base64", eventType, `{"specversion":"1.0","data_base64":"*"}`, "", weir.Invalid, "data_base64", "is not base64"},
	{"base64 no JSON", eventType, `{"specversion":"1.0","data_base64":"AP8="}`, "", weir.Invalid, "data_base64", "is not JSON, which it is said to be: give its datacontenttype"},
	{"JSON for text", eventType, `{"specversion":"1.0","datacontenttype":"text/plain","data":{}}`, "", weir.Invalid, "data", "is JSON, and text/plain is not: give a string or data_base64"},
	{"query twice", jsonType, `1`, "type=a&type=b", weir.Invalid, "type", "given twice"},
	{"query hops", jsonType, `1`, "hops=1", weir.Invalid, "hops", "is not taken here: use application/cloudevents+json"},
	{"body too large", jsonType, strings.Repeat(" ", 8<<20+1), "", weir.TooLarge, "body", "longer than 8388608 bytes, which are the most"},
}

func TestABodyThatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	for _, c := range refusedBodies {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			query, err := url.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}

			_, err = DefaultLimits().Decode(Body{Header: kind(c.contentType), Bytes: []byte(c.body), Query: query})

			got, ok := errors.AsType[*weir.Error](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			want := []string{string(c.code), c.field, c.text}
			if diff := cmp.Diff(want, []string{string(got.Code), got.Field, got.Message}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestABatchNamesThePlaceOfTheEventAtFault(t *testing.T) {
	t.Parallel()
	good := `{"specversion":"1.0","id":"1","source":"s","type":"t"}`
	body := "[" + good + "," + good + `,{"specversion":"1.0","id":"3","source":"s","time":"never"}]`

	got, err := DefaultLimits().Decode(Body{Header: kind(batchType), Bytes: []byte(body)})

	e, ok := errors.AsType[*weir.Error](err)
	if !ok || !e.HasIndex || e.Index != 2 || e.Field != "time" {
		t.Errorf("error %+v", err)
	}
	if fault := got.Events[len(got.Events)-1]; fault.ID != "3" {
		t.Errorf("the last event is %+v, not the one at fault", fault)
	}
}

func TestABatchHasABound(t *testing.T) {
	t.Parallel()
	one := `{"specversion":"1.0"}`
	limits := Limits{Data: 100, Body: 1000, Events: 3}

	_, three := limits.Decode(Body{Header: kind(batchType), Bytes: []byte("[" + one + "," + one + "," + one + "]")})
	_, four := limits.Decode(Body{Header: kind(batchType), Bytes: []byte("[" + one + "," + one + "," + one + "," + one + "]")})
	empty, none := limits.Decode(Body{Header: kind(batchType), Bytes: []byte("[ ]")})

	if three != nil || none != nil || len(empty.Events) != 0 || weir.CodeOf(four) != weir.TooLarge {
		t.Errorf("three: %v, four: %v, none: %v", three, four, none)
	}
}

func TestJSONMayBeAsDeepAsTheLimit(t *testing.T) {
	t.Parallel()
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }

	if at, over := CheckJSON(deep(MaxDepth)), CheckJSON(deep(MaxDepth+1)); at != nil || over == nil {
		t.Errorf("at the limit %v, over it %v", at, over)
	}
}

func TestMadeIDsAreUUIDsThatSortByTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	first, again, later := NewID(now), NewID(now), NewID(now.Add(time.Millisecond))

	if first == again || later < first || later < again {
		t.Error(first, again, later)
	}
	if first[12] != '7' || !strings.ContainsRune("89ab", rune(first[16])) {
		t.Errorf("%s is no UUID of version 7", first)
	}
}

// FuzzScanner holds the scanner against encoding/json, which also takes what is
// not UTF-8 and goes deeper.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,true,false,null,"\u00e9\\"]}`, `[`, `01`, `1.`, `"a`, "\"\x01\"", `{"a":1,}`, ` 1 `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		deep := bytes.Count(b, []byte{'['})+bytes.Count(b, []byte{'{'}) > MaxDepth
		if deep || !utf8.Valid(b) {
			t.Skip()
		}
		if got, want := CheckJSON(b) == nil, json.Valid(b); got != want {
			t.Errorf("%q: %v, encoding/json says %v", b, got, want)
		}
	})
}

// FuzzEvent holds the structured decoder against encoding/json: what it takes
// has the same members.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1}}`))
	f.Add([]byte(`{"specversion":"1.0","\u0069d":"\ud83d\ude00","x":true,"data_base64":"MQ=="}`))
	for _, c := range refusedBodies {
		if len(c.body) < 1000 {
			f.Add([]byte(c.body))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DefaultLimits().Decode(Body{Header: kind(eventType), Bytes: b})
		if err != nil {
			if weir.CodeOf(err) == weir.Internal {
				t.Fatal(err)
			}
			return
		}
		var want struct {
			ID, Source, Type, Subject *string
			Data                      json.RawMessage
		}
		if err := json.Unmarshal(caseExact(t, b), &want); err != nil {
			t.Fatalf("taken, and encoding/json says %v", err)
		}
		e := got.Events[0]
		for _, pair := range []struct {
			got  string
			want *string
		}{{e.ID, want.ID}, {e.Source, want.Source}, {e.Type, want.Type}, {e.Subject, want.Subject}} {
			if pair.want != nil && *pair.want != pair.got {
				t.Errorf("%q, encoding/json says %q", pair.got, *pair.want)
			}
		}
		if e.IsJSON() && want.Data != nil && !bytes.Equal(want.Data, e.Data) {
			t.Errorf("data %q, encoding/json says %q", e.Data, want.Data)
		}
	})
}

// caseExact drops members whose names encoding/json would take for another's.
func caseExact(t *testing.T, b []byte) []byte {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatalf("taken, and encoding/json says %v", err)
	}
	for name := range all {
		if name != strings.ToLower(name) || !utf8.ValidString(name) {
			delete(all, name)
		}
	}
	exact := map[string]json.RawMessage{}
	for _, name := range []string{"id", "source", "type", "subject", "data"} {
		if value, ok := all[name]; ok {
			exact[name] = value
		}
	}
	out := []byte{'{'}
	for name, value := range exact {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, "%q:%s", name, value)
	}
	return append(out, '}')
}

// FuzzBatch checks that the batch decoder never panics and gives as many events
// as encoding/json sees.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(`[{"specversion":"1.0","id":"1"},{"specversion":"1.0","id":"1"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DefaultLimits().Decode(Body{Header: kind(batchType), Bytes: b})
		if err != nil {
			return
		}
		var all []json.RawMessage
		if err := json.Unmarshal(b, &all); err != nil || len(all) != len(got.Events) {
			t.Errorf("%d events, encoding/json: %d and %v", len(got.Events), len(all), err)
		}
	})
}

// FuzzPlain checks that the plain decoder never panics and keeps the data.
func FuzzPlain(f *testing.F) {
	f.Add([]byte(` {"a":1} `), "type=t&x=y")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			t.Skip()
		}
		got, err := DefaultLimits().Decode(Body{Header: kind(jsonType), Bytes: b, Query: query})
		if err == nil && !bytes.Equal(got.Events[0].Data, bytes.TrimSpace(b)) {
			t.Errorf("data %q of %q", got.Events[0].Data, b)
		}
	})
}

func BenchmarkDecodeBatchOf100(b *testing.B) {
	var body []byte
	for i := range 100 {
		body = fmt.Appendf(body, `,{"specversion":"1.0","id":"order-%d","source":"/shop/eu","type":"order.placed",`+
			`"time":"2026-01-31T09:30:00.123456Z","subject":"cart-%d","datacontenttype":"application/json",`+
			`"data":{"order":%d,"total":129.90,"currency":"EUR","customer":{"id":"c-8812","country":"DE"},"items":[{"sku":"A1","n":2}]}}`, i, i%7, i)
	}
	body[0] = '['
	body = append(body, ']')
	limits := DefaultLimits()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := limits.Decode(Body{Header: kind(batchType), Bytes: body}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
