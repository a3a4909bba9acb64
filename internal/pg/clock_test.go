package pg

import (
	"testing"
	"time"
)

func TestTheDatabasesClockIsKnownAsFarAsAnswersTell(t *testing.T) {
	t.Parallel()
	var c clock
	sent := time.Unix(1_800_000_000, 0)
	for _, said := range []struct {
		took, shown, want time.Duration // after sent; how far it is ahead
	}{
		{20 * time.Millisecond, 10 * time.Millisecond, 0}, // it may be the same
		{20 * time.Millisecond, time.Hour, time.Hour - 20*time.Millisecond},
		{time.Second, time.Hour, time.Hour - 20*time.Millisecond}, // a slow answer tells no more
		{0, time.Hour, time.Hour},
		{time.Millisecond, -time.Minute, -time.Minute},
	} {
		c.tell(sent, sent.Add(said.took), sent.Add(said.shown))

		if got := time.Duration(c.ahead.Load()); got != said.want {
			t.Errorf("%+v: ahead by %v", said, got)
		}
	}
}
