package work

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/step"
)

// counter is a destination that counts, by key, the requests that had their
// effect. It answers with what it got.
type counter struct {
	*httptest.Server
	mu      sync.Mutex
	answer  func(key string) int // status; 0 breaks the connection off; nil is 200
	effects map[string]int
	order   []string // keys
	bodies  []string
}

func newCounter(t testing.TB, answer func(key string) int) *counter {
	c := &counter{answer: answer, effects: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key := r.Header.Get("Idempotency-Key")
		c.mu.Lock()
		defer c.mu.Unlock()
		status := 200
		if c.answer != nil {
			status = c.answer(key)
		}
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		if status == 200 {
			c.effects[key]++
			c.order = append(c.order, key)
			c.bodies = append(c.bodies, string(body))
		}
		w.WriteHeader(status)
		w.Write(body)
	}))
	t.Cleanup(c.Close)
	return c
}

// keys returns those of the requests that had their effect, in order; got is
// what they held, and times how often each key had its effect.
func (c *counter) keys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.order)
}

func (c *counter) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bodies)
}

func (c *counter) times() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.effects)
}

// once fails the first request of a key with a status.
func once(keyEnd string, status int) func(string) int {
	return func(key string) int {
		if strings.HasSuffix(key, keyEnd) && status > 0 {
			defer func() { status = 0 }()
			return status
		}
		return 200
	}
}

func eachStep(def weir.HTTPStep) weir.Step {
	def.Each = true
	if def.Body == nil {
		def.Body = json.RawMessage(`{"n":"${data.n}"}`)
	}
	return weir.Step{HTTP: &def}
}

func TestRetryOfEachGoesOnAfterTheEventsThatHadTheirEffect(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	c := newCounter(t, once(".0.2", 500))
	run := b.run(`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`, `{"n":5}`)
	p := steps(eachStep(weir.HTTPStep{URL: c.URL, Response: "emit", EmitType: "done.${data.n}"}), logStep("last ${result[4].n}"))

	_, first := b.try(run, p)
	_, second := b.try(folded(run, first[0]), p)

	id := run.ID.String()
	want := []string{id + ".0.0", id + ".0.1", id + ".0.2", id + ".0.3", id + ".0.4"}
	if diff := cmp.Diff(want, c.keys()); diff != "" {
		t.Error(diff)
	}
	s := first[0].Attempt.Steps[0]
	if first[0].Kind != weir.Retrying || s.Finished || s.Acted != 2 || s.Emitted != 2 || string(s.Output) != `[{"n":1},{"n":2}]` {
		t.Errorf("first: %+v, %s", s, s.Output)
	}
	if !strings.HasPrefix(s.Detail, "2 of 5 events; POST http://") || !strings.HasPrefix(first[0].Error, "event 3 of 5: POST http://") {
		t.Errorf("detail %q, error %q", s.Detail, first[0].Error)
	}
	s = second[0].Attempt.Steps[0]
	if second[0].Kind != weir.Succeeded || !s.Finished || s.Acted != 5 || s.Emitted != 3 || string(s.Output) != `[{"n":1},{"n":2},{"n":3},{"n":4},{"n":5}]` {
		t.Errorf("second: %+v, %s", s, s.Output)
	}
	if !strings.Contains(second[0].Attempt.Log, "last 5\n") {
		t.Errorf("log %s", second[0].Attempt.Log)
	}
	var emitted []string
	for _, e := range b.journal.emitted(5) {
		emitted = append(emitted, e.ID+" "+e.Type)
	}
	if diff := cmp.Diff([]string{"0.0 done.1", "0.1 done.2", "0.2 done.3", "0.3 done.4", "0.4 done.5"}, emitted); diff != "" {
		t.Error(diff)
	}
}

func TestPlacesOfEachAreThoseOfTheRunsBatchAlsoBehindAFilter(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	c := newCounter(t, once(".1.3", 503))
	run := b.run(`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`)
	// Which events are left may even differ between tries.
	p := steps(filterStep("data.n % 2 == 0 || run.try > 1"), eachStep(weir.HTTPStep{URL: c.URL}))

	_, changes := b.try(run, p)
	_, changes = b.try(folded(run, changes[0]), p)

	id := run.ID.String()
	if diff := cmp.Diff([]string{id + ".1.1", id + ".1.2", id + ".1.3"}, c.keys()); diff != "" {
		t.Error(diff)
	}
	if s := changes[0].Attempt.Steps[1]; s.Acted != 4 || !s.Finished {
		t.Errorf("got %+v", s)
	}
}

