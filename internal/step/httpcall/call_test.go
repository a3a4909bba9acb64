package httpcall

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/pipeline"
	"weir/internal/step"
	"weir/internal/step/steptest"
)

// caller returns one that may reach the receivers of tests.
func caller(t testing.TB) *Caller {
	t.Helper()
	c := NewCaller(Options{Allow: prefixes("127.0.0.0/8", "::1/128")})
	t.Cleanup(c.Close)
	return c
}

func compile(t testing.TB, def weir.HTTPStep) *Step {
	t.Helper()
	s, err := caller(t).Compile(&def)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func run(t testing.TB, def weir.HTTPStep, in *step.Input) step.Outcome {
	t.Helper()
	out, err := compile(t, def).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func one(t testing.TB) *step.Input {
	in := steptest.Input(t)
	in.Events = in.Events[:1]
	return in
}

func TestHTTPIsAStep(t *testing.T) {
	t.Parallel()
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"ok":true}`) })
	flood := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `"%s"`, strings.Repeat("x", 5000)) })

	steptest.Run(t, steptest.Kind{
		Good:    compile(t, weir.HTTPStep{URL: srv.URL + "/x"}),
		Missing: compile(t, weir.HTTPStep{URL: srv.URL + "/${events[0].data.n}/${result.total}/${events.map(e, e.data.nowhere)}/data.nowhere"}),
		Flood:   compile(t, weir.HTTPStep{URL: flood.URL}),
		Wait: func(t testing.TB) (steptest.Step, <-chan struct{}) {
			begun, end := make(chan struct{}), make(chan struct{})
			srv := serve(t, func(http.ResponseWriter, *http.Request) {
				close(begun)
				<-end
			})
			t.Cleanup(func() { close(end) })
			return compile(t, weir.HTTPStep{URL: srv.URL}), begun
		},
	})
}

func TestRequestCarriesTheEventAndItsKeys(t *testing.T) {
	t.Parallel()
	type request struct {
		Method, Path, Type, Key, Hook, Agent, Team, Body string
	}
	var got []request
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, request{
			r.Method, r.URL.String(), r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key"), r.Header.Get("webhook-id"),
			r.Header.Get("User-Agent"), r.Header.Get("X-Team"), string(body),
		})
		fmt.Fprint(w, ` {"total": 7} `)
	})
	in := one(t)

	out := run(t, weir.HTTPStep{
		URL:     srv.URL + "/usage/${data.n}?r=${result.total}",
		Headers: []weir.NamedText{{Name: "x-team", Text: "usage ${secret.tok}"}},
	}, in)
	run(t, weir.HTTPStep{URL: srv.URL, Method: "PUT"}, steptest.Input(t))
	run(t, weir.HTTPStep{URL: srv.URL, Method: "GET"}, in)

	const key = "run_00000000000000000000000000000009.2"
	first := `{"specversion":"1.0","id":"e1","source":"/test","type":"thing.made","subject":"s1","execution":"x1","hops":3,` +
		`"data":{"n":1,"name":"thing 1"}}`
	want := []request{
		{"POST", "/usage/1?r=5", "application/cloudevents+json", key, key, "Weir", "usage hunter2", first},
		{"PUT", "/", "application/cloudevents-batch+json", key, key, "Weir", "", "[" + first + "," + strings.NewReplacer(
			`"e1"`, `"e2"`, `"s1"`, `"s2"`, `"x1"`, `"x2"`, `"n":1`, `"n":2`, "thing 1", "thing 2").Replace(first) + "]"},
		{"GET", "/", "", key, key, "Weir", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if string(out.Output) != `{"total": 7}` || out.Detail != "POST "+srv.URL+"/usage/1 200" {
		t.Errorf("output %s, detail %s", out.Output, out.Detail)
	}
}

func TestEventIsWrittenWithAllThatCameWithIt(t *testing.T) {
	t.Parallel()
	event := weir.Event{
		ID: `a"b`, Source: "/s", Type: "t", Time: 1_000_001, ContentType: "text/plain", Schema: "https://x.example/s",
		Extensions: []weir.Extension{
			{Name: "flag", Kind: weir.ExtensionBool, Value: "true"},
			{Name: "level", Kind: weir.ExtensionInt, Value: "-7"},
			{Name: "word", Value: "<é>"},
		},
		Data: []byte("say \"hi\"\n"),
	}
	binary := event
	binary.ContentType, binary.Data = "image/png", []byte{0xff, 0}

	for _, c := range []struct {
		event weir.Event
		data  map[string]any
	}{
		{event, map[string]any{"data": "say \"hi\"\n", "datacontenttype": "text/plain"}},
		{binary, map[string]any{"data_base64": "/wA=", "datacontenttype": "image/png"}},
	} {
		var got map[string]any
		if err := json.Unmarshal(appendEvent(nil, &weir.Record{Event: &c.event}), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"specversion": "1.0", "id": `a"b`, "source": "/s", "type": "t", "time": "1970-01-01T00:00:01.000001Z",
			"dataschema": "https://x.example/s", "flag": true, "level": -7.0, "word": "<é>",
		}
		for name, value := range c.data {
			want[name] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestStatusSaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]pipeline.Failure{
		200: {},
		204: {},
		301: {Kind: pipeline.Status, Status: 301, Final: true},
		307: {Kind: pipeline.Status, Status: 307, Final: true},
		400: {Kind: pipeline.Status, Status: 400},
		500: {Kind: pipeline.Status, Status: 500},
		503: {Kind: pipeline.Status, Status: 503, RetryAfter: 7 * time.Second},
	} {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Error("a redirect was followed")
			}
			w.Header().Set("Location", "/elsewhere")
			if status == 503 {
				w.Header().Set("Retry-After", "7")
			}
			w.WriteHeader(status)
			if status >= 400 {
				fmt.Fprint(w, "because hunter2")
			}
		})
		in := one(t)
		in.Log.Mask = func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }

		out := run(t, weir.HTTPStep{URL: srv.URL + "/x?tok=${secret.tok}"}, in)

		var got pipeline.Failure
		if out.Failure != nil {
			got = out.Failure.Failure
			if strings.Contains(out.Failure.Message, "hunter2") || !strings.Contains(out.Failure.Message, fmt.Sprint(status)) {
				t.Errorf("%d: message %q", status, out.Failure.Message)
			}
		}
		if got != want {
			t.Errorf("%d: got %+v, want %+v", status, got, want)
		}
		if log := in.Log.String(); status >= 400 && !strings.Contains(log, "warn answer: because ***") {
			t.Errorf("%d: log %q", status, log)
		}
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"0":                             0,
		"-1":                            0,
		"1.5":                           0,
		"99999999999999999999":          0,
		"soon":                          0,
		"Sat, 31 Jan 2026 09:31:30 GMT": 90 * time.Second,
		"Sat, 31 Jan 2026 09:00:00 GMT": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestUnreachedDestinationIsAConnectFailure(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	breaks := serve(t, func(w http.ResponseWriter, r *http.Request) {
		panic(http.ErrAbortHandler)
	})
	untrusted := httptest.NewTLSServer(nil)
	t.Cleanup(untrusted.Close)

	for name, url := range map[string]string{
		"refused": closed.URL, "unknown name": "http://nowhere.invalid/", "broken off": breaks.URL, "untrusted": untrusted.URL,
	} {
		out := run(t, weir.HTTPStep{URL: url}, one(t))

		if out.Failure == nil || out.Failure.Kind != pipeline.Connect || out.Failure.Final {
			t.Errorf("%s: got %+v", name, out.Failure)
		}
	}
}

