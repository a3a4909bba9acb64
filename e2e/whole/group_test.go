package whole

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/client"
)

// bakulaCase is a case of bakula_firing.json: containers registered for topics,
// events, and what the containers get.
type bakulaCase struct {
	ID            string
	Note          string
	Registrations []struct {
		Topic, Container   string
		Threshold, Timeout int
	}
	Steps []struct {
		Topic                 string
		Event                 string
		ExpectRuns            *int `json:"expect_runs"`
		ContainerStillRunning bool `json:"container_still_running"`
		ContainerExits        *int `json:"container_exits"`
	}
	Expect struct {
		Runs           json.RawMessage
		ConcurrentRuns int `json:"concurrent_runs"`
		Pending        *int
		PendingNames   map[string][]string `json:"pending_names"`
		PendingByTopic map[string]int      `json:"pending_by_topic"`
	}
}

// Bakula's threshold and time-out are fire.count and expire, both to one
// pipeline; a threshold of 0 or 1 is a trigger without groups. The container is
// played by a receiver. What needs a container itself (its inbox's file names,
// its exit code) is for the issue that runs containers.
func TestVectorBakulaFiring(t *testing.T) {
	t.Parallel()
	dir := "testdata"
	if other := os.Getenv("WEIR_VECTORS"); other != "" {
		dir = other
	}
	text, err := os.ReadFile(filepath.Join(dir, "bakula_firing.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []bakulaCase }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, c := range file.Cases {
		if why := c.needsContainer(); why != "" {
			t.Logf("seen: bakula_firing.json: %s is not for this issue: %s", c.ID, why)
			continue
		}
		played++
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			c.play(t)
		})
	}
	t.Logf("seen: bakula_firing.json: %d of %d cases played", played, len(file.Cases))
}

func (c *bakulaCase) needsContainer() string {
	if c.Expect.PendingNames != nil {
		return "names of files in an inbox"
	}
	for _, s := range c.Steps {
		if s.ContainerExits != nil {
			return "the exit code of a container"
		}
	}
	return ""
}

func (c *bakulaCase) project() string {
	var b strings.Builder
	b.WriteString("triggers:\n")
	for _, r := range c.Registrations {
		fmt.Fprintf(&b, "  %s:\n    match: {type: %s}\n    run: %s\n", r.Container, r.Topic, r.Container)
		if r.Threshold > 1 {
			fmt.Fprintf(&b, "    fire: [{count: %d}]\n    expire: opened + %ds\n    on_expire: %s\n", r.Threshold, r.Timeout, r.Container)
		}
	}
	b.WriteString("pipelines:\n")
	for _, r := range c.Registrations {
		fmt.Fprintf(&b, "  %s: {steps: [{http: {url: RECEIVER/%s}}]}\n", r.Container, r.Container)
	}
	return b.String()
}

func (c *bakulaCase) play(t *testing.T) {
	s := start(t)
	var hold chan struct{}
	container := receive(t, nil)
	if c.Expect.ConcurrentRuns > 0 {
		hold = make(chan struct{})
		container = holding(t, hold)
	}
	s.define(c.project(), container)
	for i, step := range c.Steps {
		switch {
		case step.Event != "":
			topic := step.Topic
			if topic == "" {
				topic = c.Registrations[0].Topic
			}
			s.publish(topic, fmt.Sprint(i), fmt.Sprintf("%q", step.Event))
		case step.ExpectRuns != nil:
			if got := len(s.runs(client.RunFilter{})); got != *step.ExpectRuns {
				t.Errorf("step %d: %d runs, want %d", i, got, *step.ExpectRuns)
			}
		}
	}
	if hold != nil {
		s.until("the runs go on at once", func() bool { return container.atOnce() == c.Expect.ConcurrentRuns })
		close(hold)
		return
	}
	c.check(t, s, container)
}

