package whole

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/client"
)

const hookSources = `
sources:
  github:   {webhook: {verify: github, secret: "${secret.hook}", type: "github.${header['x-github-event']}"}}
  standard: {webhook: {verify: standard, secret: ["${secret.hook}", "${secret.old}"], type: "${body.type}", subject: "${body.subject}"}}
  stripe:   {webhook: {verify: stripe, secret: "${secret.hook}", type: "stripe.${body.type}"}}
  slack:    {webhook: {verify: slack, secret: "${secret.hook}", type: "slack.${body.type}"}}
  shop:
    webhook:
      verify: hmac
      secret: ${secret.hook}
      signature: {header: X-Shop-Sign, algorithm: sha512, encoding: base64, prefix: "v2=", timestamp: X-Shop-Time, signed: "{timestamp}:{body}"}
      type: shop.told
  gitlab: {webhook: {verify: token, secret: "${secret.hook}", token: {header: X-Gitlab-Token}, type: gitlab.push}}
  graph:  {webhook: {verify: token, secret: "${secret.hook}", token: {query: key}, type: graph.changed}}
  box:    {webhook: {verify: basic, secret: "box:${secret.hook}", type: box.put}}
  meta:   {webhook: {verify: github, secret: "${secret.hook}", verify_token: "${secret.old}", type: meta.changed}}
`

const hookKey = "c2VjcmV0IG9mIHRoZSBob29rcw"

func macOf(body string) []byte {
	mac := hmac.New(sha256.New, []byte(hookKey))
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

// hook is one kind's way of sending.
type hook struct {
	path, body string
	header     []string
	typ, id    string // of the event; id "" is made
	again      bool   // sent again, it is a duplicate
}

func hooksOf(now string) []hook {
	const stripe = `{"id":"evt_1","type":"charge.failed"}`
	const slack = `{"type":"event_callback","event_id":"Ev1"}`
	const standard = `{"type":"user.made","subject":"ann"}`
	return []hook{
		{
			path: "/hooks/github", body: `{}`, typ: "github.push", id: "d1", again: true,
			header: []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(macOf(`{}`)), "X-GitHub-Event", "push", "X-GitHub-Delivery", "d1"},
		},
		{
			path: "/hooks/standard", body: standard, typ: "user.made", id: "msg_1", again: true,
			header: []string{
				"webhook-id", "msg_1", "webhook-timestamp", now,
				"webhook-signature", "v1,bm8= v1," + base64.StdEncoding.EncodeToString(macOf("msg_1."+now+"."+standard)),
			},
		},
		{
			path: "/hooks/default/stripe", body: stripe, typ: "stripe.charge.failed", id: "evt_1", again: true,
			header: []string{"Stripe-Signature", "t=" + now + ",v1=" + hex.EncodeToString(macOf(now+"."+stripe))},
		},
		{
			path: "/hooks/slack", body: slack, typ: "slack.event_callback", id: "Ev1", again: true,
			header: []string{"X-Slack-Request-Timestamp", now, "X-Slack-Signature", "v0=" + hex.EncodeToString(macOf("v0:"+now+":"+slack))},
		},
		{path: "/hooks/gitlab", body: `{"a":1}`, typ: "gitlab.push", header: []string{"X-Gitlab-Token", hookKey}},
		{path: "/hooks/graph?key=" + hookKey, body: `{"value":[]}`, typ: "graph.changed"},
		{
			path: "/hooks/box", body: `[]`, typ: "box.put",
			header: []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("box:"+hookKey))},
		},
	}
}

