package whole

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"weir"
	"weir/client"
)

const githubSource = `
sources:
  github: {webhook: {verify: github, secret: "${secret.github}", type: "github.${header['x-github-event']}", id: "${header['x-github-delivery']}"}}
`

// Each of these is turned away whole: the answer says why, the refusal is
// listed, and nothing of it is kept, while what came before and after is.
func TestWhatIsTurnedAwayIsListedAndNotKept(t *testing.T) {
	t.Parallel()
	const structured, batch, plain = client.EventType, client.BatchType, "application/json"
	event := func(attributes string) string { return `{"specversion":"1.0",` + attributes + `}` }
	good := event(`"id":"g1","source":"/s","type":"t"`)
	for name, c := range map[string]struct {
		path, contentType, body string
		header                  []string
		status                  int
		code                    weir.Code
		field, detail           string // detail: a part of it
		index                   int    // -1: none
		door                    string // "": the api's
	}{
		"unknown content type": {
			path: "/v1/events", contentType: "text/csv", body: "a,b",
			status: 415, code: weir.Invalid, field: "content-type", detail: "text/csv", index: -1,
		},
		"broken JSON": {
			path: "/v1/events", contentType: structured, body: `{"specversion":"1.0",`,
			status: 400, code: weir.Invalid, detail: "JSON", index: -1,
		},
		"no type": {
			path: "/v1/events", contentType: structured, body: event(`"id":"1","source":"/s"`),
			status: 400, code: weir.Invalid, field: "type", detail: "required", index: -1,
		},
		"plain JSON without type": {
			path: "/v1/events", contentType: plain, body: `{}`,
			status: 400, code: weir.Invalid, field: "type", detail: "required", index: -1,
		},
		"malformed source": {
			path: "/v1/events", contentType: structured, body: event(`"id":"1","source":"not a uri","type":"t"`),
			status: 400, code: weir.Invalid, field: "source", detail: "URI", index: -1,
		},
		"control character in id": {
			path: "/v1/events", contentType: structured, body: event(`"id":"a\u0007","source":"/s","type":"t"`),
			status: 400, code: weir.Invalid, field: "id", detail: "control", index: -1,
		},
		"malformed time": {
			path: "/v1/events", contentType: structured, body: event(`"id":"1","source":"/s","type":"t","time":"yesterday"`),
			status: 400, code: weir.Invalid, field: "time", detail: "RFC 3339", index: -1,
		},
		"wrong specversion": {
			path: "/v1/events", contentType: structured, body: `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`,
			status: 400, code: weir.Invalid, field: "specversion", detail: "1.0", index: -1,
		},
		"reserved attribute": {
			path: "/v1/events", contentType: structured, body: event(`"id":"1","source":"/s","type":"t","cause":"run_1"`),
			status: 400, code: weir.Invalid, field: "cause", detail: "only Weir", index: -1,
		},
		"body over the limit": {
			path: "/v1/events", contentType: plain, body: `"` + strings.Repeat("x", 9<<20) + `"`,
			status: 413, code: weir.TooLarge, field: "body", detail: "8388608", index: -1,
		},
		"data over the limit": {
			path: "/v1/events?type=t", contentType: plain, body: `"` + strings.Repeat("x", 1<<20) + `"`,
			status: 413, code: weir.TooLarge, field: "data", detail: "1048576 are the most", index: -1,
		},
		"batch with one bad event": {
			path: "/v1/events", contentType: batch,
			body:   "[" + good + "," + event(`"id":"g2","source":"/s","type":""`) + "," + event(`"id":"g3","source":"/s","type":"t"`) + "]",
			status: 400, code: weir.Invalid, field: "type", detail: "may not be empty", index: 1,
		},
		"wrong signature": {
			path: "/hooks/github", contentType: plain, body: `{}`,
			header: []string{"X-Hub-Signature-256", "sha256=" + strings.Repeat("0", 64), "X-GitHub-Event", "push", "X-GitHub-Delivery", "1"},
			status: 401, code: weir.Unauthenticated, field: "X-Hub-Signature-256", detail: "is not that of the body", index: -1, door: "hook/github",
		},
		"no signature": {
			path: "/hooks/github", contentType: plain, body: `{}`,
			header: []string{"X-GitHub-Event", "push", "X-GitHub-Delivery", "1"},
			status: 401, code: weir.Unauthenticated, field: "X-Hub-Signature-256", detail: "is missing", index: -1, door: "hook/github",
		},
		"unknown source": {
			path: "/hooks/gitlab", contentType: plain, body: `{}`,
			status: 404, code: weir.NotFound, detail: "gitlab", index: -1, door: "hook",
		},
		"wrong token": {
			path: "/v1/events?type=t", contentType: plain, body: `{}`, header: []string{"Authorization", "Bearer weir_of-somebody-else"},
			status: 401, code: weir.Unauthenticated, detail: "token", index: -1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			if err := s.SetSecret(t.Context(), "github", "shh"); err != nil {
				t.Fatal(err)
			}
			s.define(githubSource)
			s.publish("before", "b", `{}`)

			status, answer := s.post(c.path, c.contentType, c.body, c.header...)

			var p client.Problem
			if err := json.Unmarshal([]byte(answer), &p); err != nil {
				t.Fatalf("%d %s: %v", status, answer, err)
			}
			if status != c.status || p.Code != c.code || p.Field != c.field || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("%d %s", status, answer)
			}
			if got := indexOf(p); got != c.index {
				t.Errorf("index %d, want %d", got, c.index)
			}
			s.publish("after", "a", `{}`)
			if events := s.events(); len(events) != 2 || events[0].Type != "after" || events[1].Type != "before" {
				t.Errorf("%d events are kept, want the two good ones", len(events))
			}
			wantRefusal(t, s, c.door, p)
		})
	}
}

