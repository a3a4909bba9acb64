package whole

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"weir"
	"weir/client"
	"weir/internal/config"
)

func TestARestartKeepsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	mended := false
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		mu.Lock()
		defer mu.Unlock()
		if !mended && r.URL.Path != "/ok" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	first := startIn(t, dir, func(*config.Config) {})
	if err := first.SetSecret(t.Context(), "key", "v"); err != nil {
		t.Fatal(err)
	}
	first.define(`
triggers:
  group: {match: [{type: g}], group_by: {k: data.k}, fire: [{count: 3}], expire: opened + 1h, run: ok}
  wait: {match: {type: w}, run: wait}
  die: {match: {type: d}, run: die}
pipelines:
  ok: {steps: [{http: {url: RECEIVER/ok, headers: {x-key: "${secret.key}"}}}]}
  wait: {steps: [{http: {url: RECEIVER/wait}}], retry: {attempts: 5, backoff: 1h, max: 2h}}
  die: {steps: [{http: {url: RECEIVER/die}}], retry: {attempts: 1}}
`, r)
	first.publish("g", "1", `{"k":1}`)
	first.publish("g", "2", `{"k":1}`)
	first.publish("w", "3", `{}`)
	first.publish("d", "4", `{}`)
	dead := first.await("die", "dead", 1)[0]
	first.until("the run waits for its second try", func() bool {
		runs := first.runs(client.RunFilter{Trigger: "wait", State: "pending"})
		return len(runs) == 1 && runs[0].Tries == 1
	})
	waiting := first.run(first.runs(client.RunFilter{Trigger: "wait"})[0].ID)
	first.stop()

	second := startIn(t, dir, func(*config.Config) {})

	if again := second.run(waiting.ID); again.Due != waiting.Due || again.Tries != 1 || again.State != "pending" {
		t.Errorf("the waiting run was %+v and is %+v", waiting, again)
	}
	groups, err := second.Groups(t.Context(), client.GroupFilter{}, client.Paging{})
	if err != nil || len(groups.Items) != 1 || groups.Items[0].Count != 2 || groups.Items[0].Criteria[0].Have != 2 {
		t.Errorf("groups %+v, %v", groups.Items, err)
	}
	second.publish("g", "5", `{"k":1}`)
	if fired := second.run(second.await("group", "succeeded", 1)[0].ID); fired.Count != 3 || len(fired.Events) != 3 {
		t.Errorf("the group fired as %+v", fired)
	}
	if receipt := second.publish("g", "1", `{"k":1}`); !receipt.Duplicate {
		t.Error("an event of before the restart is taken twice")
	}
	mu.Lock()
	mended = true
	mu.Unlock()
	if _, err := second.Redrive(t.Context(), dead.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Retry(t.Context(), waiting.ID); err != nil {
		t.Fatal(err)
	}
	second.await("die", "succeeded", 1)
	second.await("wait", "succeeded", 1)
}

func TestARunKeepsTheVersionThatItStartedWith(t *testing.T) {
	t.Parallel()
	s := start(t)
	hold := make(chan struct{})
	r := holding(t, hold)
	project := func(path string) string {
		return `
triggers: {one: {match: {type: x}, run: one}}
pipelines: {one: {steps: [{http: {url: RECEIVER/first}}, {http: {url: RECEIVER/` + path + `}}]}}
`
	}
	s.define(project("old"), r)
	s.publish("x", "1", `{}`)
	s.until("the first step is under way", func() bool { return len(r.got("/first")) == 1 })

	s.define(project("new"), r)
	close(hold)

	s.await("one", "succeeded", 1)
	if len(r.got("/old")) != 1 || len(r.got("/new")) != 0 {
		t.Errorf("the receiver got %+v", r.got(""))
	}
	s.publish("x", "2", `{}`)
	s.await("one", "succeeded", 2)
	if len(r.got("/new")) != 1 {
		t.Errorf("the receiver got %+v", r.got(""))
	}
}

func TestGroupsAreTakenOverByAVersionOfTheSameShape(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changed string
		groups  int // open ones after the second event
	}{
		"same shape":  {"match: [{type: x}], fire: [{count: 3}], expire: opened + 2h", 1},
		"other shape": {"match: [{type: x}], fire: [{count: 4}], expire: opened + 1h", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.define("triggers: {g: {match: [{type: x}], fire: [{count: 3}], expire: opened + 1h}}")
			s.publish("x", "1", `{}`)

			s.define("triggers: {g: {" + c.changed + "}}")
			s.publish("x", "2", `{}`)

			groups, err := s.Groups(t.Context(), client.GroupFilter{}, client.Paging{})
			if err != nil || len(groups.Items) != c.groups {
				t.Errorf("%d groups, %v, want %d", len(groups.Items), err, c.groups)
			}
		})
	}
}

func TestAppliesThatRaceAllHold(t *testing.T) {
	t.Parallel()
	s := start(t)
	const applies = 5
	errs := make(chan error, applies)
	for i := range applies {
		go func() {
			_, err := s.Apply(t.Context(), client.File{
				Name: "weir.yaml", Text: fmt.Appendf(nil, "triggers: {t%d: {match: {type: x}, run: [{log: {message: m}}]}}", i),
			})
			errs <- err
		}()
	}
	held := 0
	for range applies {
		if err := <-errs; err == nil {
			held++
		} else if weir.CodeOf(err) != weir.Conflict {
			t.Error(err)
		}
	}
	page, err := s.Definitions(t.Context(), weir.KindTrigger, client.Paging{})
	if err != nil || len(page.Items) != held || held == 0 {
		t.Errorf("%d applies were answered, %d triggers are in force, %v", held, len(page.Items), err)
	}

	_, err = s.Apply(t.Context(), client.File{Name: "weir.yaml", Text: []byte("triggers: {}"), Expect: 1_000})

	if weir.CodeOf(err) != weir.Conflict {
		t.Errorf("an apply that expects another revision: %v", err)
	}
}

func TestPagesDoNotShiftWhileEventsCome(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 25 {
		s.publish("x", strconv.Itoa(i), `{}`)
	}
	seen := map[string]int{}
	for p := (client.Paging{Limit: 10}); ; {
		page, err := s.Events(t.Context(), client.EventFilter{Type: "x"}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			seen[e.ID]++
		}
		s.publish("x", fmt.Sprintf("new %d", len(seen)), `{}`)
		if p.After = page.Next; p.After == "" {
			break
		}
	}
	for i := range 25 {
		if seen[strconv.Itoa(i)] != 1 {
			t.Errorf("event %d was shown %d times", i, seen[strconv.Itoa(i)])
		}
	}
	if len(seen) != 25 {
		t.Errorf("%d events were shown, want the 25 that were there", len(seen))
	}
}

func TestAServerRefusesADirectoryThatIsInUse(t *testing.T) {
	t.Parallel()
	s := start(t)

	err := openOnly(t, s.dir)

	if err == nil || weir.CodeOf(err) == weir.Internal {
		t.Errorf("got %v, want an error that says what is wrong", err)
	}
}