func TestNoAnswerInTimeIsATimeout(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	srv := serve(t, func(http.ResponseWriter, *http.Request) { <-end })
	t.Cleanup(func() { close(end) })

	out := run(t, weir.HTTPStep{URL: srv.URL, Timeout: weir.Duration(20 * time.Millisecond)}, one(t))

	if out.Failure == nil || out.Failure.Kind != pipeline.Timeout || !strings.Contains(out.Failure.Message, "no answer in 20ms") {
		t.Errorf("got %+v", out.Failure)
	}
}

func TestForbiddenAddressIsRefusedAfterDNS(t *testing.T) {
	t.Parallel()
	srv := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	guarded := NewCaller(Options{})
	t.Cleanup(guarded.Close)

	for _, url := range []string{
		srv.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port, "http://169.254.169.254/latest",
	} {
		s, err := guarded.Compile(&weir.HTTPStep{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(t.Context(), one(t))
		if err != nil {
			t.Fatal(err)
		}

		if f := out.Failure; f == nil || f.Kind != pipeline.Connect || !f.Final || !strings.Contains(f.Message, "is a forbidden address") {
			t.Errorf("%s: got %+v", url, f)
		}
	}
}

func TestRedirectOfGETIsFollowedToAllowedAddressesWithoutTheStepsHeaders(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]http.Header{}
	note := func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path] = r.Header
	}
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		note(r)
		if back := r.URL.Query().Get("back"); back != "" {
			http.Redirect(w, r, back, http.StatusFound)
			return
		}
		fmt.Fprint(w, `"there"`)
	})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		note(r)
		to := map[string]string{
			"/out": target.URL + "/?back=http://" + r.Host + "/home", "/near": "/next", "/next": target.URL + "/far", "/inward": "http://169.254.169.254/", "/loop": "/loop", "/file": "file:///etc/passwd",
		}[r.URL.Path]
		if to != "" {
			http.Redirect(w, r, to, http.StatusFound)
		}
	})
	get := func(path string) step.Outcome {
		return run(t, weir.HTTPStep{
			Method: "GET", URL: srv.URL + path + "?tok=${secret.tok}", Headers: []weir.NamedText{{Name: "X-Api-Key", Text: "${secret.tok}"}},
		}, one(t))
	}

	if out := get("/near"); out.Failure != nil || string(out.Output) != `"there"` {
		t.Errorf("got %s, %+v", out.Output, out.Failure)
	}
	if seen["/next"].Get("X-Api-Key") != "hunter2" {
		t.Error("the same origin did not get the header")
	}
	if out := get("/out"); out.Failure != nil || seen["/home"] == nil {
		t.Errorf("there and back: got %+v", out.Failure)
	}
	for _, path := range []string{"/far", "/home"} {
		for name, values := range seen[path] {
			if strings.Contains(strings.Join(values, ""), "hunter2") || name == "Idempotency-Key" {
				t.Errorf("%s got %s: %s", path, name, values)
			}
		}
	}
	if f := get("/inward").Failure; f == nil || !f.Final || !strings.Contains(f.Message, "169.254.169.254 is a forbidden address") {
		t.Errorf("inward: got %+v", f)
	}
	for _, path := range []string{"/loop", "/file"} {
		if f := get(path).Failure; f == nil || f.Status != 302 || !f.Final {
			t.Errorf("%s: got %+v", path, f)
		}
	}
}

