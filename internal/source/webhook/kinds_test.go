package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
)

// sample is a delivery with the secret under which it is signed.
type sample struct {
	hook   weir.Webhook
	secret string
	header map[string]string
	query  string
	body   string
	at     int64 // when it was signed, in seconds since 1970
	id     string
}

// unhex reads what RFCs write as hex.
func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

const (
	slackBody = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
		"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com" +
		"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121" +
		".803a0bc887a14d10d2c447fce8b6703c"
	stripeSecret = "whsec_test_secret"
	stripeBody   = `{"id":"evt_1NG8Du2eZvKYlo2CUI79vXWy","object":"event","type":"charge.succeeded"}`
)

// published are the examples of the kinds' own documents, and, where those have
// none, deliveries signed here.
//
//archtest:long a table of samples, one per kind
func published() map[string]sample {
	return map[string]sample{
		// docs.github.com, "Validating webhook deliveries": testing the webhook payload validation.
		"github": {
			hook: weir.Webhook{Verify: "github"}, secret: key, body: "Hello, World!", id: "d-1",
			header: map[string]string{
				"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
				"X-GitHub-Delivery":   "d-1",
			},
		},
		// The example in the documentation of Svix, who wrote the standard.
		"standard": {
			hook: weir.Webhook{Verify: "standard"}, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			body: `{"test": 2432232314}`, at: 1614265330, id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
			header: map[string]string{
				"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
				"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
		},
		"standard, as svix": {
			hook: weir.Webhook{Verify: "standard"}, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			body: `{"test": 2432232314}`, at: 1614265330, id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
			header: map[string]string{
				"svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "svix-timestamp": "1614265330",
				"svix-signature": "v1,AAAA v2,x v1a,y v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
		},
		// docs.slack.dev, "Verifying requests from Slack".
		"slack": {
			hook: weir.Webhook{Verify: "slack"}, secret: "8f742231b10e8888abcd99yyyzzz85a5", body: slackBody, at: 1531420618,
			id: digestOf("v0:1531420618:" + slackBody),
			header: map[string]string{
				"X-Slack-Request-Timestamp": "1531420618",
				"X-Slack-Signature":         "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
			},
		},
		"stripe": {
			hook: weir.Webhook{Verify: "stripe"}, secret: stripeSecret, body: stripeBody, at: 1686089970, id: "evt_1NG8Du2eZvKYlo2CUI79vXWy",
			header: map[string]string{
				"Stripe-Signature": "t=1686089970, v1=00ff,v1=" + hexMAC(stripeSecret, "1686089970."+stripeBody) + ",v0=6ffb",
			},
		},
		// RFC 4231, test case 2.
		"hmac, RFC 4231": {
			hook:   weir.Webhook{Verify: "hmac", Signature: &weir.Signature{Header: "X-Sign"}},
			secret: "Jefe", body: "what do ya want for nothing?",
			header: map[string]string{"X-Sign": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		},
		"hmac of SHA-512, RFC 4231": {
			hook:   weir.Webhook{Verify: "hmac", Signature: &weir.Signature{Header: "X-Sign", Algorithm: "sha512", Prefix: "sha512="}},
			secret: "Jefe", body: "what do ya want for nothing?",
			header: map[string]string{"X-Sign": "sha512=164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554" +
				"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
		},
		// RFC 2202, test case 2, in base64.
		"hmac of SHA-1, RFC 2202": {
			hook:   weir.Webhook{Verify: "hmac", Signature: &weir.Signature{Header: "X-Sign", Algorithm: "sha1", Encoding: "base64"}},
			secret: "Jefe", body: "what do ya want for nothing?",
			header: map[string]string{"X-Sign": base64.StdEncoding.EncodeToString([]byte(unhex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")))},
		},
		"hmac with a timestamp and an id": { // as Twitch's EventSub does
			hook: weir.Webhook{Verify: "hmac", Signature: &weir.Signature{
				Header: "Twitch-Eventsub-Message-Signature", Prefix: "sha256=",
				Timestamp: "Twitch-Eventsub-Message-Timestamp", Signed: "{Twitch-Eventsub-Message-Id}{timestamp}{body}",
			}},
			secret: "s3cre77890ab", body: `{"a":1}`, at: 1669805760, id: digestOf(`e76c62022-11-30T10:56:00.5Z{"a":1}`),
			header: map[string]string{
				"Twitch-Eventsub-Message-Id": "e76c6", "Twitch-Eventsub-Message-Timestamp": "2022-11-30T10:56:00.5Z",
				"Twitch-Eventsub-Message-Signature": "sha256=" + hexMAC("s3cre77890ab", `e76c62022-11-30T10:56:00.5Z{"a":1}`),
			},
		},
		"token": {
			hook: weir.Webhook{Verify: "token"}, secret: "t0ken", body: "x", header: map[string]string{"Authorization": "bearer  t0ken"},
		},
		"token in a header": {
			hook:   weir.Webhook{Verify: "token", Token: &weir.HookToken{Header: "X-Gitlab-Token"}},
			secret: "t0ken", body: "x", header: map[string]string{"X-Gitlab-Token": "t0ken"},
		},
		"token in the query": {
			hook: weir.Webhook{Verify: "token", Token: &weir.HookToken{Query: "key"}}, secret: "t 0ken", body: "x", query: "key=t%200ken",
		},
		// RFC 7617, section 2.
		"basic": {
			hook: weir.Webhook{Verify: "basic"}, secret: "Aladdin:open sesame", body: "x",
			header: map[string]string{"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		},
	}
}

func hexMAC(secret, signed string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return hex.EncodeToString(mac.Sum(nil))
}

func digestOf(signed string) string {
	sum := sha256.Sum256([]byte(signed))
	return hex.EncodeToString(sum[:16])
}

// delivery makes the request of a sample, as it comes after some time.
func (s *sample) delivery(t testing.TB, after time.Duration) *delivery {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/x?"+s.query, strings.NewReader(s.body))
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	return &delivery{Request: r, body: []byte(s.body), now: time.Unix(s.at, 0).Add(after)}
}

func (s *sample) source(t testing.TB) *source {
	t.Helper()
	hook := s.hook
	hook.Secrets, hook.Type = []string{"${secret.x}"}, "t"
	src, err := compileHook("x", &hook)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestPublishedExamplesAreTaken(t *testing.T) {
	t.Parallel()
	for name, s := range published() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, d := s.source(t), s.delivery(t, 0)

			err := src.check(d, []string{"another secret", s.secret})

			if err != nil || d.id != s.id {
				t.Errorf("%v, id %q, want %q", err, d.id, s.id)
			}
			if err := src.check(s.delivery(t, 0), []string{"another secret", s.secret + "x"}); weir.CodeOf(err) == "" {
				t.Error("another secret verifies")
			}
		})
	}
}

func TestAMissingHeaderIsSaidByName(t *testing.T) {
	t.Parallel()
	for name, s := range published() {
		for header := range s.header {
			if header == "X-GitHub-Delivery" || header == "svix-signature" { // not signed; Webhook-Signature is
				continue
			}
			d := s.delivery(t, 0)
			d.Header.Del(header)

			err := s.source(t).check(d, []string{s.secret})

			e, ok := errors.AsType[*weir.Error](err)
			if !ok || e.Code != weir.Unauthenticated || !strings.EqualFold(e.Field, header) {
				t.Errorf("%s without %s: %v", name, header, err)
			}
		}
	}
}

func TestATimestampCountsWithinItsToleranceOnBothSides(t *testing.T) {
	t.Parallel()
	for name, s := range published() {
		src := s.source(t)
		if !src.hook.Timed() {
			continue
		}
		fraction := 500 * time.Millisecond // one sample has a time with a fraction
		for after, good := range map[time.Duration]bool{
			0: true, 5 * time.Minute: true, -5*time.Minute + fraction: true, 5*time.Minute + 2*time.Second: false,
			-5*time.Minute - 2*time.Second: false, 24 * time.Hour: false,
		} {
			err := src.check(s.delivery(t, after), []string{s.secret})
			if (err == nil) != good || err != nil && weir.CodeOf(err) != weir.Unauthenticated {
				t.Errorf("%s after %v: %v", name, after, err)
			}
		}
		s.hook.Tolerance = weir.Duration(10 * time.Second)
		if err := s.source(t).check(s.delivery(t, 11*time.Second), []string{s.secret}); err == nil {
			t.Errorf("%s: its own tolerance does not count", name)
		}
	}
}

func TestTimestampsAreSecondsMillisecondsOrRFC3339(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1614265330": 1614265330, "1614265330123": 1614265330, "2021-02-25T15:02:10Z": 1614265330, "2021-02-25T16:02:10.9+01:00": 1614265330, "0": 0,
	} {
		if at, ok := instant(text); !ok || at.Unix() != want {
			t.Errorf("%s is %v, %v", text, at, ok)
		}
	}
	for _, text := range []string{"", "x", "-1", "1614265330.5", "16142653301234567", "99999999999999999999", "2021-02-25"} {
		if at, ok := instant(text); ok {
			t.Errorf("%s is %v", text, at)
		}
	}
}

// TestOneFlippedBitIsRefused flips any bit of the body, or of a header that is
// signed or a signature.
func TestOneFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	all := published()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(names).Draw(rt, "kind")
		s := all[name]
		d := s.delivery(t, 0)
		var headers []string
		for header := range s.header {
			headers = append(headers, header)
		}
		if s.hook.Verify != "token" && s.hook.Verify != "basic" {
			headers = append(headers, "")
		}
		if len(headers) == 0 {
			return
		}
		where := rapid.SampledFrom(headers).Draw(rt, "where")
		text := []byte(s.body)
		if where != "" {
			text = []byte(s.header[where])
		}
		bit := rapid.IntRange(0, 8*len(text)-1).Draw(rt, "bit")
		before := bytes.Clone(text)
		text[bit/8] ^= 1 << (bit % 8)
		switch {
		case where == "":
			d.body = text
		case where == "X-GitHub-Delivery":
			return // not signed
		case bytes.EqualFold(before, text):
			return // a hex digit or "bearer" in the other case is the same
		case strings.Contains(name, "svix") && strings.EqualFold(where, "svix-signature") && bit/8 < 18,
			name == "stripe" && (bit/8 >= 13 && bit/8 < 22 || bit/8 > len(text)-9):
			return // another signature than the one that counts
		default:
			d.Header.Set(where, string(text))
		}

		if user, password, _ := d.BasicAuth(); name == "basic" && user+":"+password == s.secret {
			return // the last bits of base64 say nothing
		}

		err := s.source(t).check(d, []string{s.secret})

		if weir.CodeOf(err) != weir.Unauthenticated {
			rt.Errorf("%s: %q in place of %q is taken: %v", name, text, before, err)
		}
	})
}

func TestAsymmetricSignaturesAreRefusedInWords(t *testing.T) {
	t.Parallel()
	s := published()["standard"]
	s.header["webhook-signature"] = "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

	err := s.source(t).check(s.delivery(t, 0), []string{s.secret})

	if err == nil || !strings.Contains(err.Error(), "v1a") {
		t.Error(err)
	}
	s = published()["standard"]
	if err := s.source(t).check(s.delivery(t, 0), []string{"whsec_*"}); weir.CodeOf(err) != weir.Unavailable {
		t.Error(err)
	}
}

// TestSecretsAreTakenFromBothSidesOfARotation has two secrets, of which one or
// none is set.
func TestSecretsAreTakenFromBothSidesOfARotation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		secrets []string
		code    weir.Code // "": taken
		says    string
	}{
		{[]string{"${secret.github}"}, "", ""},
		{[]string{"${secret.unset}", "${secret.github}"}, "", ""},
		{[]string{"${secret.github}", "${secret.unset}"}, "", ""},
		{[]string{"${secret.github}x", "${secret.unset}"}, weir.Unavailable, "the secret unset of source github is not set: weir secret set unset"},
		{[]string{"${secret.unset}"}, weir.Unavailable, "the secret unset of source github is not set: weir secret set unset"},
		{[]string{"${secret.github}x", "${secret.github}y"}, weir.Unauthenticated, "is not that of the body"},
	} {
		hooks, w, door := newHooks(t)
		w.hook.Secrets = c.secrets

		_, err := hooks.Receive(httptest.NewRecorder(), deliver(t, []byte(`{}`)))

		if weir.CodeOf(err) != c.code {
			t.Errorf("%v: %v", c.secrets, err)
		}
		if c.code == weir.Unavailable && strings.Contains(err.Error(), "unset") {
			t.Errorf("the sender is told of secrets: %v", err)
		}
		if err := door.Flush(t.Context()); err != nil || c.code != "" && (len(w.refusals) != 1 || !strings.Contains(w.refusals[0].Reason, c.says)) {
			t.Errorf("%v: %v, %+v", c.secrets, err, w.refusals)
		}
	}
}

// signed makes a request for a source of a kind, signed now.
func signedNow(t testing.TB, kind, target, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	r.SetPathValue("source", "github")
	r.Header.Set("Content-Type", "application/json")
	now := strconv.FormatInt(time.Now().Unix(), 10)
	switch kind {
	case "slack":
		r.Header.Set("X-Slack-Request-Timestamp", now)
		r.Header.Set("X-Slack-Signature", "v0="+hexMAC(key, "v0:"+now+":"+body))
	case "stripe":
		r.Header.Set("Stripe-Signature", "t="+now+",v1="+hexMAC(key, now+"."+body))
	case "standard":
		mac, _ := hex.DecodeString(hexMAC(key, "m1."+now+"."+body))
		r.Header.Set("Webhook-Id", "m1")
		r.Header.Set("Webhook-Timestamp", now)
		r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac))
	case "token":
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return r
}

