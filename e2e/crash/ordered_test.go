package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/client"
)

const (
	orderedKeys  = 50
	eventsPerKey = 20
	orderedSeed  = 3
)

// visit is a run of a key at the destinations: requests that no other run of the
// key interrupted.
type visit struct {
	n        int
	requests int
}

// sentry is both destinations of the ordered runs. It notes, by key, in which
// order the runs come, and whether they overlap.
type sentry struct {
	url [2]string

	mu     sync.Mutex // guards all below
	visits map[int][]visit
	open   map[int]int    // n of the request under way
	tries  map[string]int // requests by path, key and n
	faults []string
}

func newSentry(t *testing.T) *sentry {
	s := &sentry{visits: map[int][]visit{}, open: map[int]int{}, tries: map[string]int{}}
	for i := range s.url {
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		s.url[i] = server.URL
	}
	return s
}

// ServeHTTP takes a little while, fails one request in five, and every seventh
// run so often that it dies.
func (s *sentry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Data struct{ Key, N int } `json:"data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	fails := s.enter(r.URL.Path, event.Data.Key, event.Data.N)
	select {
	case <-time.After(time.Millisecond):
	case <-r.Context().Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, event.Data.Key)
	if fails {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (s *sentry) enter(path string, key, n int) (fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.open[key]; ok {
		s.faults = append(s.faults, fmt.Sprintf("key %d: a request of run %d while one of %d was under way", key, n, other))
	}
	s.open[key] = n
	visits := s.visits[key]
	if len(visits) == 0 || visits[len(visits)-1].n != n {
		visits = append(visits, visit{n: n})
	}
	visits[len(visits)-1].requests++
	s.visits[key] = visits
	id := fmt.Sprint(path, " ", key, " ", n)
	s.tries[id]++
	h := fnv.New32a()
	fmt.Fprint(h, orderedSeed, id, s.tries[id])
	return h.Sum32()%5 == 0 || (key+n)%7 == 0 && path == "/a" && s.tries[id] <= 3
}

// orderly is a load of ordered runs: where each of them has its place, by key.
type orderly struct {
	*server
	to     *sentry
	places map[int][]place
	events map[string]keyed // by uid
	made   int              // of each key
}

type keyed struct{ key, n int }

// place says when a run was made or redriven.
type place struct {
	seq weir.Seq
	n   int
}

// publish publishes the next event of every key.
func (o *orderly) publish(t *testing.T) {
	t.Helper()
	batch := make([]*weir.Event, orderedKeys)
	for key := range batch {
		data := fmt.Appendf(nil, `{"key":%d,"n":%d,"to":%q}`, key, o.made, o.to.url[1])
		batch[key] = &weir.Event{ID: fmt.Sprint(key, ".", o.made), Source: source, Type: "step", Data: data}
	}
	receipts, err := o.Publish(t.Context(), batch...)
	if err != nil {
		t.Fatal(err)
	}
	for key, r := range receipts {
		o.places[key] = append(o.places[key], place{r.Seq, o.made})
		o.events[r.UID] = keyed{key, o.made}
	}
	o.made++
}

// redrive redrives what is dead.
func (o *orderly) redrive(ctx context.Context, t *testing.T) int {
	t.Helper()
	page, err := o.Runs(ctx, client.RunFilter{State: "dead"}, client.Paging{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range page.Items {
		id := page.Items[i].ID
		done, err := o.Redrive(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := o.Run(ctx, id)
		if err != nil || len(shown.Events) != 1 {
			t.Fatalf("a run of %d events, %v", len(shown.Events), err)
		}
		e := o.events[shown.Events[0]]
		o.places[e.key] = append(o.places[e.key], place{done.Seq, e.n})
	}
	return len(page.Items)
}

func TestRunsOfAKeyActInOrderOverFailuresHoldsRedrivesAndAKill(t *testing.T) {
	t.Parallel()
	o := &orderly{server: newServer(t), to: newSentry(t), places: map[int][]place{}, events: map[string]keyed{}}
	o.start(t)
	o.apply(t, fmt.Sprintf(`
triggers: {steps: {match: {type: step}, run: walk}}
pipelines:
  walk:
    steps: [{http: {url: %s/a}}, {http: {url: "${data.to}/b"}}]
    concurrency: {per: data.key, ordered: true}
    retry: {attempts: 3, backoff: 5ms}
destinations: {"%s": {limit: 2}}
`, o.to.url[0], o.to.url[1]))

	redriven := 0
	for o.made < eventsPerKey {
		o.publish(t)
		if o.made == eventsPerKey/2 {
			o.process.kill()
			o.start(t)
		}
		redriven += o.redrive(t.Context(), t)
	}
	for more := 1; more > 0; redriven += more {
		o.settle(t.Context(), t)
		more = o.redrive(t.Context(), t)
	}

	o.check(t, redriven)
}

// check compares what came with the places of the runs: each run comes as often
// as it has places, in the order of those, and never in the middle of another.
func (o *orderly) check(t *testing.T, redriven int) {
	t.Helper()
	for _, fault := range o.to.faults {
		t.Error(fault)
	}
	requests := 0
	for key := range orderedKeys {
		places := o.places[key]
		slices.SortFunc(places, func(a, b place) int { return int(a.seq) - int(b.seq) })
		var want, got []int
		for _, p := range places {
			if len(want) == 0 || want[len(want)-1] != p.n { // one that comes twice in a row
				want = append(want, p.n)
			}
		}
		for _, v := range o.to.visits[key] {
			got = append(got, v.n)
			requests += v.requests
		}
		if !slices.Equal(want, got) {
			t.Errorf("key %d: runs came in the order %v, want %v", key, got, want)
		}
	}
	held := o.heldOnce(t)
	t.Logf("%d runs, %d requests, %d redrives, at least %d held", orderedKeys*eventsPerKey, requests, redriven, held)
	if redriven < orderedKeys || held == 0 || requests < 5*orderedKeys*eventsPerKey/2 {
		t.Errorf("%d redrives, %d runs held, %d requests: too little happened", redriven, held, requests)
	}
}

// heldOnce counts the runs among the newest that were held.
func (o *orderly) heldOnce(t *testing.T) (held int) {
	t.Helper()
	page, err := o.Runs(t.Context(), client.RunFilter{}, client.Paging{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for i := range page.Items {
		run, err := o.Run(t.Context(), page.Items[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		var outcomes []string
		for _, a := range run.Attempts {
			outcomes = append(outcomes, a.Outcome)
		}
		if strings.Contains(strings.Join(outcomes, " "), "held") {
			held++
		}
	}
	return held
}