func TestEachIsHeldBeforeAShutGateWithWhatItHasDone(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	a, z := newCounter(t, nil), newCounter(t, nil)
	b.gate.shut[z.URL] = true
	run := b.run(`{"n":1,"to":"`+a.URL+`"}`, `{"n":2,"to":"`+a.URL+`"}`, `{"n":3,"to":"`+z.URL+`"}`)
	p := steps(eachStep(weir.HTTPStep{URL: "${data.to}/x"}))

	verdict, changes := b.try(run, p)

	c := changes[0]
	if c.Kind != weir.Held || c.Origin != z.URL || c.Attempt.Try != 1 || c.Attempt.Steps[0].Acted != 2 || c.Attempt.Steps[0].Finished {
		t.Errorf("got %+v, %+v", c, c.Attempt)
	}
	if verdict != weir.Unasked || len(a.keys()) != 2 {
		t.Errorf("verdict %d, requests %v", verdict, a.keys())
	}
	b.gate.shut[z.URL] = false
	if _, changes = b.try(folded(run, c), p); changes[0].Kind != weir.Succeeded || len(a.keys()) != 2 || len(z.keys()) != 1 {
		t.Errorf("then %+v: %v, %v", changes[0], a.keys(), z.keys())
	}
}

func TestEachThatIsStoppedKeepsWhatItHasDone(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(b *bench, run weir.RunID){
		"cancelled": func(b *bench, run weir.RunID) { b.Cancel(run) },
		"too long":  func(*bench, weir.RunID) {},
		"stopping":  func(b *bench, _ weir.RunID) { go b.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{Grace: 10 * time.Millisecond})
			a := newCounter(t, nil)
			begun, end := make(chan struct{}, 1), make(chan struct{})
			t.Cleanup(func() { close(end) })
			hang := newSignalling(t, begun, end)
			run := b.run(`{"n":1,"to":"`+a.URL+`"}`, `{"n":2,"to":"`+hang+`"}`, `{"n":3,"to":"`+a.URL+`"}`)
			p := steps(eachStep(weir.HTTPStep{URL: "${data.to}/x"}))
			if name == "too long" {
				p.Timeout = weir.Duration(200 * time.Millisecond)
			}
			before := len(b.journal.changes())

			b.Take([]weir.Lease{lease(run, p)})
			<-begun
			stop(b, run.ID)
			<-b.gate.ended

			c := b.journal.changes()[before]
			want := map[string]weir.ChangeKind{"cancelled": weir.Stale, "too long": weir.Retrying, "stopping": weir.Held}[name]
			if s := c.Attempt.Steps[0]; c.Kind != want || s.Acted != 1 || s.Finished || string(s.Output) != `[{"n":1}]` || s.Error == "" {
				t.Errorf("got %v, %+v", c.Kind, s)
			}
		})
	}
}

func TestLogEachWritesALinePerEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	run := b.run(`{"n":1}`, `{"n":2}`)

	_, changes := b.try(run, steps(weir.Step{Log: &weir.LogStep{Message: "n is ${data.n}", Each: true}}))

	a := changes[0].Attempt
	if s := a.Steps[0]; changes[0].Kind != weir.Succeeded || s.Output != nil || s.Detail != "2 of 2 events" {
		t.Errorf("got %+v", s)
	}
	if !strings.Contains(a.Log, "info n is 1\n") || !strings.Contains(a.Log, "info n is 2\n") {
		t.Errorf("log %s", a.Log)
	}
}

