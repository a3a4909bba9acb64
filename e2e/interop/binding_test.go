package interop

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// These are the features of the HTTP binding 1.0.2, a test for each row of the
// table in docs/cloudevents.md.

func TestTheContentTypeTellsTheMode(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := func(id string) string { return strings.Replace(inJSON(), `"1"`, `"`+id+`"`, 1) }

	modes := [][]string{
		{in("a"), kind, structured},
		{"[" + in("b") + "]", kind, batched},
		{in("c"), kind, "Application/CloudEvents+JSON; charset=utf-8"},
	}
	for _, m := range modes {
		if e := s.taken(m[0], m[1:]...)[0]; e.Data != nil {
			t.Errorf("%v: data %s", m[2], e.Data)
		}
	}
	if e := s.taken(in("d"), binary(kind, "application/json")...)[0]; string(e.Data) != in("d") {
		t.Errorf("data %s", e.Data)
	}
}

func TestAStructuredContentTypeCountsOverAttributesInHeaders(t *testing.T) {
	t.Parallel()
	s := start(t)

	e := s.taken(inJSON(`"subject":"inner"`), binary(kind, structured, "ce-subject", "outer")...)[0]

	if e.Subject != "inner" {
		t.Errorf("subject %q", e.Subject)
	}
}

func TestTheContentTypeOfBinaryModeIsThatOfTheData(t *testing.T) {
	t.Parallel()
	s := start(t)

	e := s.taken("a,b", binary(kind, "text/csv; charset=latin1")...)[0]

	if e.ContentType != "text/csv; charset=latin1" {
		t.Errorf("datacontenttype %q", e.ContentType)
	}
}

func TestTheBodyOfBinaryModeIsTheDataByteForByte(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i, c := range []struct{ kind, body string }{
		{"image/png", "\x00\xff\r\n"}, {"text/plain", " text "}, {"application/vnd.x+json", `{"n": 1.50}`}, {"application/x-ndjson", "1\n2\n"},
	} {
		e := s.taken(c.body, "ce-specversion", "1.0", "ce-id", c.kind, "ce-source", "/s", "ce-type", "t", kind, c.kind)[0]

		data, err := s.EventData(t.Context(), e.UID)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(data)
		_ = data.Close()
		if err != nil || string(got) != c.body {
			t.Errorf("%d: %q became %q, %v", i, c.body, got, err)
		}
	}
}

func TestAnEventInBinaryModeMayHaveNoBody(t *testing.T) {
	t.Parallel()
	s := start(t)

	if e := s.taken("", binary()...)[0]; e.Data != nil || e.ContentType != "" {
		t.Errorf("%+v", e)
	}
}

func TestAttributesAreHeadersInAnyCase(t *testing.T) {
	t.Parallel()
	s := start(t)

	e := s.taken("", "CE-SPECVERSION", "1.0", "Ce-Id", "i", "ce-Source", "/s", "cE-tYPE", "t", "ce-time", "2026-01-31T10:30:00+01:00",
		"ce-dataschema", "https://x.example/s", "ce-subject", "sub")[0]

	want := []string{"i", "/s", "t", "2026-01-31T09:30:00.000000Z", "https://x.example/s", "sub"}
	if diff := cmp.Diff(want, []string{e.ID, e.Source, e.Type, e.Time.String(), e.Schema, e.Subject}); diff != "" {
		t.Error(diff)
	}
}

func TestExtensionsAreHeadersToo(t *testing.T) {
	t.Parallel()
	s := start(t)

	e := s.taken("", binary("ce-traceparent", "00-ab", "ce-attempt", "3", "x-other", "none")...)[0]

	want := []weir.Extension{{Name: "attempt", Value: "3"}, {Name: "traceparent", Value: "00-ab"}}
	if diff := cmp.Diff(want, e.Extensions); diff != "" {
		t.Error(diff)
	}
}

func TestARequiredAttributeThatIsMissingIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.refused(http.StatusBadRequest, "specversion", "", "ce-id", "1", "ce-source", "/s", "ce-type", "t")
	s.refused(http.StatusBadRequest, "id", "", "ce-specversion", "1.0", "ce-source", "/s", "ce-type", "t")
	s.refused(http.StatusBadRequest, "source", "", "ce-specversion", "1.0", "ce-id", "1", "ce-type", "t")
	s.refused(http.StatusBadRequest, "type", "", "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s")
}

func TestAnotherSpecversionIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.refused(http.StatusBadRequest, "ce-specversion", "", "ce-specversion", "0.3", "ce-id", "1", "ce-source", "/s", "ce-type", "t")
	s.refused(http.StatusBadRequest, "specversion", `{"specversion":"2.0"}`, kind, structured)
}

func TestHeaderValuesArePercentDecodedOnce(t *testing.T) {
	t.Parallel()
	s := start(t)

	e := s.taken("", binary("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80", "ce-other", "%2541")...)[0]

	if e.Subject != "Euro € 😀" || e.Extensions[0].Value != "%41" {
		t.Errorf("%q, %+v", e.Subject, e.Extensions)
	}
}

func TestValuesThatAreNeedlesslyEncodedAreTaken(t *testing.T) {
	t.Parallel()
	s := start(t)

	if e := s.taken("", binary("ce-subject", "%61%62c")...)[0]; e.Subject != "abc" {
		t.Errorf("%q", e.Subject)
	}
}

func TestQuotedValuesOfOlderSendersAreUnquoted(t *testing.T) {
	t.Parallel()
	s := start(t)

	if e := s.taken("", binary("ce-subject", `"a \"b\" \\ c%20d"`)...)[0]; e.Subject != `a "b" \ c d` {
		t.Errorf("%q", e.Subject)
	}
}

func TestEncodingsThatAreNoUTF8AreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, value := range []string{"%C0%A0", "%FF", "50%", "%zz"} {
		s.refused(http.StatusBadRequest, "ce-subject", "", binary("ce-subject", value)...)
	}
}

func TestAnAttributeGivenTwiceIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.refused(http.StatusBadRequest, "ce-id", "", binary("ce-id", "2")...)
	s.refused(http.StatusBadRequest, "id", inJSON(`"id":"2"`), kind, structured)
}

func TestAFormatThatIsNotJSONIsAnswered415(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, format := range []string{"application/cloudevents+avro", "application/cloudevents+protobuf", "application/cloudevents+xml", "application/cloudevents"} {
		s.refused(http.StatusUnsupportedMediaType, "content-type", inJSON(), binary(kind, format)...)
	}
}

func TestABatchIsTakenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	s := start(t)
	other := strings.Replace(inJSON(), `"1"`, `"2"`, 1)

	s.refused(http.StatusBadRequest, "type", "["+inJSON()+`,{"specversion":"1.0","id":"3","source":"/s"}]`, kind, batched)
	events := s.taken("["+inJSON()+","+other+"]", kind, batched)

	if len(events) != 2 || events[0].Seq != 1 || events[1].ID != "2" {
		t.Errorf("%+v", events)
	}
}

func TestAnEmptyBatchIsTaken(t *testing.T) {
	t.Parallel()
	if events := start(t).taken("[]", kind, batched); len(events) != 0 {
		t.Errorf("%+v", events)
	}
}

func TestAnEventSentAgainIsAnsweredWithTheFirstOne(t *testing.T) {
	t.Parallel()
	s := start(t)

	first := s.taken("", binary()...)[0]
	again := s.taken(inJSON(`"subject":"other"`), kind, structured)[0]

	if first.UID != again.UID || again.Subject != "" {
		t.Errorf("%+v", again)
	}
}