func TestTheDeliverysOwnIDIsTheEvents(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"stripe": "evt_7", "slack": "Ev7", "standard": "m1"} {
		hooks, w, _ := newHooks(t)
		w.hook = weir.Webhook{Verify: kind, Secrets: []string{"${secret.github}"}, Type: kind + ".${body.type}", Subject: "${body.id}"}

		_, err := hooks.Receive(httptest.NewRecorder(), signedNow(t, kind, "/", `{"id":"evt_7","event_id":"Ev7","type":"made"}`))

		if err != nil || w.events[0].ID != want || w.events[0].Type != kind+".made" || w.events[0].Subject != "evt_7" {
			t.Errorf("%s: %v, %+v", kind, err, w.events)
		}
	}
}

func TestBodiesAreTakenByTheirContentType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, contentType, body, want, as string }{
		{"token", "text/plain; charset=latin1", "caf\xe9", "caf\xe9", "text/plain; charset=latin1"},
		{"token", "", "\x00\x01", "\x00\x01", "application/octet-stream"},
		{"token", "", `{"a":1}`, `{"a":1}`, "application/json"},
		{"token", "application/vnd.x+json", `[1]`, `[1]`, "application/json"},
		{"token", "application/x-www-form-urlencoded", "b=2&a=1&a=3", `{"a":["1","3"],"b":"2"}`, "application/json"},
		{"slack", "application/x-www-form-urlencoded", url.Values{"payload": {`{"x":1}`}}.Encode(), `{"x":1}`, "application/json"},
		{"standard", "application/xml", "<a/>", "<a/>", "application/xml"},
		{"token", "", "", "", ""},
	} {
		hooks, w, _ := newHooks(t)
		w.hook = weir.Webhook{Verify: c.kind, Secrets: []string{"${secret.github}"}, Type: "x"}
		r := signedNow(t, c.kind, "/", c.body)
		r.Header.Set("Content-Type", c.contentType)

		if _, err := hooks.Receive(httptest.NewRecorder(), r); err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}

		if diff := cmp.Diff([]string{c.want, c.as}, []string{string(w.events[0].Data), w.events[0].ContentType}); diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
	}
	hooks, w, _ := newHooks(t)
	w.hook = weir.Webhook{Verify: "stripe", Secrets: []string{"${secret.github}"}, Type: "x"}
	r := signedNow(t, "stripe", "/", "<a/>")
	r.Header.Set("Content-Type", "application/xml")
	if _, err := hooks.Receive(httptest.NewRecorder(), r); weir.CodeOf(err) != weir.Invalid {
		t.Errorf("Stripe sends JSON: %v", err)
	}
}

func TestADefinitionThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	sign := func(s weir.Signature) *weir.Signature { return &s }
	for field, w := range map[string]weir.Webhook{
		"verify":              {Verify: "none"},
		"signature":           {Verify: "hmac"},
		"signature.header":    {Verify: "hmac", Signature: sign(weir.Signature{})},
		"signature.algorithm": {Verify: "hmac", Signature: sign(weir.Signature{Header: "X", Algorithm: "md5"})},
		"signature.encoding":  {Verify: "hmac", Signature: sign(weir.Signature{Header: "X", Encoding: "z"})},
		"signature.signed":    {Verify: "hmac", Signature: sign(weir.Signature{Header: "X", Signed: "{timestamp}", Timestamp: "T"})},
		"token":               {Verify: "token", Token: &weir.HookToken{Header: "X", Query: "y"}},
		"tolerance":           {Verify: "github", Tolerance: 1},
	} {
		w.Secrets, w.Type = []string{"s"}, "t"
		if e, ok := errors.AsType[*weir.Error](w.Validate()); !ok || e.Field != field {
			t.Errorf("%+v: %v, want %s", w, e, field)
		}
	}
	for _, s := range []weir.Signature{{Header: "X", Signed: "{body}{timestamp}"}, {Header: "X", Timestamp: "T"}} {
		w := weir.Webhook{Verify: "hmac", Secrets: []string{"s"}, Type: "t", Signature: &s}
		if w.Validate() == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

// FuzzClaim checks that whatever stands in the headers is refused, and read in
// bounded time.
func FuzzClaim(f *testing.F) {
	f.Add("stripe", "t=1,v1=00", "1", "m")
	f.Add("standard", "v1,AA== v1a,x", "1614265330", "m")
	f.Add("slack", "v0=00", "-1", "")
	f.Add("hmac", "sha256=zz", "2021-02-25T15:02:10Z", "{}")
	f.Add("github", "sha256=", "", "")
	f.Fuzz(func(t *testing.T, kind, signature, timestamp, id string) {
		hook := weir.Webhook{Verify: kind, Secrets: []string{"s"}, Type: "t"}
		if kind == "hmac" {
			hook.Signature = &weir.Signature{Header: "S", Prefix: "sha256=", Timestamp: "T", Signed: "{timestamp}.{Id}.{body}"}
		}
		src, err := compileHook("x", &hook)
		if err != nil {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		for _, name := range []string{"S", "Stripe-Signature", "Webhook-Signature", "X-Slack-Signature", "X-Hub-Signature-256"} {
			r.Header.Set(name, signature)
		}
		for _, name := range []string{"T", "Webhook-Timestamp", "X-Slack-Request-Timestamp"} {
			r.Header.Set(name, timestamp)
		}
		r.Header.Set("Webhook-Id", id)
		r.Header.Set("Id", id)

		err = src.check(&delivery{Request: r, body: []byte("x"), now: time.Unix(1614265330, 0)}, []string{"secret of the fuzz test"})

		if weir.CodeOf(err) != weir.Unauthenticated {
			t.Error(err)
		}
	})
}
