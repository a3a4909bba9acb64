package httpcall

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/pipeline"
	"weir/internal/step/steptest"
)

// recorder is a receiver that keeps its last request.
type recorder struct {
	url  string
	mu   sync.Mutex
	last *http.Request
	body string
}

func record(t testing.TB, answer func(w http.ResponseWriter)) *recorder {
	r := &recorder{}
	r.url = serve(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.last, r.body = req, string(body)
		r.mu.Unlock()
		if answer != nil {
			answer(w)
		}
	}).URL
	return r
}

func (r *recorder) header(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.Header.Get(name)
}

func TestBodyIsTextOrJSONWithTemplates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		def        weir.HTTPStep
		kind, body string
	}{
		"text":           {weir.HTTPStep{Body: json.RawMessage(`"n is ${data.n}, \"${result.total}\""`)}, plainText, `n is 1, "5"`},
		"no text":        {weir.HTTPStep{Body: json.RawMessage(`""`)}, plainText, ""},
		"structure":      {weir.HTTPStep{Body: json.RawMessage(`{"n":"${data.n}","s":"n${data.n}","a":[1,null]}`)}, "application/json", `{"n":1,"s":"n1","a":[1,null]}`},
		"null":           {weir.HTTPStep{Body: json.RawMessage(`null`)}, "application/json", `null`},
		"with a secret":  {weir.HTTPStep{Body: json.RawMessage(`{"k":"${secret.tok}"}`)}, "application/json", `{"k":"hunter2"}`},
		"its own header": {weir.HTTPStep{Body: json.RawMessage(`"a=${data.n}"`), Headers: []weir.NamedText{{Name: "content-type", Text: "application/x-www-form-urlencoded"}}}, "application/x-www-form-urlencoded", "a=1"},
	} {
		r := record(t, nil)
		c.def.URL = r.url

		out := run(t, c.def, one(t))

		if out.Failure != nil || r.body != c.body || r.header("Content-Type") != c.kind {
			t.Errorf("%s: got %q of %q, %+v", name, r.body, r.header("Content-Type"), out.Failure)
		}
	}
}

func TestBinaryModePutsAttributesIntoHeaders(t *testing.T) {
	t.Parallel()
	r := record(t, nil)
	in := one(t)
	in.Events[0] = &weir.Record{Event: &weir.Event{
		ID: `a "b" 100%`, Source: "/s", Type: "t.é", Subject: "Euro €", Time: 1_000_001, Execution: "x1", Hops: 3,
		ContentType: "image/png", Schema: "https://x.example/s",
		Extensions: []weir.Extension{{Name: "flag", Kind: weir.ExtensionBool, Value: "true"}, {Name: "word", Value: "😀"}},
		Data:       []byte{0xff, 0, '\n'},
	}}

	out := run(t, weir.HTTPStep{URL: r.url, Mode: "binary"}, in)

	got := map[string]string{}
	for name := range r.last.Header {
		if strings.HasPrefix(name, "Ce-") || name == "Content-Type" {
			got[name] = r.header(name)
		}
	}
	want := map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "a%20%22b%22%20100%25", "Ce-Source": "/s", "Ce-Type": "t.%C3%A9",
		"Ce-Subject": "Euro%20%E2%82%AC", "Ce-Time": "1970-01-01T00:00:01.000001Z", "Ce-Dataschema": "https://x.example/s",
		"Ce-Execution": "x1", "Ce-Hops": "3", "Ce-Flag": "true", "Ce-Word": "%F0%9F%98%80", "Content-Type": "image/png",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.body != "\xff\x00\n" || out.Failure != nil {
		t.Errorf("body %q, %+v", r.body, out.Failure)
	}
}

