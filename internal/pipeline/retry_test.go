package pipeline

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir"
)

const noJitter = 0.5

func TestDecide(t *testing.T) {
	t.Parallel()
	died := Decision{Kind: weir.Died}
	after := func(d time.Duration) Decision { return Decision{Kind: weir.Retrying, After: d} }
	only := func(on ...string) weir.Retry { return weir.Retry{On: on} }
	status := func(code int) Failure { return Failure{Kind: Status, Status: code} }
	told := func(code int, d time.Duration) Failure {
		return Failure{Kind: Status, Status: code, RetryAfter: d}
	}

	for name, c := range map[string]struct {
		retry weir.Retry
		try   int
		f     Failure
		want  Decision
	}{
		"no connection":                {DefaultRetry(), 1, Failure{Kind: Connect}, after(time.Second)},
		"the wait doubles":             {DefaultRetry(), 4, Failure{Kind: Connect}, after(8 * time.Second)},
		"no answer in time":            {DefaultRetry(), 2, Failure{Kind: Timeout}, after(2 * time.Second)},
		"the last try":                 {DefaultRetry(), 8, Failure{Kind: Connect}, died},
		"the wait has a maximum":       {weir.Retry{Attempts: 90}, 80, Failure{Kind: Connect}, after(10 * time.Minute)},
		"infinity has one, too":        {weir.Retry{Attempts: 9000}, 5000, Failure{Kind: Connect}, after(10 * time.Minute)},
		"a factor of one":              {weir.Retry{Factor: 1}, 7, Failure{Kind: Connect}, after(time.Second)},
		"500":                          {DefaultRetry(), 1, status(500), after(time.Second)},
		"599":                          {DefaultRetry(), 1, status(599), after(time.Second)},
		"408":                          {DefaultRetry(), 1, status(408), after(time.Second)},
		"425":                          {DefaultRetry(), 1, status(425), after(time.Second)},
		"429":                          {DefaultRetry(), 1, status(429), after(time.Second)},
		"400 is final":                 {DefaultRetry(), 1, status(400), died},
		"302 is final":                 {DefaultRetry(), 1, status(302), died},
		"other failures are final":     {DefaultRetry(), 1, Failure{}, died},
		"what is said to be final":     {DefaultRetry(), 1, Failure{Kind: Connect, Final: true}, died},
		"nothing said is the default":  {weir.Retry{}, 3, status(503), after(4 * time.Second)},
		"4xx where asked for":          {only("4xx"), 1, status(404), after(time.Second)},
		"a status where asked for":     {only("404"), 1, status(404), after(time.Second)},
		"not connect where left out":   {only("5xx"), 1, Failure{Kind: Connect}, died},
		"not timeout where left out":   {only("5xx"), 1, Failure{Kind: Timeout}, died},
		"retry none":                   {weir.Retry{None: true}, 1, Failure{Kind: Connect}, died},
		"a lost try":                   {only("404"), 1, Failure{Kind: Lost}, after(time.Second)},
		"a lost last try":              {weir.Retry{Attempts: 2}, 2, Failure{Kind: Lost}, died},
		"a lost try of retry none":     {weir.Retry{None: true}, 1, Failure{Kind: Lost}, died},
		"429 waits as told":            {DefaultRetry(), 1, told(429, 90*time.Second), after(90 * time.Second)},
		"503 waits as told":            {DefaultRetry(), 6, told(503, time.Second), after(time.Second)},
		"as told, over the maximum":    {DefaultRetry(), 1, told(503, time.Hour), after(time.Hour)},
		"as told, but no longer than":  {DefaultRetry(), 1, told(503, 99*time.Hour), after(MaxRetryAfter)},
		"500 is not asked":             {DefaultRetry(), 1, told(500, time.Hour), after(time.Second)},
		"as told, not after the last":  {DefaultRetry(), 8, told(503, time.Second), died},
		"as told, not where left out":  {only("connect"), 1, told(503, time.Second), died},
		"one attempt is the only one":  {weir.Retry{Attempts: 1}, 1, status(500), died},
		"more tries than are counted":  {DefaultRetry(), 12, status(500), died},
		"a status that makes no sense": {DefaultRetry(), 1, status(0), died},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Decide(c.retry, c.try, c.f, noJitter); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestJitterIsTwentyPercentAroundTheWait(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		try := rapid.IntRange(1, 40).Draw(t, "try")
		jitter := rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "jitter")

		middle := Backoff(DefaultRetry(), try, noJitter).Seconds()
		got := Backoff(DefaultRetry(), try, jitter).Seconds()

		if got < middle*0.8-1e-6 || got > middle*1.2+1e-6 {
			t.Errorf("%v is not within 20 %% of %v", got, middle)
		}
	})
}