func indexOf(p client.Problem) int {
	if p.Index == nil {
		return -1
	}
	return *p.Index
}

// wantRefusal checks that the last refusal tells what the problem does.
func wantRefusal(t *testing.T, s *server, door string, p client.Problem) {
	t.Helper()
	if door == "" {
		door = "api"
	}
	page, err := s.Refusals(t.Context(), client.RefusalFilter{}, client.Paging{})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("refusals %+v, %v", page.Items, err)
	}
	r := page.Items[0]
	if r.Door != door || r.Code != p.Code || r.Field != p.Field || r.Reason != p.Detail {
		t.Errorf("listed %+v, answered %+v", r, p)
	}
}

func TestASignedDeliveryIsTakenOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	if err := s.SetSecret(t.Context(), "github", "shh"); err != nil {
		t.Fatal(err)
	}
	s.define(githubSource)
	body := `{"action": "opened"}`
	mac := hmac.New(sha256.New, []byte("shh"))
	mac.Write([]byte(body))
	header := []string{
		"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac.Sum(nil)), "X-GitHub-Event", "issues", "X-GitHub-Delivery", "d-1",
	}

	for _, duplicate := range []string{`"duplicate":false`, `"duplicate":true`} {
		status, answer := s.post("/hooks/github", "application/json", body, header...)
		if status != http.StatusAccepted || !strings.Contains(answer, duplicate) {
			t.Errorf("%d %s, want %s", status, answer, duplicate)
		}
	}

	events := s.events()
	if len(events) != 1 || events[0].Type != "github.issues" || events[0].ID != "d-1" || string(events[0].Data) != `{"action":"opened"}` {
		t.Errorf("got %+v", events)
	}
}

func TestABadProjectFileChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`triggers: {good: {match: {type: x}, run: [{log: {message: hello}}]}}`)
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":          {"triggers:\n  a: {match: {type: x}, runn: tell}\n", `weir.yaml:2:25: a trigger has no key "runn" (did you mean "run"?)`},
		"CEL does not compile": {"triggers:\n  a: {match: {type: x, where: data.n >}, run: [{log: {message: m}}]}\n", "weir.yaml:2:"},
		"missing pipeline":     {"triggers:\n  a: {match: {type: x}, run: tel}\npipelines: {tell: {steps: [{log: {message: m}}]}}\n", `tel`},
		"CEL costs too much": {
			"triggers:\n  a: {match: {type: x, where: 'data.a.all(x, data.a.all(y, data.a.all(z, data.a.all(u, x == y && z == u))))'}, run: [{log: {message: m}}]}\n",
			"cost",
		},
		"not built yet": {"triggers:\n  a: {match: {type: x}, cooldown: 1h, run: [{log: {message: m}}]}\n", "cooldown is not built yet"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte(c.text)})

			if e := asError(t, err); e.Code != weir.Invalid || !strings.Contains(e.Message, c.want) {
				t.Errorf("got %s: %s", e.Code, e.Message)
			}
			page, err := s.Definitions(t.Context(), weir.KindTrigger, client.Paging{})
			if err != nil || len(page.Items) != 1 || page.Items[0].Name != "good" {
				t.Errorf("in force: %+v, %v", page.Items, err)
			}
			refused, err := s.Refusals(t.Context(), client.RefusalFilter{}, client.Paging{Limit: 1})
			if err != nil || refused.Items[0].Door != "apply" || !strings.Contains(refused.Items[0].Reason, c.want) {
				t.Errorf("listed: %+v, %v", refused.Items, err)
			}
		})
	}
}