// hookServer is a server with a source of each kind.
func hookServer(t *testing.T) *server {
	t.Helper()
	s := start(t)
	for name, value := range map[string]string{"hook": hookKey, "old": "an older one"} {
		if err := s.SetSecret(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	s.define(hookSources)
	return s
}

func TestWebhooksOfEachKindBecomeEventsOnce(t *testing.T) {
	t.Parallel()
	s := hookServer(t)
	for _, h := range hooksOf(strconv.FormatInt(time.Now().Unix(), 10)) {
		status, answer := s.post(h.path, "application/json", h.body, h.header...)
		if status != http.StatusAccepted || h.id != "" && !strings.Contains(answer, `"`+h.id+`"`) {
			t.Errorf("%s: %d %s", h.path, status, answer)
			continue
		}
		page, err := s.Events(t.Context(), client.EventFilter{Type: h.typ}, client.Paging{Limit: 10})
		if err != nil || len(page.Items) != 1 || string(page.Items[0].Data) != h.body {
			t.Errorf("%s: %v, %+v", h.path, err, page.Items)
		}

		_, answer = s.post(h.path, "application/json", h.body, h.header...)
		if got := strings.Contains(answer, `"duplicate":true`); got != h.again {
			t.Errorf("%s again: %s", h.path, answer)
		}
		if strings.Contains(h.path, "key=") {
			continue
		}
		for i := 1; i < len(h.header); i += 2 {
			h.header[i] = strings.Map(func(r rune) rune { return max(r-1, '!') }, h.header[i])
		}
		if status, answer = s.post(h.path, "application/json", h.body, h.header...); status != http.StatusUnauthorized {
			t.Errorf("%s with other headers: %d %s", h.path, status, answer)
		}
	}
	if status, answer := s.post("/hooks/graph?key=x", "application/json", `{}`); status != http.StatusUnauthorized {
		t.Errorf("another token: %d %s", status, answer)
	}
}

func TestAnOldDeliveryIsRefusedAndListed(t *testing.T) {
	t.Parallel()
	s := hookServer(t)
	old := strconv.FormatInt(time.Now().Add(-6*time.Minute).Unix(), 10)

	status, answer := s.post("/hooks/slack", "application/json", `{}`,
		"X-Slack-Request-Timestamp", old, "X-Slack-Signature", "v0="+hex.EncodeToString(macOf("v0:"+old+":{}")))

	if status != http.StatusUnauthorized || !strings.Contains(answer, "old, and 5m are the most") {
		t.Errorf("%d %s", status, answer)
	}
	page, err := s.Refusals(t.Context(), client.RefusalFilter{}, client.Paging{Limit: 10})
	if err != nil || len(page.Items) != 1 || page.Items[0].Field != "X-Slack-Request-Timestamp" || page.Items[0].Door != "hook/slack" {
		t.Errorf("%v, %+v", err, page.Items)
	}
}

func TestHandshakesAreAnsweredOverHTTP(t *testing.T) {
	t.Parallel()
	s := hookServer(t)
	now := strconv.FormatInt(time.Now().Unix(), 10)
	const verification = `{"type":"url_verification","challenge":"3eZbrw"}`
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
		answer             string
	}{
		{
			http.MethodPost, "/hooks/slack", verification,
			[]string{"X-Slack-Request-Timestamp", now, "X-Slack-Signature", "v0=" + hex.EncodeToString(macOf("v0:"+now+":"+verification))},
			200, "3eZbrw",
		},
		{http.MethodGet, "/hooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=an+older+one", "", nil, 200, "1158201444"},
		{http.MethodGet, "/hooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=none", "", nil, 401, "verify_token"},
		{http.MethodGet, "/hooks/github", "", nil, 400, "verify_token"},
		{http.MethodPost, "/hooks/graph?key=" + hookKey + "&validationToken=a+b", "", nil, 200, "a b"},
		{http.MethodOptions, "/hooks/default/gitlab", "", []string{"WebHook-Request-Origin", "sender.example"}, 200, ""},
		{http.MethodOptions, "/hooks/nobody", "", nil, 404, "nobody"},
	} {
		status, answer := s.do(c.method, c.path, c.body, c.header...)
		if status != c.status || !strings.Contains(answer, c.answer) {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, answer)
		}
	}
	if n := len(s.events()); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestASecretThatIsNotSetIsToldToTheOperatorOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`sources: {github: {webhook: {verify: github, secret: "${secret.github}", type: x}}}`)

	status, answer := s.post("/hooks/github", "application/json", `{}`, "X-Hub-Signature-256", "sha256=00")

	if status != http.StatusServiceUnavailable || strings.Contains(answer, "weir secret") {
		t.Errorf("%d %s", status, answer)
	}
	page, err := s.Refusals(t.Context(), client.RefusalFilter{}, client.Paging{Limit: 10})
	if err != nil || len(page.Items) != 1 || page.Items[0].Reason != "the secret github of source github is not set: weir secret set github" {
		t.Errorf("%v, %+v", err, page.Items)
	}
}