func TestOutputsOfEachAreBounded(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return fmt.Sprintf(`{"n":"%d%s"}`, n, strings.Repeat("x", 300)) }
	limits := step.DefaultLimits()
	limits.Output = 700
	b := newBench(t, Options{Limits: limits})
	run := b.run(long(1), long(2), long(3))

	_, changes := b.try(run, steps(eachStep(weir.HTTPStep{URL: newCounter(t, nil).URL})))

	s := changes[0].Attempt.Steps[0]
	var items []any
	if err := json.Unmarshal(s.Output, &items); err != nil || len(items) != 3 || items[1] == nil || items[2] != nil {
		t.Errorf("output %s", s.Output)
	}
	if !s.Finished || !strings.HasSuffix(s.Detail, "; of the answers only 700 bytes are kept") {
		t.Errorf("got %+v", s)
	}
	run.Firing.PipeRev++
	run.N = 1
	_, changes = b.try(run, steps(eachStep(weir.HTTPStep{URL: newCounter(t, nil).URL, Response: "replace"})))
	if c := changes[0]; c.Kind != weir.Died || c.Error != "event 3 of 3: the answers are over 700 bytes long in all" || c.Attempt.Steps[0].Acted != 2 {
		t.Errorf("replace: got %+v", c)
	}
}

func TestEmittedDataOfEachIsBounded(t *testing.T) {
	t.Parallel()
	limits := step.DefaultLimits()
	limits.Emitted = 20
	b := newBench(t, Options{Limits: limits})

	_, changes := b.try(b.run(`{"n":1}`, `{"n":2}`, `{"n":3}`), steps(eachStep(weir.HTTPStep{
		URL: newCounter(t, nil).URL, Response: "emit", EmitType: "done",
	})))

	c := changes[0]
	if c.Kind != weir.Died || !strings.Contains(c.Error, "event 3 of 3: the events of this step are over 20 bytes") || c.Attempt.Steps[0].Emitted != 2 {
		t.Errorf("got %+v", c)
	}
}

func TestAnswerReplacesTheBatchAlsoInLaterTries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		each  bool
		body  string
		kinds []string // of what the next step gets
	}{
		"each":             {true, `{"n":"${data.n * 10}"}`, []string{`{"n":10}`, `{"n":20}`}},
		"the data of each": {false, `[{"n":7},{"n":8}]`, []string{`{"n":7}`, `{"n":8}`}},
		"another batch": {
			false, `[{"specversion":"1.0","id":"1","source":"/x","type":"new","data":{"n":9}}]`, []string{`{"n":9}`},
		},
		"nothing": {false, `[]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{})
			first, last := newCounter(t, nil), newCounter(t, once(".1.0", 500))
			run := b.run(`{"n":1}`, `{"n":2}`)
			p := steps(
				weir.Step{HTTP: &weir.HTTPStep{URL: first.URL, Each: c.each, Response: "replace", Body: json.RawMessage(c.body)}},
				eachStep(weir.HTTPStep{URL: last.URL}),
			)

			var changes []*weir.Change
			for tries := 0; run.N == 0 || changes[0].Kind == weir.Retrying; tries++ {
				_, changes = b.try(run, p)
				run = folded(run, changes[0])
				if tries > 3 {
					t.Fatal("does not end")
				}
			}

			if changes[0].Kind != weir.Succeeded {
				t.Errorf("got %+v", changes[0])
			}
			if diff := cmp.Diff(c.kinds, last.got()); diff != "" {
				t.Error(diff)
			}
			if n := len(first.keys()); n > 2 || !c.each && n != 1 {
				t.Errorf("%d requests of the first step", n)
			}
		})
	}
}

func TestAnswerThatCannotReplaceTheBatchKillsTheRun(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"n":1}`:                         "the answer: one value cannot replace 2 events: answer an array, or say each: true",
		`[{"n":1}]`:                       "the answer: 1 answers cannot replace 2 events",
		`[1,2]`:                           "the answer: item 0: is not an object",
		`[{"specversion":"1.0"},{"n":1}]`: "the answer: 1 of 2 items are CloudEvents: all or none must be",
		`[{"specversion":"1.0","id":"1","source":"/s","type":"t","at":"x"}]`:          "the answer: item 0: at: is reserved: only Weir sets it",
		`[{"specversion":"0.3","id":"1","source":"/s","type":"t"}]`:                   `the answer: item 0: specversion: "0.3" is not 1.0`,
		`[{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"x"}]`:        "the answer: item 0: time: ",
		`[{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"?"}]`: "the answer: item 0: data_base64: ",
		`[{"specversion":"1.0","id":1,"source":"/s","type":"t"}]`:                     "the answer: item 0: id: is not a string",
	} {
		b := newBench(t, Options{})
		p := steps(weir.Step{HTTP: &weir.HTTPStep{URL: newCounter(t, nil).URL, Response: "replace", Body: json.RawMessage(body)}})

		_, changes := b.try(b.run(`{"n":1}`, `{"n":2}`), p)

		if c := changes[0]; c.Kind != weir.Died || !strings.HasPrefix(c.Error, want) {
			t.Errorf("%s: got %q", body, c.Error)
		}
	}
}