// check compares what each container got with what it should, and what waits.
func (c *bakulaCase) check(t *testing.T, s *server, container *receiver) {
	var want []struct {
		Container string
		Files     []string
	}
	if err := json.Unmarshal(c.Expect.Runs, &want); err != nil {
		t.Fatal(err)
	}
	s.until("all runs have ended", func() bool { return len(s.runs(client.RunFilter{State: "succeeded"})) >= len(want) })
	var got, wanted []string
	for _, r := range container.got("") {
		got = append(got, strings.TrimPrefix(r.path, "/")+" "+strings.Join(dataOf(t, r.body), " "))
	}
	for _, w := range want {
		wanted = append(wanted, w.Container+" "+strings.Join(w.Files, " "))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("containers got %q, want %q", got, wanted)
	}
	groups, err := s.Groups(t.Context(), client.GroupFilter{}, client.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Expect.Pending != nil && len(groups.Items) != *c.Expect.Pending {
		t.Errorf("%d groups wait, want %d", len(groups.Items), *c.Expect.Pending)
	}
	for topic, want := range c.Expect.PendingByTopic { // what nobody registered for is kept, and in no group
		events, err := s.Events(t.Context(), client.EventFilter{Type: topic}, client.Paging{})
		if err != nil || len(events.Items) != want || len(groups.Items) != 0 {
			t.Errorf("%d events of %s and %d groups are there, %v, want %d events", len(events.Items), topic, len(groups.Items), err, want)
		}
	}
}

// dataOf returns the data of the events in a request's body.
func dataOf(t *testing.T, body string) []string {
	t.Helper()
	type event struct{ Data string }
	var one event
	var many []event
	if err := json.Unmarshal([]byte(body), &many); err != nil {
		if err := json.Unmarshal([]byte(body), &one); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		many = []event{one}
	}
	var data []string
	for _, e := range many {
		data = append(data, e.Data)
	}
	return data
}

func TestAGroupThatExpiresRunsWithWhatItHas(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t, nil)
	s.define(`
triggers:
  batch: {match: [{type: photo}], fire: [{count: 1000}], expire: opened + 300ms, run: send, on_expire: send}
pipelines: {send: {steps: [{http: {url: RECEIVER/in}}]}}
`, r)

	for i := range 3 {
		s.publish("photo", fmt.Sprint(i), fmt.Sprintf(`"%d"`, i))
	}

	run := s.run(s.await("batch", "succeeded", 1)[0].ID)
	if run.Reason != "expired" || run.Count != 3 || len(run.Events) != 3 {
		t.Errorf("got %+v", run)
	}
	if calls := r.got("/in"); len(calls) != 1 || !slices.Equal(dataOf(t, calls[0].body), []string{"0", "1", "2"}) {
		t.Errorf("the receiver got %+v", calls)
	}
	if late := run.Made.Sub(weir.MadeAt(must(weir.ParseGroupID(run.Group)))); late < 300*time.Millisecond || late > 2*time.Second {
		t.Errorf("expired %v after it opened", late)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // ids that the server made
	}
	return v
}

func TestAFullGroupExpiresAsFull(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`
triggers:
  small:
    match: [{type: "*"}]
    fire: [{type: never}]
    expire: opened + 1h
    max_events: {limit: 3, then: fire}
    on_expire: [{log: {message: "${size(events)} events"}}]
`)
	for i := range 4 {
		s.publish("x", fmt.Sprint(i), `{}`)
	}

	run := s.run(s.await("small", "succeeded", 1)[0].ID)
	if run.Reason != "full" || run.Count != 3 || !strings.Contains(run.Attempts[0].Log, "3 events") {
		t.Errorf("got %+v", run)
	}
	groups, err := s.Groups(t.Context(), client.GroupFilter{Trigger: "small"}, client.Paging{})
	if err != nil || len(groups.Items) != 1 || groups.Items[0].Count != 1 {
		t.Errorf("the fourth event opened %+v, %v", groups.Items, err)
	}
}

func TestALateEventHasAGroupOfItsOwn(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`
triggers:
  hourly:
    match: [{type: x}]
    group_by: {k: data.k}
    fire: [{count: 2}]
    expire: last + 1h
    run: [{log: {message: m}}]
`)
	old := weir.TimeOf(time.Now().Add(-2 * time.Hour))
	for i, e := range []*weir.Event{{}, {Time: old}, {Time: old}} {
		e.ID, e.Source, e.Type, e.Data = fmt.Sprint(i), "/test", "x", []byte(`{"k":1}`)
		if _, err := s.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			// Without an open group the first old event would be late, too; with
			// one it is not: the group's newest event is of now.
			s.publish("x", "other key", `{"k":2}`)
		}
	}
	late := &weir.Event{ID: "late", Source: "/test", Type: "x", Time: old, Data: []byte(`{"k":3}`)}
	if _, err := s.Publish(t.Context(), late); err != nil {
		t.Fatal(err)
	}

	run := s.await("hourly", "succeeded", 1)[0]
	if run.Reason != "fired" || string(run.Key) != `{"k":1}` || run.Count != 2 {
		t.Errorf("got %+v", run)
	}
	groups, err := s.Groups(t.Context(), client.GroupFilter{}, client.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	state := map[string]bool{}
	for _, g := range groups.Items {
		state[string(g.Key)] = g.Late
	}
	if len(state) != 3 || state[`{"k":2}`] || !state[`{"k":3}`] || !state[`{"k":1}`] {
		t.Errorf("late groups by key: %v", state)
	}
}