func TestValuesCannotTurnARequestElsewhere(t *testing.T) {
	t.Parallel()
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("it was sent: %s", r.URL) })
	for name, c := range map[string]struct {
		def  weir.HTTPStep
		want string
	}{
		"line break in URL":    {weir.HTTPStep{URL: "${'" + srv.URL + "/a\\r\\nX-Evil: 1'}"}, "url: a value puts a control character into it"},
		"climbing":             {weir.HTTPStep{URL: srv.URL + "/users/${'../admin'}"}, "climbs up its path"},
		"climbing in disguise": {weir.HTTPStep{URL: "${'" + srv.URL + "/users/%2e%2e/admin'}"}, "climbs up its path"},
		"climbing backwards":   {weir.HTTPStep{URL: srv.URL + "/users/${'..\\\\admin'}"}, "climbs up its path"},
		"another scheme":       {weir.HTTPStep{URL: "${'file:///etc/passwd'}"}, "is no http or https URL with a host"},
		"no host":              {weir.HTTPStep{URL: "https://${''}/x"}, "is no http or https URL with a host"},
		"no URL":               {weir.HTTPStep{URL: "${'" + srv.URL + "/%zz'}"}, "is no URL"},
		"other host":           {weir.HTTPStep{URL: "http://${'evil.example/'}.good.example/"}, "is no URL"},
		"other host as user":   {weir.HTTPStep{URL: "http://${'good.example@evil'}.example/"}, "is no URL"},
		"query in the host":    {weir.HTTPStep{URL: "http://${'evil.example?'}.good.example/"}, "is no URL"},
		"line break in header": {
			weir.HTTPStep{URL: srv.URL, Headers: []weir.NamedText{{Name: "X-A", Text: "${'a\\r\\nX-Evil: 1'}"}}},
			"header X-A: a value puts a control character into it",
		},
		"missing in header": {
			weir.HTTPStep{URL: srv.URL, Headers: []weir.NamedText{{Name: "X-A", Text: "${data.nowhere}"}}},
			"header X-A: missing data.nowhere",
		},
		"no such secret": {weir.HTTPStep{URL: srv.URL + "/${secret.other}"}, `there is no secret "other"`},
	} {
		out := run(t, c.def, one(t))

		if out.Failure == nil || !out.Failure.Final || !strings.Contains(out.Failure.Message, c.want) {
			t.Errorf("%s: got %+v, want %q", name, out.Failure, c.want)
		}
	}
}

func TestSecretOutOfReachIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := compile(t, weir.HTTPStep{URL: "http://127.0.0.1/${secret.later}"})

	if _, err := s.Run(t.Context(), one(t)); weir.CodeOf(err) != weir.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestOriginIsLiteralOrRendered(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://API.example:443/${data.nowhere}": "https://api.example",
		"http://${data.name}.example:80/":         "",
		"http://h${data.n}.example:8080/":         "http://h1.example:8080",
		"http://${data.nowhere}/":                 "",
	} {
		if got := compile(t, weir.HTTPStep{URL: url}).Origin(one(t)); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}