func TestSecretsAreMaskedInWhatAnAnswerBecomes(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Secrets: vault{"tok": "hunter2"}})
	echo := newCounter(t, nil)
	body := json.RawMessage(`{"n":"${secret.tok}"}`)

	_, changes := b.try(b.run(`{"n":1}`), steps(
		eachStep(weir.HTTPStep{URL: echo.URL, Body: body, Response: "emit", EmitType: "done"}),
		weir.Step{HTTP: &weir.HTTPStep{URL: echo.URL, Body: body, Response: "replace"}},
		logStep("${data.n}"),
	))

	if e := b.journal.emitted(1)[0]; string(e.Data) != `{"n":"***"}` {
		t.Errorf("emitted %s", e.Data)
	}
	for _, s := range changes[0].Attempt.Steps {
		if strings.Contains(string(s.Output), "hunter2") {
			t.Errorf("output %s", s.Output)
		}
	}
	if strings.Contains(changes[0].Attempt.Log, "hunter2") {
		t.Errorf("log %s", changes[0].Attempt.Log)
	}
}

// TestEveryEventOfEachHasItsEffectWhateverHappensBetween draws failures, shut
// gates and lost tries. The receiver gets each event under one key, once where
// no try was lost.
func TestEveryEventOfEachHasItsEffectWhateverHappensBetween(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "events")
		statuses := rapid.SliceOfN(rapid.SampledFrom([]int{200, 200, 200, 500, 503, 0}), 0, 20).Draw(rt, "statuses") // then 200
		var mu sync.Mutex
		answer := func(string) (status int) {
			mu.Lock()
			defer mu.Unlock()
			if len(statuses) == 0 {
				return 200
			}
			status, statuses = statuses[0], statuses[1:]
			return status
		}
		receivers := []*counter{newCounter(t, answer), newCounter(t, answer)}
		defer receivers[0].Close()
		defer receivers[1].Close()
		b := newBench(t, Options{})
		defer b.stop()
		var data, want []string
		for i := range n {
			left := rapid.Bool().Draw(rt, "left by the filter") || i == 0
			data = append(data, fmt.Sprintf(`{"n":%d,"left":%v,"to":"%s"}`, i, left, receivers[rapid.IntRange(0, 1).Draw(rt, "to")].URL))
			if left {
				want = append(want, fmt.Sprintf("1.%d", i))
			}
		}
		run := b.run(data...)
		p := steps(filterStep("data.left"), eachStep(weir.HTTPStep{URL: "${data.to}/", Response: "emit", EmitType: "done"}))
		p.Retry.Attempts = 1000
		p.Retry.On = []string{"connect", "5xx"}
		lost := false

		var last *weir.Change
		for try := 0; last == nil || last.Kind != weir.Succeeded; try++ {
			calm := try > 20
			for _, r := range receivers {
				b.gate.shut[r.URL] = !calm && rapid.IntRange(0, 3).Draw(rt, "shut") == 0
			}
			_, changes := b.try(run, p)
			last = changes[0]
			if !calm && rapid.IntRange(0, 5).Draw(rt, "lost") == 0 {
				lost, run.N, run.Tries, last = true, last.N, run.Tries+1, nil
				continue
			}
			run = folded(run, last)
			run.Lane.Origin = last.Origin
			if try > 50 {
				rt.Fatalf("does not end: %+v", last)
			}
		}

		var got []string
		for _, r := range receivers {
			for key, effects := range r.times() {
				got = append(got, strings.TrimPrefix(key, run.ID.String()+"."))
				if effects > 1 && !lost {
					rt.Errorf("%s: %d effects", key, effects)
				}
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Error(diff)
		}
		if s := last.Attempt.Steps[1]; s.Acted == 0 || strings.Count(string(s.Output), `"n"`) != len(want) {
			rt.Errorf("outcome %+v, %s", s, s.Output)
		}
		if emitted := b.journal.emitted(n); !lost && len(emitted) != len(want) {
			rt.Errorf("%d events emitted, want %d", len(emitted), len(want))
		}
	})
}
