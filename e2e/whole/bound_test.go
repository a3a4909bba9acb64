package whole

import (
	"net/http"
	"strings"
	"testing"
)

// A step, or a whole try, that takes longer than it may is cut, and tried again
// where time-outs are.
func TestWhatTakesTooLongIsCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step, pipeline string
		tries          int
		says           string
	}{
		"a step":              {", timeout: 300ms", "retry: {attempts: 2, backoff: 1ms}", 2, "no answer in 300ms"},
		"a step, final":       {", timeout: 300ms", "retry: {attempts: 2, backoff: 1ms, on: [5xx]}", 1, "no answer in 300ms"},
		"a try":               {"", "timeout: 300ms, retry: {attempts: 2, backoff: 1ms}", 2, "the try took longer than 300ms"},
		"a try, final":        {"", "timeout: 300ms, retry: {attempts: 2, backoff: 1ms, on: [5xx]}", 1, "the try took longer than 300ms"},
		"the shorter of both": {", timeout: 10s", "timeout: 300ms, retry: none", 1, "the try took longer than 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			cut := make(chan struct{}, 10)
			r := receive(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
				if r.URL.Path == "/slow" {
					<-r.Context().Done()
					cut <- struct{}{}
				}
			})
			s.define(`
triggers: {one: {match: {type: x}, run: one}}
pipelines:
  one: {steps: [{http: {url: RECEIVER/quick}}, {http: {url: RECEIVER/slow`+c.step+`}}, {http: {url: RECEIVER/never}}], `+c.pipeline+`}
`, r)

			s.publish("x", "1", `{}`)

			run := s.run(s.await("one", "dead", 1)[0].ID)
			s.until("each request is cut", func() bool { return len(cut) == c.tries })
			if run.Tries != c.tries || !strings.Contains(run.Error, c.says) {
				t.Errorf("after %d tries it says %q", run.Tries, run.Error)
			}
			if len(r.got("/quick")) != 1 || len(r.got("/slow")) != c.tries || len(r.got("/never")) != 0 {
				t.Errorf("the receiver got %+v", r.got(""))
			}
		})
	}
}