func TestBinaryModeOfJSONAndOfNothing(t *testing.T) {
	t.Parallel()
	r := record(t, nil)
	in := one(t)

	run(t, weir.HTTPStep{URL: r.url, Mode: "binary"}, in)
	if r.header("Content-Type") != "application/json" || r.body != `{"n":1,"name":"thing 1"}` {
		t.Errorf("got %q of %q", r.body, r.header("Content-Type"))
	}
	in.Events[0].Event.Data = nil
	run(t, weir.HTTPStep{URL: r.url, Mode: "binary"}, in)
	if r.header("Content-Type") != "" || r.body != "" || r.header("Ce-Id") != "e1" {
		t.Errorf("no data: got %q of %q", r.body, r.header("Content-Type"))
	}
}

func TestBinaryModeTakesOneEvent(t *testing.T) {
	t.Parallel()
	out := run(t, weir.HTTPStep{URL: "http://127.0.0.1:1", Mode: "binary"}, steptest.Input(t))

	if f := out.Failure; f == nil || !f.Final || f.Message != "mode: binary takes one event, and the batch has 2: say each: true" {
		t.Errorf("got %+v", f)
	}
}

// sum is what a receiver of Standard Webhooks computes.
func sum(key, id, at, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(id + "." + at + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestSignatureIsThatOfStandardWebhooks has the example of the specification's
// own libraries.
func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	macs, err := macsOf([]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(macs[0], `{"test": 2432232314}`)

	got := base64.StdEncoding.EncodeToString(macs[0].(hash.Hash).Sum(nil))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s", got)
	}
}

func TestRequestIsSignedWithEverySecret(t *testing.T) {
	t.Parallel()
	r := record(t, nil)
	in := one(t)
	in.Scope.Secret = func(string) (string, error) {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte("old")) + "  raw", nil
	}

	before := time.Now().Unix()
	out := run(t, weir.HTTPStep{URL: r.url, Sign: "${secret.hook}", Body: json.RawMessage(`"hello"`)}, in)

	if out.Failure != nil {
		t.Fatal(out.Failure)
	}
	id, at := r.header("webhook-id"), r.header("webhook-timestamp")
	if got, want := r.header("webhook-signature"), sum("old", id, at, "hello")+" "+sum("raw", id, at, "hello"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n, err := strconv.ParseInt(at, 10, 64); err != nil || n < before || n > time.Now().Unix() || id != in.Key() {
		t.Errorf("id %s, at %s", id, at)
	}
}

func TestSecretThatCannotSignIsAFinalFailureThatHidesIt(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{
		"":             "sign: the secret is empty",
		" ":            "sign: the secret is empty",
		"whsec_":       "is not base64",
		"whsec_!hush!": "is not base64",
	} {
		in := one(t)
		in.Scope.Secret = func(string) (string, error) { return secret, nil }

		f := run(t, weir.HTTPStep{URL: "http://127.0.0.1:1", Sign: "${secret.hook}"}, in).Failure

		if f == nil || !f.Final || !strings.Contains(f.Message, want) || strings.Contains(f.Message, "hush") {
			t.Errorf("%q: got %+v", secret, f)
		}
	}
}

func TestSuccessSaysWhichAnswersAreDone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		success []string
		want    bool
	}{
		{404, []string{"2xx", "404"}, true},
		{204, []string{"2xx", "404"}, true},
		{410, []string{"2xx", "404"}, false},
		{204, []string{"200"}, false},
		{302, []string{"3xx"}, true},
		{503, []string{"503"}, true},
	} {
		r := record(t, func(w http.ResponseWriter) { w.WriteHeader(c.status) })

		out := run(t, weir.HTTPStep{URL: r.url, Success: c.success}, one(t))

		if (out.Failure == nil) != c.want {
			t.Errorf("%d with %v: got %+v", c.status, c.success, out.Failure)
		}
	}
}

func TestAnswerBecomesAnEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says, answer string
		kind, data   string
	}{
		"JSON":           {"application/json; charset=utf-8", ` {"a":1}`, "", ` {"a":1}`},
		"problem JSON":   {"application/problem+json", `{"a":1}`, "", `{"a":1}`},
		"text":           {"text/plain; charset=utf-8", "hello", "text/plain; charset=utf-8", "hello"},
		"bytes":          {"image/png", "\xff\x00", "image/png", "\xff\x00"},
		"JSON unsaid":    {"/", "[1]", "", "[1]"},
		"bytes unsaid":   {"/", "\xff", "application/octet-stream", "\xff"},
		"nothing at all": {"application/json", "", "", ""},
	} {
		r := record(t, func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", c.says)
			fmt.Fprint(w, c.answer)
		})
		in := steptest.Input(t)

		out := run(t, weir.HTTPStep{URL: r.url, Response: "emit", EmitType: "${group.key.k}.done"}, in)

		want := &weir.Event{
			ID: "2.0", Source: "/runs/" + in.Run.ID.String(), Type: "v.done", ContentType: c.kind, Execution: "x1", Cause: in.Run.ID, Hops: 4,
		}
		if c.data != "" {
			want.Data = []byte(c.data)
		}
		if diff := cmp.Diff([]*weir.Event{want}, out.Emitted); diff != "" || out.Failure != nil {
			t.Errorf("%s: %s, %+v", name, diff, out.Failure)
		}
	}
}

func TestAnswerOfEachBelongsToItsEvent(t *testing.T) {
	t.Parallel()
	r := record(t, func(w http.ResponseWriter) { fmt.Fprint(w, `{"a":1}`) })
	in := steptest.Input(t)
	in.Place, in.Events = 7, in.Events[1:]

	out := run(t, weir.HTTPStep{URL: r.url, Response: "emit", EmitType: "done"}, in)

	if e := out.Emitted[0]; e.ID != "2.6" || e.Execution != "x2" {
		t.Errorf("got %+v", e)
	}
	if key := r.header("Idempotency-Key"); key != in.Run.ID.String()+".2.6" || r.header("Webhook-Id") != key {
		t.Errorf("key %s", key)
	}
}

func TestAnswerOfWhichNothingCanBeMadeIsAFinalFailure(t *testing.T) {
	t.Parallel()
	emit := weir.HTTPStep{Response: "emit", EmitType: "done"}
	replace := weir.HTTPStep{Response: "replace"}
	for name, c := range map[string]struct {
		def          weir.HTTPStep
		says, answer string
		want         string
	}{
		"emit broken JSON":     {emit, "application/json", `{"a":`, `its answer is no event: it says "application/json" and is not JSON`},
		"emit too long":        {emit, "text/plain", strings.Repeat("x", 1001), "its answer is longer than may be kept"},
		"emit of a bad type":   {weir.HTTPStep{Response: "emit", EmitType: "${''}"}, "text/plain", "x", "type: is required"},
		"replace by text":      {replace, "text/plain", "hello", "its answer is not JSON"},
		"replace by nothing":   {replace, "application/json", "", "its answer is not JSON"},
		"replace by bad UTF-8": {replace, "application/json", "\"\xff\"", "its answer is not JSON"},
		"replace too long":     {replace, "application/json", `"` + strings.Repeat("x", 999) + `"`, "its answer is longer than may be kept"},
	} {
		r := record(t, func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", c.says)
			fmt.Fprint(w, c.answer)
		})
		c.def.URL = r.url
		in := one(t)
		in.Limits.Data, in.Limits.Output = 1000, 1000

		out := run(t, c.def, in)

		if f := out.Failure; f == nil || !f.Final || !strings.Contains(f.Message, c.want) || out.Output != nil || out.Emitted != nil {
			t.Errorf("%s: got %+v", name, out)
		}
	}
}

func TestAnswerThatBreaksOffIsTriedAgainWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	broken := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `{"a":1}`)
	}
	for response, want := range map[string]bool{"ignore": false, "emit": true, "replace": true} {
		out := run(t, weir.HTTPStep{URL: record(t, broken).url, Response: response, EmitType: "done"}, one(t))

		if (out.Failure != nil) != want || want && (out.Failure.Kind != pipeline.Connect || out.Failure.Final) {
			t.Errorf("%s: got %+v", response, out.Failure)
		}
		if !strings.HasSuffix(out.Detail, "200, its answer broke off") {
			t.Errorf("%s: detail %q", response, out.Detail)
		}
	}
}

