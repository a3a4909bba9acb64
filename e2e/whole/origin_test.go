package whole

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/client"
)

// A run that comes to a shut gate waits in the lane of that gate: it is held
// once, not tried again and again, also where only rendering tells the origin.
func TestARunIsHeldOnceForAnOriginAndThenWaitsInItsLane(t *testing.T) {
	t.Parallel()
	const events, limit = 24, 2
	for name, steps := range map[string]string{
		"told by rendering":     `[{http: {url: "${data.url}/in"}}]`,
		"of a second step":      `[{http: {url: OTHER/first}}, {http: {url: RECEIVER/in}}]`,
		"of both, by rendering": `[{http: {url: OTHER/first}}, {http: {url: "${data.url}/in"}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			other := receive(t, nil)
			r := receive(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
				select {
				case <-time.After(10 * time.Millisecond): // so that others come meanwhile
				case <-r.Context().Done():
				}
			})
			s.define(fmt.Sprintf(`
triggers: {all: {match: {type: x}, run: send}}
pipelines: {send: {steps: %s}}
destinations: {"RECEIVER": {limit: %d}}
`, strings.ReplaceAll(steps, "OTHER", other.URL), limit), r)
			batch := make([]*weir.Event, events)
			for i := range batch {
				batch[i] = &weir.Event{ID: fmt.Sprint(i), Source: "/t", Type: "x", Data: fmt.Appendf(nil, `{"url":%q}`, r.URL)}
			}

			if _, err := s.Publish(t.Context(), batch...); err != nil {
				t.Fatal(err)
			}

			s.await("all", "succeeded", events)
			if calls, most := len(r.got("/in")), r.atOnce(); calls != events || most > limit {
				t.Errorf("%d requests, %d at once, want %d, %d at most", calls, most, events, limit)
			}
			for _, run := range s.runs(client.RunFilter{}) {
				if got := outcomesOf(s.run(run.ID)); got != "succeeded" && got != "held succeeded" {
					t.Errorf("%s: %s", run.ID, got)
				}
			}
		})
	}
}
