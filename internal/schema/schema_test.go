package schema

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
)

func compile(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// told returns "field: message" of an Invalid error, and "" for none.
func told(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*weir.Error](err)
	if !ok || e.Code != weir.Invalid {
		t.Fatalf("not an Invalid error: %v", err)
	}
	return e.Field + ": " + e.Message
}

func TestAFaultIsToldWithItsPlaceAndASentence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schema, data, want string }{
		{`{"type":"object"}`, `{}`, ""},
		{`true`, `1`, ""},
		{`false`, `1`, "data: may not be there"},
		{`{"type":"object"}`, `[1]`, "data: is array, and should be object"},
		{`{"type":["string","null"]}`, `1`, "data: is number, and should be null or string"},
		{`{"required":["b","a"]}`, `{}`, "data/a: is missing"},
		{`{"properties":{"lines":{"items":{"required":["sku"]}}}}`, `{"lines":[{"sku":1},{}]}`, "data/lines/1/sku: is missing"},
		{`{"additionalProperties":false}`, `{"z":1,"a/b":2}`, "data/a~1b: is no property that the schema names"},
		{`{"properties":{"a":{"enum":["x","y",3]}}}`, `{"a":"secret"}`, `data/a: is none of "x", "y", 3`},
		{`{"const":{"a":1}}`, `1`, `data: is not {"a":1}`},
		{`{"minimum":1}`, `0.5`, "data: is less than 1"},
		{`{"exclusiveMaximum":1.5}`, `1.5`, "data: is not less than 1.5"},
		{`{"multipleOf":0.01}`, `0.015`, "data: is no multiple of 0.01"},
		{`{"pattern":"^[a-z]+$"}`, `"SECRET"`, `data: does not match "^[a-z]+$"`},
		{`{"maxLength":2}`, `"äöü"`, "data: has 3 characters, and 2 are the most"},
		{`{"uniqueItems":true}`, `[1,2,1.0]`, "data: has the same item twice, at 0 and 2"},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":1}`, "data/ab: has a name that the schema does not allow"},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `1`, "data: is number, and should be null; or it is number, and should be string"},
		{
			`{"oneOf":[{"type":"string"},{"properties":{"a":{"type":"null"}}}]}`, `{"a":1}`,
			"data/a: is number, and should be null",
		},
		{`{"oneOf":[{},true]}`, `1`, "data: fits more than one of the alternatives, and may fit only one"},
		{`{"not":{"type":"null"}}`, `null`, "data: is what the schema excludes"},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, `data/b: is missing, and "a" is there`},
		{`{"format":"date-time"}`, `"yesterday"`, "data: is no date-time"},
		{`{"format":"date-time"}`, `"2026-01-31T09:30:00Z"`, ""},
		{`{"format":"uuid"}`, `"1"`, "data: is no uuid"},
		{`{"format":"email"}`, `"a b"`, "data: is no email"},
		{`{"format":"uri"}`, `"/a"`, "data: is no uri"},
		{`{"format":"what-is-this"}`, `"/a"`, ""},
		{`{}`, `{`, "data: not JSON: unexpected EOF"},
		{`{}`, `1 2`, "data: not JSON: something follows the value"},
		{`{}`, `{"n":[1e1000000000]}`, "data/n/0: is a number of more than 100 digits or with an exponent beyond 400"},
		{`{}`, strings.Repeat("[", 200) + strings.Repeat("]", 200), "data" + strings.Repeat("/0", 128) + ": is deeper than 128"},
	} {
		if got := told(t, compile(t, c.schema).Check([]byte(c.data))); got != c.want {
			t.Errorf("%s on %.40s:\n got %s\nwant %s", c.schema, c.data, got, c.want)
		}
	}
}

func TestOlderDraftsAreReadAsTheySay(t *testing.T) {
	t.Parallel()
	draft4 := `{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}`
	if got := told(t, compile(t, draft4).Check([]byte("1"))); got != "data: is not more than 1" {
		t.Error(got)
	}
	draft7 := `{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}],"additionalItems":false}`
	if got := told(t, compile(t, draft7).Check([]byte(`["a",1]`))); got == "" {
		t.Error("draft 7's list of items is not read")
	}
}

func TestABadSchemaIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schema, want string }{
		{`{`, "schema: not JSON: unexpected EOF"},
		{`[]`, "schema: is no JSON Schema: that is an object, or true or false"},
		{`{"type":"strong"}`, `schema/type: `},
		{`{"properties":{"a":{"minimum":"1"}}}`, "schema/properties/a/minimum: is string, and should be number"},
		{`{"pattern":"("}`, "schema/pattern: "},
		{`{"patternProperties":{"(?=a)":true}}`, "schema/patternProperties"},
		{`{"pattern":"` + strings.Repeat("a", 1001) + `"}`, "schema/pattern: "},
		{`{"pattern":"(abcdefghijklmnopq){900}"}`, "schema/pattern: "},
		{`{"$ref":"#/$defs/none"}`, "schema: refers to #/$defs/none, which is not there"},
		{`{"$ref":"#none"}`, "schema: refers to #none, which is not there"},
		{`{"$ref":"other.json"}`, `schema/$ref: "other.json" is not in this document: a reference begins with #, and nothing is loaded`},
		{`{"$defs":{"a":{"$ref":"https://example.com/x"}}}`, "schema/$defs/a/$ref: "},
		{`{"properties":{"a":{"$ref":"file:///etc/passwd"}}}`, "schema/properties/a/$ref: "},
		{`{"$dynamicRef":"x#y"}`, "schema/$dynamicRef: "},
		{`{"$schema":"https://example.com/mine"}`, "schema/$schema: "},
		{`{"$schema":"https://json-schema.org/draft/2019-09/schema"}`, "schema/$schema: "},
		{`{"properties":{"default":{"$ref":"x.json"}}}`, `schema: "x.json" is not in this document, and nothing is loaded`},
		{`{"$defs":{"a":{"$id":"x","$schema":"https://json-schema.org/draft/2019-09/schema"}}}`, "schema/$defs/a/$schema: may stand only at the top"},
		{`{"minimum":1e999999999}`, "schema/minimum: is a number of more than 100 digits"},
		{`{"allOf":[` + strings.Repeat(`true,`, 5000) + `true]}`, "schema: has more than 5000 parts"},
		{`"` + strings.Repeat("a", MaxSize) + `"`, "schema: 262146 bytes long, and 262144 are the most"},
		{
			`{"$dynamicAnchor":"a","properties":{"x":{"$id":"x","$dynamicAnchor":"a"}}}`,
			`schema`,
		},
	} {
		_, err := Compile([]byte(c.schema))

		if got := told(t, err); got == "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%.60s:\n got %s\nwant %s", c.schema, got, c.want)
		}
	}
}

