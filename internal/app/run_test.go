package app

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"weir/internal/work"
)

func TestANodeThatDrainsTakesNoRunsAndSaysWhy(t *testing.T) {
	t.Parallel()
	d := newDrain()
	w := workers{work.New(work.Options{Slots: 3}), d}
	for _, c := range []struct {
		name   string
		change func()
		free   int
		why    string
	}{
		{"taking part", func() {}, 3, ""},
		{"ordered", func() { d.order(true) }, 0, "ordered to"},
		{"taking part again", func() { d.order(false) }, 3, ""},
		{"told to stop", d.stop, 0, "told to stop"},
		{"ordered then", func() { d.order(false) }, 0, "told to stop"},
	} {
		c.change()

		why, drains := d.is()

		if w.Free() != c.free || drains != (c.why != "") || !strings.Contains(why, c.why) {
			t.Errorf("%s: %d free, %q", c.name, w.Free(), why)
		}
	}
}

func TestWhoWaitsForAnOrderLearnsOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDrain()
		ctx, cancel := context.WithCancel(t.Context())
		drains, resumes := make(chan bool, 1), make(chan bool, 1)
		go func() {
			drains <- d.until(ctx, true)
			resumes <- d.until(ctx, false)
			drains <- d.until(ctx, true)
		}()

		d.order(true)
		first := <-drains
		d.order(false)
		second := <-resumes
		cancel()

		if third := <-drains; !first || !second || third {
			t.Errorf("drained %v, resumed %v, drained at the end %v", first, second, third)
		}
	})
}
