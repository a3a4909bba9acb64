package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"weir"
)

func TestHTTPStepThatContradictsItselfIsRefusedWithItsKey(t *testing.T) {
	t.Parallel()
	header := func(name string) []weir.NamedText { return []weir.NamedText{{Name: name, Text: "x"}} }
	for want, def := range map[string]weir.HTTPStep{
		"method: \"TRACE\"": {Method: "TRACE"},
		"mode: \"odd\"":     {Mode: "odd"},
		"mode: says how events are sent, and a request by GET": {Mode: "binary", Method: "GET"},
		"mode: says how events are sent, and body":             {Mode: "binary", Body: json.RawMessage(`"x"`)},
		"body: a request by HEAD":                              {Method: "HEAD", Body: json.RawMessage(`"x"`)},
		"success: \"20\"":                                      {Success: []string{"20"}},
		"success: \"2x\"":                                      {Success: []string{"2x"}},
		"success: \"2x4\"":                                     {Success: []string{"2x4"}},
		"success: \"1xx\"":                                     {Success: []string{"1xx"}},
		"success: \"\"":                                        {Success: []string{""}},
		"success: no status":                                   {Success: []string{}},
		"response: \"later\"":                                  {Response: "later"},
		"response: what is":                                    {Response: "emit"},
		"headers: \"webhook-id\"":                              {Sign: "x", Headers: header("webhook-id")},
		"headers: \"Ce-Id\"":                                   {Mode: "binary", Headers: header("Ce-Id")},
		"headers: \"Host\"":                                    {Headers: header("Host")},
		"headers: \"a b\"":                                     {Headers: header("a b")},
		"headers: \"\"":                                        {Headers: header("")},
		"headers: \"a\\r\\nb\"":                                {Headers: header("a\r\nb")},
		"headers: \"é\"":                                       {Headers: header("é")},
	} {
		if err := CheckHTTP(&def); err == nil || !strings.Contains(err.Error(), want) || weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestHTTPStepThatCanBeSentIsGood(t *testing.T) {
	t.Parallel()
	for _, def := range []weir.HTTPStep{
		{},
		{Method: "OPTIONS", Mode: "structured", Success: []string{"2xx", "404"}, Response: "ignore"},
		{Method: "DELETE", Body: json.RawMessage(`{}`), Sign: "x", Headers: []weir.NamedText{{Name: "ce-id"}}},
		{Mode: "binary", Response: "emit", EmitType: "t", Headers: []weir.NamedText{{Name: "webhook-id"}}},
	} {
		if err := CheckHTTP(&def); err != nil {
			t.Errorf("%+v: %v", def, err)
		}
	}
}