func TestDestinationSaysWhatTheStepDoesNot(t *testing.T) {
	t.Parallel()
	r := record(t, nil)
	in := one(t)
	in.Destinations = map[string]weir.Destination{
		r.url: {Headers: []weir.NamedText{
			{Name: "x-team", Text: "usage"}, {Name: "authorization", Text: "Bearer ${secret.tok}"}, {Name: "user-agent", Text: "shop"},
		}},
		"http://other.example": {Headers: []weir.NamedText{{Name: "x-other", Text: "1"}}},
	}

	for range 2 {
		run(t, weir.HTTPStep{URL: r.url + "/x", Headers: []weir.NamedText{{Name: "X-Team", Text: "mine"}}}, in)
	}

	for name, want := range map[string]string{"X-Team": "mine", "Authorization": "Bearer hunter2", "User-Agent": "shop", "X-Other": ""} {
		if got := r.header(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for text, want := range map[string]string{
		"${data.nowhere}": "header X-Bad: missing data.nowhere", "${": "header X-Bad of the destination", "${'a\\nb'}": "control character",
	} {
		in.Destinations[r.url] = weir.Destination{Headers: []weir.NamedText{{Name: "X-Bad", Text: text}}}
		if f := run(t, weir.HTTPStep{URL: r.url}, in).Failure; f == nil || !f.Final || !strings.Contains(f.Message, want) {
			t.Errorf("%s: got %+v", text, f)
		}
	}
}

func TestDestinationsTimeoutHoldsWhereTheStepSaysNone(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	srv := serve(t, func(http.ResponseWriter, *http.Request) { <-end })
	t.Cleanup(func() { close(end) })
	in := one(t)
	in.Destinations = map[string]weir.Destination{srv.URL: {Timeout: weir.Duration(20 * time.Millisecond)}}

	for timeout, want := range map[time.Duration]string{0: "no answer in 20ms", 30 * time.Millisecond: "no answer in 30ms"} {
		f := run(t, weir.HTTPStep{URL: srv.URL, Timeout: weir.Duration(timeout)}, in).Failure

		if f == nil || f.Kind != pipeline.Timeout || !strings.Contains(f.Message, want) {
			t.Errorf("got %+v, want %s", f, want)
		}
	}
}

func TestValueStaysInItsPartOfTheURL(t *testing.T) {
	t.Parallel()
	r := record(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.StringOf(rapid.SampledFrom([]rune("a/?#&=+%@:. \\\"é\r\n"))).Draw(rt, "value")
		in := one(t)
		in.Scope.Secret = func(string) (string, error) { return value, nil }

		out := run(t, weir.HTTPStep{URL: r.url + "/p/${secret.v}/q?k=${secret.v}&z=1"}, in)

		if out.Failure != nil {
			if !strings.Contains(out.Failure.Message, "climbs up its path") {
				rt.Fatalf("%q: %s", value, out.Failure.Message)
			}
			return
		}
		u := r.last.URL
		if u.Path != "/p/"+value+"/q" || u.Query().Get("k") != value || u.Query().Get("z") != "1" || len(u.Query()) != 2 {
			rt.Fatalf("%q: got path %q, query %q", value, u.Path, u.RawQuery)
		}
	})
}

func TestStepThatCannotBeCompiledIsRefusedWithItsKey(t *testing.T) {
	t.Parallel()
	for field, def := range map[string]weir.HTTPStep{
		"mode: ":             {Mode: "binary", Method: "GET"},
		"response: a secret": {Response: "emit", EmitType: "${secret.tok}"},
		"response: ":         {Response: "emit", EmitType: "${"},
		"sign: ":             {Sign: "${"},
		"body: ":             {Body: json.RawMessage(`{"a":"${"}`)},
		"headers: X-A: ":     {Headers: []weir.NamedText{{Name: "X-A", Text: "${"}}},
	} {
		def.URL = "http://x.example"
		if _, err := caller(t).Compile(&def); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}
