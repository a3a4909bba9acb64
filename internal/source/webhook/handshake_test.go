package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir"
)

func TestOptionsAreAnsweredAsCloudEventsAsks(t *testing.T) {
	t.Parallel()
	hooks, w, _ := newHooks(t)
	ask := func(headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/", nil)
		r.SetPathValue("source", "github")
		for _, name := range headers {
			r.Header.Set(name, "eventemitter.example.com")
		}
		recorder := httptest.NewRecorder()
		if accepted, err := hooks.Receive(recorder, r); err != nil || accepted != nil {
			t.Errorf("%v, %v", accepted, err)
		}
		return recorder
	}

	full := ask("WebHook-Request-Origin", "WebHook-Request-Rate")
	if h := full.Header(); full.Code != http.StatusOK || h.Get("WebHook-Allowed-Origin") != "*" || h.Get("WebHook-Allowed-Rate") != "*" {
		t.Errorf("%d %v", full.Code, full.Header())
	}
	if h := ask("WebHook-Request-Origin").Header(); h.Get("WebHook-Allowed-Rate") != "" || h.Get("Allow") != "POST, OPTIONS" {
		t.Error(h)
	}
	if h := ask().Header(); h.Get("WebHook-Allowed-Origin") != "" {
		t.Error(h)
	}
	if len(w.events) != 0 {
		t.Error("a handshake became an event")
	}
}

func TestAChallengeIsGivenBackToWhoKnowsTheToken(t *testing.T) {
	t.Parallel()
	const hostile = "%3Cscript%3E1%3C/script%3E"
	for _, c := range []struct {
		query string
		token string // verify_token of the source
		code  weir.Code
	}{
		{"hub.mode=subscribe&hub.challenge=" + hostile + "&hub.verify_token=It%27s+a+Secret+to+Everybody", "${secret.github}", ""},
		{"hub.mode=unsubscribe&hub.challenge=" + hostile + "&hub.verify_token=It%27s+a+Secret+to+Everybody", "${secret.github}", ""},
		{"hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", "${secret.github}", weir.Unauthenticated},
		{"hub.mode=subscribe&hub.challenge=1", "${secret.github}", weir.Unauthenticated},
		{"hub.mode=x&hub.challenge=1", "${secret.github}", weir.Invalid},
		{"", "${secret.github}", weir.Invalid},
		{"hub.mode=subscribe&hub.verify_token=It%27s+a+Secret+to+Everybody", "${secret.github}", weir.Invalid},
		{"hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", "${secret.unset}", weir.Unavailable},
		{"hub.mode=subscribe&hub.challenge=1&hub.verify_token=", "", weir.Invalid},
		{"hub.mode=subscribe&hub.verify_token=It%27s+a+Secret+to+Everybody&hub.challenge=" + strings.Repeat("1", maxChallenge+1), "${secret.github}", weir.Invalid},
	} {
		hooks, w, _ := newHooks(t)
		w.hook.VerifyToken = c.token
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+c.query, nil)
		r.SetPathValue("source", "github")
		recorder := httptest.NewRecorder()

		accepted, err := hooks.Receive(recorder, r)

		if weir.CodeOf(err) != c.code || accepted != nil || len(w.events) != 0 {
			t.Errorf("%s: %v, %v", c.query, accepted, err)
		}
		answered := recorder.Body.String() == "<script>1</script>" && isPlain(recorder)
		if answered != (c.code == "") {
			t.Errorf("%s: answers %q, %v", c.query, recorder.Body, recorder.Header())
		}
	}
}

// isPlain reports whether a browser shows an answer as text whatever is in it.
func isPlain(r *httptest.ResponseRecorder) bool {
	return r.Header().Get("Content-Type") == "text/plain; charset=utf-8" && r.Header().Get("X-Content-Type-Options") == "nosniff"
}

func TestChallengesInDeliveriesAreAnsweredOnceVerified(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, target, body, want string }{
		{"slack", "/", `{"type":"url_verification","challenge":"<b>3eZbrw1"}`, "<b>3eZbrw1"},
		{"token", "/?validationToken=Validation%3A+%3Cb%3E", "", "Validation: <b>"},
	} {
		hooks, w, _ := newHooks(t)
		w.hook = weir.Webhook{Verify: c.kind, Secrets: []string{"${secret.github}"}, Type: "x"}
		recorder := httptest.NewRecorder()

		accepted, err := hooks.Receive(recorder, signedNow(t, c.kind, c.target, c.body))

		if err != nil || accepted != nil || recorder.Body.String() != c.want || !isPlain(recorder) || len(w.events) != 0 {
			t.Errorf("%s: %v, %v, %q", c.kind, accepted, err, recorder.Body)
		}
		stranger, forged := httptest.NewRecorder(), signedNow(t, c.kind, c.target, c.body)
		forged.Header.Del("Authorization")
		forged.Header.Del("X-Slack-Signature")
		if _, err := hooks.Receive(stranger, forged); weir.CodeOf(err) != weir.Unauthenticated || stranger.Body.Len() > 0 {
			t.Errorf("%s: a stranger is answered %q, %v", c.kind, stranger.Body, err)
		}
	}
	hooks, w, _ := newHooks(t)
	w.hook = weir.Webhook{Verify: "slack", Secrets: []string{"${secret.github}"}, Type: "x"}
	if _, err := hooks.Receive(httptest.NewRecorder(), signedNow(t, "slack", "/?validationToken=x", `{"type":"event_callback"}`)); err != nil || len(w.events) != 1 {
		t.Errorf("an event of Slack with a validationToken: %v", err)
	}
}
