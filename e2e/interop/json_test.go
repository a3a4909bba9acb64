package interop

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/client"
)

// These are the features of the JSON format 1.0.2.

func TestAttributesAreMembers(t *testing.T) {
	t.Parallel()

	e := start(t).taken(inJSON(`"subject":"\u20ac"`, `"time":"2026-01-31T09:30:00Z"`, `"dataschema":"https://x.example/s"`), kind, structured)[0]

	want := []string{"1", "/s", "t", "€", "2026-01-31T09:30:00.000000Z", "https://x.example/s"}
	if diff := cmp.Diff(want, []string{e.ID, e.Source, e.Type, e.Subject, e.Time.String(), e.Schema}); diff != "" {
		t.Error(diff)
	}
}

func TestExtensionsKeepTheirJSONTypes(t *testing.T) {
	t.Parallel()
	s := start(t)

	e := s.taken(inJSON(`"flag":true`, `"count":-7`, `"text":"true"`), kind, structured)[0]

	want := []weir.Extension{
		{Name: "count", Kind: weir.ExtensionInt, Value: "-7"}, {Name: "flag", Kind: weir.ExtensionBool, Value: "true"}, {Name: "text", Value: "true"},
	}
	if diff := cmp.Diff(want, e.Extensions); diff != "" {
		t.Error(diff)
	}
	s.refused(http.StatusBadRequest, "count", inJSON(`"count":2147483648`), kind, structured)
	s.refused(http.StatusBadRequest, "nested", inJSON(`"nested":{}`), kind, structured)
}

func TestANullAttributeIsNotThere(t *testing.T) {
	t.Parallel()

	e := start(t).taken(inJSON(`"subject":null`, `"time":null`, `"other":null`), kind, structured)[0]

	if e.Subject != "" || e.Time != 0 || e.Extensions != nil {
		t.Errorf("%+v", e)
	}
}

func TestNamesOfAttributesAreLowerCaseLettersAndDigits(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"Flag", "a-b", "ä"} {
		s.refused(http.StatusBadRequest, name, inJSON(`"`+name+`":"x"`), kind, structured)
	}
}

func TestDataOfAJSONTypeIsAnyJSONValue(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i, contentType := range []string{"", "application/json", "application/vnd.x+json; charset=utf-8", "text/json"} {
		for j, data := range []string{`{"n":1.50}`, `[1]`, `"text"`, `null`, `false`, `1e400`} {
			id := string(rune('a'+i)) + string(rune('a'+j))
			members := []string{`"data":` + data}
			if contentType != "" {
				members = append(members, `"datacontenttype":"`+contentType+`"`)
			}

			e := s.taken(strings.Replace(inJSON(members...), `"1"`, `"`+id+`"`, 1), kind, structured)[0]

			if string(e.Data) != data {
				t.Errorf("%s: %s became %s", contentType, data, e.Data)
			}
		}
	}
}

func TestDataOfAnotherTypeIsAString(t *testing.T) {
	t.Parallel()
	s := start(t)

	e := s.taken(inJSON(`"datacontenttype":"text/xml"`, `"data":"<a b=\"c\"/>\n"`), kind, structured)[0]

	if string(e.Data) != "<a b=\"c\"/>\n" {
		t.Errorf("%q", e.Data)
	}
	s.refused(http.StatusBadRequest, "data", inJSON(`"datacontenttype":"text/xml"`, `"data":{}`), kind, structured)
}

func TestBinaryDataIsBase64(t *testing.T) {
	t.Parallel()
	s := start(t)

	e := s.taken(inJSON(`"datacontenttype":"image/png"`, `"data_base64":"AP8="`), kind, structured)[0]

	if string(e.Data) != "\x00\xff" {
		t.Errorf("%q", e.Data)
	}
	s.refused(http.StatusBadRequest, "data_base64", inJSON(`"datacontenttype":"image/png"`, `"data_base64":"AP8"`), kind, structured)
}

func TestDataIsGivenOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.refused(http.StatusBadRequest, "data_base64", inJSON(`"data":"x"`, `"data_base64":"eA=="`), kind, structured)
	s.refused(http.StatusBadRequest, "data", inJSON(`"data":1`, `"data":2`), kind, structured)
}

func TestAMemberGivenTwiceIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.refused(http.StatusBadRequest, "flag", inJSON(`"flag":true`, `"flag":false`), kind, structured)
	s.refused(http.StatusBadRequest, "type", inJSON(`"t\u0079pe":"u"`), kind, structured)
}

func TestTheFormatIsUTF8(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.refused(http.StatusBadRequest, "", inJSON("\"subject\":\"\xff\""), kind, structured)
	s.refused(http.StatusBadRequest, "subject", inJSON(`"subject":"\ud800"`), kind, structured)
	s.refused(http.StatusUnsupportedMediaType, "content-type", inJSON(), kind, structured+"; charset=utf-16")
}

func TestABatchIsAnArrayOfAnyEvents(t *testing.T) {
	t.Parallel()

	events := start(t).taken(`[`+inJSON()+`, {"specversion":"1.0","id":"x","source":"/other","type":"u","datacontenttype":"text/plain","data":"y"} ]`,
		kind, batched)

	if len(events) != 2 || events[1].Source != "/other" || string(events[1].Data) != "y" {
		t.Errorf("%+v", events)
	}
}

func TestWhatWeirShowsIsTheFormatAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	sent := inJSON(`"datacontenttype":"image/png"`, `"flag":true`, `"data_base64":"AP8="`)

	e := s.taken(sent, kind, structured)[0]

	shown := string(client.AppendEvent(nil, &e.Event))
	var want, got map[string]any
	if err := json.Unmarshal([]byte(sent), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(shown), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "execution")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