func TestAnExpressionThatFailsDoesNotMatchAndIsCounted(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`
triggers:
  dear: {match: {type: x, where: 'data.a.all(x, data.a.all(y, x + y >= 0))'}, run: [{log: {message: m}}]}
  missing: {match: {type: x, where: data.b > 1}, run: [{log: {message: m}}]}
  good: {match: {type: x}, run: [{log: {message: m}}]}
`)
	numbers := strings.TrimSuffix(strings.Repeat("1,", 5000), ",")

	s.publish("x", "1", `{"a":[`+numbers+`]}`)

	s.await("good", "succeeded", 1)
	if n := len(s.runs(client.RunFilter{})); n != 1 {
		t.Errorf("%d runs, want that of good alone", n)
	}
	for trigger, what := range map[string]string{"dear": "cost", "missing": "missing data.b", "good": "matched"} {
		d, err := s.Definition(t.Context(), weir.KindTrigger, trigger)
		if err != nil || d.Counters[what] != 1 {
			t.Errorf("%s: counters %v, %v, want %q", trigger, d.Counters, err, what)
		}
	}
}

func TestARunWhoseTemplateMissesAFieldIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t, nil)
	s.define(`
triggers:
  field: {match: {type: x}, run: [{http: {url: "RECEIVER/${data.order.id}"}}]}
  secret: {match: {type: x}, run: [{http: {url: "RECEIVER/a", headers: {x-key: "${secret.nobody_set}"}}}]}
`, r)

	s.publish("x", "1", `{"order":{}}`)

	for trigger, name := range map[string]string{"field": "data.order.id", "secret": "nobody_set"} {
		run := s.run(s.await(trigger, "dead", 1)[0].ID)
		if len(run.Attempts) != 1 || !strings.Contains(run.Error, name) {
			t.Errorf("%s: %d attempts, %q", trigger, len(run.Attempts), run.Error)
		}
	}
	if calls := r.got(""); len(calls) != 0 {
		t.Errorf("the receiver was called: %+v", calls)
	}
}

func TestAnEventThatWentRoundTooOftenIsKeptAndMatchesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`triggers: {any: {match: {type: "*"}, run: [{log: {message: m}}]}}`)
	event := func(id string, hops int) *weir.Event {
		return &weir.Event{ID: id, Source: "/s", Type: "x", Hops: hops}
	}

	if _, err := s.Publish(context.WithoutCancel(t.Context()), event("tired", weir.MaxHops+1), event("fresh", weir.MaxHops)); err != nil {
		t.Fatal(err)
	}

	s.await("any", "succeeded", 1)
	if events := s.events(); len(events) != 2 {
		t.Errorf("%d events are kept, want both", len(events))
	}
	page, err := s.Refusals(t.Context(), client.RefusalFilter{}, client.Paging{})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != "tired" || page.Items[0].Field != "hops" {
		t.Errorf("refusals %+v, %v", page.Items, err)
	}
}

func TestARoundOfEmitsEndsAndIsListed(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`triggers: {round: {match: {type: x}, run: [{emit: {type: x}}]}}`)

	s.publish("x", "1", `{"n":1}`)

	s.await("round", "succeeded", weir.MaxHops+1)
	if events := s.events(); len(events) != weir.MaxHops+2 || events[0].Hops != weir.MaxHops+1 || string(events[0].Data) != `{"n":1}` {
		t.Errorf("%d events, the last after %d hops with %s", len(events), events[0].Hops, events[0].Data)
	}
	s.until("the refusal is listed", func() bool {
		page, err := s.Refusals(t.Context(), client.RefusalFilter{}, client.Paging{})
		return err == nil && len(page.Items) == 1 && page.Items[0].Door == "fold" && page.Items[0].Field == "hops"
	})
}

func TestAnUnknownProjectIsNotEntered(t *testing.T) {
	t.Parallel()
	s := start(t)
	other := &client.Client{URL: s.URL, Token: token, Project: "nowhere"}

	_, err := other.Events(t.Context(), client.EventFilter{}, client.Paging{})

	if e := asError(t, err); e.Code != weir.NotFound || !strings.Contains(e.Message, "nowhere") {
		t.Errorf("got %v", err)
	}
}
