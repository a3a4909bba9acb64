package weir_test

import (
	"errors"
	"strings"
	"testing"

	"weir"
)

func valid() weir.Event {
	return weir.Event{ID: "1", Source: "/orders", Type: "order.placed"}
}

func TestAnEventWithTheRequiredAttributesIsValid(t *testing.T) {
	t.Parallel()
	full := valid()
	full.Subject, full.ContentType, full.Schema = "o-17", "text/plain; charset=utf-8", "https://x.example/schema"
	full.Time, full.Execution, full.Hops = 1, "e1", 3
	full.Extensions = []weir.Extension{
		{Name: "a", Value: "text"},
		{Name: "b2", Kind: weir.ExtensionInt, Value: "-2147483648"},
		{Name: "c", Kind: weir.ExtensionBool, Value: "true"},
	}
	for _, e := range []weir.Event{valid(), full} {
		if err := e.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// The rules are those of CloudEvents 1.0.2, section 3, and Weir's bounds.
func TestEachAttributeRuleNamesTheAttribute(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*weir.Event)
		field string
	}{
		"no id":                     {func(e *weir.Event) { e.ID = "" }, "id"},
		"no source":                 {func(e *weir.Event) { e.Source = "" }, "source"},
		"no type":                   {func(e *weir.Event) { e.Type = "" }, "type"},
		"control character in id":   {func(e *weir.Event) { e.ID = "a\x07" }, "id"},
		"C1 control in type":        {func(e *weir.Event) { e.Type = "a\u0085b" }, "type"},
		"delete character":          {func(e *weir.Event) { e.Subject = "a\x7f" }, "subject"},
		"noncharacter":              {func(e *weir.Event) { e.Subject = "a\ufffe" }, "subject"},
		"noncharacter block":        {func(e *weir.Event) { e.Subject = "a\ufdd0" }, "subject"},
		"not UTF-8":                 {func(e *weir.Event) { e.ID = "\xff" }, "id"},
		"too long":                  {func(e *weir.Event) { e.ID = strings.Repeat("x", weir.MaxAttribute+1) }, "id"},
		"space in source":           {func(e *weir.Event) { e.Source = "a b" }, "source"},
		"bad escape in source":      {func(e *weir.Event) { e.Source = "http://[::1" }, "source"},
		"no media type":             {func(e *weir.Event) { e.ContentType = "json" + "/" }, "datacontenttype"},
		"relative schema":           {func(e *weir.Event) { e.Schema = "schema.json" }, "dataschema"},
		"negative hops":             {func(e *weir.Event) { e.Hops = -1 }, "hops"},
		"upper-case extension":      {extension("myExt", weir.ExtensionString, "x"), "myExt"},
		"extension with underscore": {extension("my_ext", weir.ExtensionString, "x"), "my_ext"},
		"nameless extension":        {extension("", weir.ExtensionString, "x"), ""},
		"reserved extension":        {extension("uid", weir.ExtensionString, "x"), "uid"},
		"reserved cause":            {extension("cause", weir.ExtensionString, "x"), "cause"},
		"integer beyond 32 bits":    {extension("n", weir.ExtensionInt, "2147483648"), "n"},
		"no boolean":                {extension("b", weir.ExtensionBool, "yes"), "b"},
		"control in extension":      {extension("x", weir.ExtensionString, "a\n"), "x"},
		"extension twice": {func(e *weir.Event) {
			e.Extensions = []weir.Extension{{Name: "x", Value: "1"}, {Name: "x", Value: "2"}}
		}, "x"},
		"too many extensions": {func(e *weir.Event) { e.Extensions = make([]weir.Extension, weir.MaxExtensions+1) }, "extensions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := valid()
			c.spoil(&e)

			err := e.Validate()

			if weir.CodeOf(err) != weir.Invalid {
				t.Fatalf("got %v, want an invalid event", err)
			}
			if got, _ := errors.AsType[*weir.Error](err); got.Field != c.field {
				t.Errorf("the error names %q, want %q", got.Field, c.field)
			}
		})
	}
}

func extension(name string, kind weir.ExtensionKind, value string) func(*weir.Event) {
	return func(e *weir.Event) { e.Extensions = []weir.Extension{{Name: name, Kind: kind, Value: value}} }
}

func TestJSONIsToldByMediaType(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]bool{
		"": true, "application/json": true, "Application/JSON; charset=utf-8": true, "text/json": true,
		"application/cloudevents+json": true, "text/plain": false, "application/xml": false, "application/jsonx": false,
	} {
		if got := weir.IsJSONType(contentType); got != want {
			t.Errorf("%q is JSON: %v", contentType, got)
		}
	}
}