func TestASchemaMayReferToItselfWhereItTakesInData(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"type":"object","properties":{"next":{"$ref":"#"}}}`,
		`{"$dynamicAnchor":"node","type":"object","properties":{"next":{"$dynamicRef":"#node"}}}`,
		`{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","additionalProperties":{"$ref":"#/$defs/a"}}}}`,
	} {
		s := compile(t, text)
		if err := s.Check([]byte(`{"next":{"next":{}}}`)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := told(t, s.Check([]byte(`{"next":{"next":1}}`))); got != "data/next/next: is number, and should be object" {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestAnEndlessSchemaIsFoundWhenItIsCompiled(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"$ref":"#"}`,
		`{"allOf":[{"$ref":"#"}]}`,
		`{"$ref":"#/$defs/a","$defs":{"a":{"not":{"$ref":"#/$defs/b"}},"b":{"if":{"$ref":"#/$defs/a"}}}}`,
		`{"$dynamicAnchor":"a","anyOf":[{"$dynamicRef":"#a"}]}`,
		`{"properties":{"a":{"$ref":"#/properties/a"}}}`,
		`{"dependentSchemas":{"a":{"$ref":"#"}}}`,
	} {
		_, err := Compile([]byte(text))

		if got := told(t, err); !strings.Contains(got, "it would have no end") {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// doubling is a schema of n parts, each of which holds twice what the one before
// does.
func doubling(n int, by string) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	for i := range n {
		fmt.Fprintf(&b, `"d%d":{%s},`, i, strings.ReplaceAll(by, "NEXT", fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, i+1)))
	}
	fmt.Fprintf(&b, `"d%d":{"type":"string"}}}`, n)
	return b.String()
}

func TestWhatACheckCostsIsBounded(t *testing.T) {
	t.Parallel()
	tree := `{"allOf":[{"items":{"$ref":"#"}},{"items":{"$ref":"#"}}]}`
	for name, c := range map[string]struct{ schema, data string }{
		"the same value, twice as often each time": {doubling(40, `"allOf":[NEXT,NEXT]`), `1`},
		"alternatives of alternatives":             {doubling(40, `"oneOf":[NEXT,NEXT]`), `1`},
		"parts, twice as often each level":         {tree, strings.Repeat("[", 100) + strings.Repeat("]", 100)},
		"a heavy pattern on a long text":           {`{"pattern":"(a?b?c?d?){200}z"}`, `"` + strings.Repeat("abcd", 1<<18) + `"`},
		"many regular expressions": {
			`{"items":{"format":"regex"}}`, `[` + strings.Repeat(`"(a{500}|b)*",`, 10_000) + `"a"]`,
		},
		"many large enums": {
			`{"items":{"enum":[` + strings.Repeat(`["a","b"],`, 3000) + `0]}}`, `[` + strings.Repeat(`["a","c"],`, 3000) + `0]`,
		},
		"unique items, nearly equal": {
			`{"items":{"uniqueItems":true}}`,
			`[` + strings.Repeat(`[`+strings.Repeat(`1,`, 5000)+`1],`, 50) + `0]`,
		},
	} {
		s := compile(t, c.schema)
		began := time.Now()

		got := told(t, s.Check([]byte(c.data)))

		if got != "data: costs too much to check against its schema" {
			t.Errorf("%s: %s", name, got)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func TestALongChainForOneValueIsRefused(t *testing.T) {
	t.Parallel()
	_, err := Compile([]byte(doubling(200, `"allOf":[NEXT]`)))

	if got := told(t, err); !strings.Contains(got, "more than 100 schemas for the same value") {
		t.Error(got)
	}
}

func TestLargeDataOfAnOrdinarySchemaFits(t *testing.T) {
	t.Parallel()
	s := compile(t, order)
	line := `{"sku":"A-1","n":2,"price":9.5},`
	data := []byte(`{"order":1,"lines":[` + strings.Repeat(line, (1<<20)/len(line)) + `{"sku":"B","n":1}]}`)

	if err := s.Check(data); err != nil {
		t.Error(err)
	}
}

const order = `{
	"type": "object", "required": ["order", "lines"],
	"properties": {
		"order": {"type": "integer", "minimum": 1},
		"lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}
	},
	"$defs": {"line": {
		"type": "object", "required": ["sku", "n"], "additionalProperties": false,
		"properties": {"sku": {"type": "string", "pattern": "^[A-Z](-[0-9]+)?$"}, "n": {"type": "integer"}, "price": {"type": "number"}}
	}}
}`

func BenchmarkCheck(b *testing.B) {
	s := compile(b, order)
	data := []byte(`{"order":12345,"lines":[{"sku":"A-1","n":2},{"sku":"B-7","n":1}],"total":99.5}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Check(data); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(order, `{"order":0,"lines":[{}]}`)
	f.Add(`{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#"}}}}`, `[[[1]]]`)
	f.Add(`{"$dynamicAnchor":"a","unevaluatedProperties":{"$dynamicRef":"#a"},"anyOf":[{"properties":{"b":{}}}]}`, `{"b":{"c":{}}}`)
	f.Add(`{"$schema":"http://json-schema.org/draft-04/schema#","id":"x","items":[{}],"dependencies":{"a":["b"]}}`, `{"a":1}`)
	f.Fuzz(func(t *testing.T, schema, data string) {
		s, err := Compile([]byte(schema))
		if told(t, err) != "" {
			return
		}
		_ = told(t, s.Check([]byte(data)))
	})
}
