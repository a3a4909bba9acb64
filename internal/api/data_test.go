package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir"
)

// published publishes one event and returns where its data is.
func published(t *testing.T, a *API, body, contentType string, header ...string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events?type=x", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer weir_publisher")
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	_, rest, ok := strings.Cut(w.Body.String(), `"uid":"`)
	if !ok {
		t.Fatal(w.Body)
	}
	uid, _, _ := strings.Cut(rest, `"`)
	return "/v1/events/" + uid + "/data"
}

func fetch(t *testing.T, a *API, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer weir_viewer")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func TestDataIsGivenOutAsItCame(t *testing.T) {
	t.Parallel()
	a, _ := newAPI(t)
	const data = ` {"n": 1.0} `
	path := published(t, a, `{"specversion":"1.0","id":"1","source":"/s","type":"x","filename":"../../etc/b\"ü.json","data":`+data+`}`,
		"application/cloudevents+json")

	all := fetch(t, a, path)

	trimmed := strings.TrimSpace(data)
	if all.Code != 200 || all.Body.String() != trimmed {
		t.Errorf("%d %q", all.Code, all.Body)
	}
	h := all.Result().Header
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Content-Length": "10", "X-Content-Type-Options": "nosniff",
		"Content-Disposition": `attachment; filename*=utf-8''b%22%C3%BC.json`,
		"Etag":                `"` + sumOf(&weir.Event{Data: []byte(trimmed)}) + `"`,
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if part := fetch(t, a, path, "Range", "bytes=1-3"); part.Code != 206 || part.Body.String() != `"n"` {
		t.Errorf("a part: %d %q", part.Code, part.Body)
	}
	if same := fetch(t, a, path, "If-None-Match", h.Get("Etag")); same.Code != 304 || same.Body.Len() > 0 {
		t.Errorf("the same: %d %q", same.Code, same.Body)
	}
	if past := fetch(t, a, path, "Range", "bytes=99-"); past.Code != 416 {
		t.Errorf("past the end: %d", past.Code)
	}
}

func TestWhatHasNoDataIsToldSo(t *testing.T) {
	t.Parallel()
	a, _ := newAPI(t)
	for path, want := range map[string]int{
		published(t, a, `{"specversion":"1.0","id":"1","source":"/s","type":"x"}`, "application/cloudevents+json"): 404,
		"/v1/events/evt_1/data":                                400,
		"/v1/events/evt_019b76daa80170008000000000000009/data": 404,
	} {
		if got := fetch(t, a, path); got.Code != want || got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	if got := fetch(t, a, "/v1/events/evt_1/data", "Authorization", ""); got.Code != 401 {
		t.Errorf("without a token: %d", got.Code)
	}
}

func TestFilesHaveTheNameOfTheUpload(t *testing.T) {
	t.Parallel()
	uid := weir.Place(1, 0, 1)
	for value, want := range map[string]string{
		"a.png": "a.png", `C:\tmp\a.png`: "a.png", "/": uid.String(), "..": uid.String(), "x/..": uid.String(),
	} {
		e := &weir.Event{ContentType: "image/png", Extensions: []weir.Extension{{Name: "filename", Value: value}}}
		if got := fileName(uid, e); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
	if got := fileName(uid, &weir.Event{}); got != uid.String()+".json" {
		t.Error(got)
	}
}

func TestATimeAsOldAsTimeIsABound(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z"} {
		since, until, err := Period{Since: old, Until: old}.times()
		if err != nil || since != 1 || until != 1 {
			t.Errorf("%s: since %d, until %d, %v; 0 would be no bound", old, since, until, err)
		}
	}
}
