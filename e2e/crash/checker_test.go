package crash

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/client"
)

// honest is what would be seen if everything went as it must.
func honest(p *plan) *seen {
	s := &seen{acked: map[string]string{}, kills: 2}
	for _, events := range p.publishers {
		for _, e := range events {
			uid := "evt_" + e.ID
			s.acked[e.ID] = uid
			s.events = append(s.events, client.Event{Event: *e, UID: uid})
		}
	}
	for i, f := range p.firings {
		id := weir.RunID{byte(i >> 8), byte(i), 1}
		run := client.Run{ID: id.String(), Trigger: f.trigger, State: "succeeded"}
		for _, member := range f.members {
			run.Events = append(run.Events, s.acked[member])
		}
		s.runs = append(s.runs, run)
		for n, path := range f.steps {
			s.calls = append(s.calls, call{path: path, key: fmt.Sprintf("%s.%d", run.ID, n), members: f.members})
		}
		if f.emits {
			e := client.Event{Event: weir.Event{ID: "2.0", Source: "/runs/" + run.ID, Type: gathered, Cause: id}, UID: "evt_of_" + run.ID}
			s.events = append(s.events, e)
			s.runs = append(s.runs, client.Run{ID: "run_of_" + e.UID, Trigger: "told", State: "succeeded", Events: []string{e.UID}})
		}
	}
	return s
}

func TestTheCheckerBites(t *testing.T) {
	t.Parallel()
	p := newPlan(1, shape{publishers: 2, single: 6, gatherings: []gathering{{"few", 3, 3, 2}}})
	if wrong := p.check(honest(p)); len(wrong) > 0 {
		t.Fatalf("of what is right, it says:\n%s", strings.Join(wrong, "\n"))
	}
	isOf := func(trigger string) func(client.Run) bool {
		return func(r client.Run) bool { return r.Trigger == trigger }
	}
	few := func(s *seen) *client.Run { return &s.runs[slices.IndexFunc(s.runs, isOf("few"))] }
	second := func(s *seen) int { return slices.IndexFunc(s.calls, func(c call) bool { return c.path == "/second" }) }
	emitted := func(s *seen) int {
		return slices.IndexFunc(s.events, func(e client.Event) bool { return e.Type == gathered })
	}
	for name, lie := range map[string]struct {
		tell func(s *seen)
		want string // in one of the findings
	}{
		"an acknowledged event is lost":     {func(s *seen) { s.events = s.events[1:] }, "is lost"},
		"an event is there twice":           {func(s *seen) { s.events = append(s.events, s.events[0]) }, "is there 2 times"},
		"an event has another uid":          {func(s *seen) { s.events[0].UID = "evt_other" }, "is there as evt_other"},
		"an event's data is another":        {func(s *seen) { s.events[0].Data = []byte("{}") }, "not as it was sent"},
		"an event has no acknowledgement":   {func(s *seen) { delete(s.acked, s.events[0].ID) }, "never acknowledged"},
		"an event comes from nowhere":       {func(s *seen) { s.events = append(s.events, foreign()) }, "sent by nobody"},
		"a run is missing":                  {func(s *seen) { s.runs = s.runs[1:] }, "has 0 runs"},
		"a run is doubled":                  {func(s *seen) { s.runs = append(s.runs, *few(s)) }, "has 2 runs"},
		"a member is missing":               {func(s *seen) { few(s).Events = few(s).Events[1:] }, "belongs to no firing"},
		"a member is there twice":           {func(s *seen) { few(s).Events[0] = few(s).Events[1] }, "belongs to no firing"},
		"two members changed places":        {func(s *seen) { slices.Reverse(few(s).Events) }, "belongs to no firing"},
		"a run is of another trigger":       {func(s *seen) { few(s).Trigger = "single" }, "belongs to no firing"},
		"a run has not ended":               {func(s *seen) { few(s).State = "pending" }, "is pending"},
		"a run is dead":                     {func(s *seen) { few(s).State = "dead" }, "is dead"},
		"an effect is missing":              {func(s *seen) { s.calls = s.calls[1:] }, "had no effect"},
		"an effect was only refused":        {func(s *seen) { s.calls[0].refused = true }, "had no effect"},
		"an effect has a second key":        {func(s *seen) { s.calls = append(s.calls, rekeyed(s.calls[0])) }, "had 2 keys"},
		"an effect has no key":              {func(s *seen) { s.calls[0].key = "" }, "had 1 keys"},
		"two firings share a key":           {func(s *seen) { s.calls[0].key = s.calls[1].key }, "had the same key"},
		"two steps share a key":             {func(s *seen) { i := second(s); s.calls[i].key = s.calls[i-1].key }, "had the same key"},
		"an effect was repeated for no one": {func(s *seen) { s.calls = append(s.calls, slices.Repeat(s.calls[:1], 3)...) }, "came 4 times"},
		"an effect has a member too few":    {func(s *seen) { i := second(s); s.calls[i].members = s.calls[i].members[1:] }, "no firing's"},
		"an emitted event is missing":       {func(s *seen) { i := emitted(s); s.events = slices.Delete(s.events, i, i+1) }, "emitted 0 events"},
		"an emitted event is doubled":       {func(s *seen) { s.events = append(s.events, s.events[emitted(s)]) }, "emitted 2 events"},
		"an emitted event made no run":      {func(s *seen) { s.runs = slices.DeleteFunc(s.runs, isOf("told")) }, "made 0 runs"},
		"an emitted event made two runs":    {func(s *seen) { s.runs = append(s.runs, s.runs[slices.IndexFunc(s.runs, isOf("told"))]) }, "made 2 runs"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := honest(p)
			lie.tell(s)
			wrong := p.check(s)
			if !slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, lie.want) }) {
				t.Errorf("nothing says %q:\n%s", lie.want, strings.Join(wrong, "\n"))
			}
		})
	}
}

func foreign() client.Event {
	return client.Event{Event: weir.Event{ID: "nobody's", Source: source}, UID: "evt_nobodys"}
}

func rekeyed(c call) call {
	c.key += "x"
	return c
}

func TestAnswersThatContradictEachOtherAreSeen(t *testing.T) {
	t.Parallel()
	e := &weir.Event{ID: "a"}
	first := client.Receipt{ID: "a", UID: "evt_1"}
	for name, answers := range map[string][]client.Receipt{
		"accepted twice":             {first, first},
		"a duplicate of another uid": {first, {ID: "a", UID: "evt_2", Duplicate: true}},
		"a duplicate of nothing":     {{ID: "a", UID: "evt_1", Duplicate: true}},
		"another id":                 {{ID: "b", UID: "evt_1"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			p := publisher{acks: newAcks()}
			for _, r := range answers {
				p.take([]*weir.Event{e}, []client.Receipt{r}, 1)
			}
			if len(p.acks.wrong) != 1 {
				t.Errorf("findings: %q, want one", p.acks.wrong)
			}
		})
	}
}
