package whole

import (
	"encoding/json"
	"strings"
	"testing"

	"weir"
	"weir/client"
)

// A project file that is turned away is answered with the path of its key, the
// place in the file, and changes nothing.
func TestABadProjectFileIsAnsweredWithItsKeyAndPlace(t *testing.T) {
	t.Parallel()
	s := start(t)
	const yaml = "application/yaml"
	for name, c := range map[string]struct {
		contentType, text string
		status            int
		field, detail     string // detail: how it begins
	}{
		"unknown key": {
			yaml, "triggers:\n  a: {match: {type: x}, runn: tell}\n",
			400, "triggers.a.runn", `weir.yaml:2:25: a trigger has no key "runn"`,
		},
		"CEL that does not compile": {
			yaml, "triggers:\n  a: {match: {type: x, where: data.n >}, run: [{log: {message: m}}]}\n",
			400, "triggers.a.match.where", "weir.yaml:2:39: ",
		},
		"missing pipeline": {
			yaml, "triggers:\n  a: {match: {type: x}, run: tell}\n",
			400, "triggers.a.run", `weir.yaml:2:30: there is no pipeline "tell"`,
		},
		"not YAML": {
			yaml, "triggers: {a: [}\n",
			400, "", "weir.yaml:1:",
		},
		"another content type": {
			"application/json", "{}",
			415, "", `content type "application/json" is not taken`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := s.post("/v1/apply", c.contentType, c.text)

			p := problem(t, answer)
			if status != c.status || p.Status != c.status || p.Code != weir.Invalid || p.Field != c.field || !strings.HasPrefix(p.Detail, c.detail) {
				t.Errorf("%d %s", status, answer)
			}
			if page, err := s.Definitions(t.Context(), weir.KindTrigger, client.Paging{}); err != nil || len(page.Items) != 0 {
				t.Errorf("in force: %+v, %v", page.Items, err)
			}
		})
	}
}

// What is meant for a project that is not there is kept in no other.
func TestAnEventForAnUnknownProjectIsListedAndNotKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish("before", "b", `{}`)

	status, answer := s.post("/v1/events?type=t", "application/json", `{}`, client.HeaderProject, "nowhere")

	p := problem(t, answer)
	if status != 404 || p.Code != weir.NotFound || p.Detail != `there is no project "nowhere"` {
		t.Errorf("%d %s", status, answer)
	}
	s.publish("after", "a", `{}`)
	if events := s.events(); len(events) != 2 || events[0].Type != "after" || events[1].Type != "before" {
		t.Errorf("%d events are kept, want the two good ones", len(events))
	}
	wantRefusal(t, s, "api", p)
}

// A criterion that costs too much costs its trigger the event, and nobody else.
func TestAnEventWhoseCriterionCostsTooMuchIsKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`triggers: {dear: {match: {type: x, where: 'data.a.all(x, data.a.all(y, x + y >= 0))'}, run: [{log: {message: m}}]}}`)

	receipt := s.publish("x", "1", `{"a":[`+strings.TrimSuffix(strings.Repeat("1,", 5000), ",")+`]}`)
	s.publish("x", "2", `{"a":[1]}`)

	run := s.await("dear", "succeeded", 1)[0]
	if e, err := s.Event(t.Context(), receipt.UID); err != nil || e.ID != "1" {
		t.Errorf("the event that cost too much: %+v, %v", e, err)
	}
	if shown := s.run(run.ID); len(shown.Events) != 1 || shown.Events[0] == receipt.UID {
		t.Errorf("the run has %v", shown.Events)
	}
	d, err := s.Definition(t.Context(), weir.KindTrigger, "dear")
	if err != nil || d.Counters["cost"] != 1 || d.Counters["matched"] != 1 {
		t.Errorf("counters %v, %v", d.Counters, err)
	}
}

func problem(t testing.TB, answer string) client.Problem {
	t.Helper()
	var p client.Problem
	if err := json.Unmarshal([]byte(answer), &p); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return p
}
