package main

import (
	"context"
	"fmt"
	"time"

	"weir/e2e/load"
)

// delivery measures from publishing to the first byte at a destination, at 500
// events a second whether answered or not, alone and beside 10,000 runs for a
// destination that hangs.
func delivery(ctx context.Context, scale int) ([]row, error) {
	return withServer(ctx, func(s *load.Server) ([]row, error) {
		d, err := load.Open(ctx, s)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		n := max(50*scale, 100)
		if _, err := d.Deliver(ctx, s, n/5, 500); err != nil { // warms up
			return nil, err
		}
		var alone, beside load.Delivery
		used, err := measure(func() (err error) {
			alone, err = d.Deliver(ctx, s, n, 500)
			return err
		})
		if err == nil {
			err = d.Hang(ctx, s, 10_000)
		}
		if err == nil {
			beside, err = d.Deliver(ctx, s, n, 500)
		}
		if err != nil {
			return nil, err
		}
		ratio := beside.P99.Seconds() / alone.P99.Seconds()
		return []row{
			{
				Case: "event to first byte, 500/s", Figure: times(alone), CPU: used.cpuPer(n),
				Target: "p50 < 5 ms, p99 < 25 ms", OK: alone.Lost == 0 && alone.P50 < 5*time.Millisecond && alone.P99 < 25*time.Millisecond,
			},
			{
				Case: "the same beside 10,000 hanging runs", Figure: times(beside), Ratio: ratio, Against: "p99 without",
				Target: "< 2 x", OK: beside.Lost == 0 && ratio < 2,
			},
		}, nil
	})
}

func times(d load.Delivery) string {
	text := fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, max %.1f ms",
		d.P50.Seconds()*1e3, d.P99.Seconds()*1e3, d.Max.Seconds()*1e3)
	if d.Lost > 0 {
		text += fmt.Sprintf(", %d of %d not delivered", d.Lost, d.Events)
	}
	return text
}

// burst counts the rows of state that 20,000 events on the fast path write.
func burst(ctx context.Context, _ int) ([]row, error) {
	return withServer(ctx, func(s *load.Server) ([]row, error) {
		b, err := load.RunBurst(ctx, s, 20_000)
		if err != nil {
			return nil, err
		}
		return []row{{
			Case: "burst of 20,000 on the fast path", Figure: fmt.Sprintf("%d rows of state in %v", b.Rows, b.Took.Round(time.Millisecond)),
			PerSec: float64(b.Events) / b.Took.Seconds(), Target: "< 200 rows", OK: b.Rows < 200,
		}}, nil
	})
}

// reading publishes and reads what was published, 1,000 times beside 2,000
// other events a second.
func reading(ctx context.Context, scale int) ([]row, error) {
	return withServer(ctx, func(s *load.Server) ([]row, error) {
		var r load.Reading
		m, err := measure(func() (err error) {
			r, err = load.ReadOwn(ctx, s, max(10*scale, 10), 2000)
			return err
		})
		if err != nil {
			return nil, err
		}
		behind := float64(r.Behind) / float64(r.Reads)
		return []row{{
			Case:   "publish, then read with Weir-After",
			Figure: fmt.Sprintf("%d times: %d without it, %.1f %% 503, %.1f ms each by 8 readers", r.Reads, r.Blind, 100*behind, 8e3*m.wall.Seconds()/float64(r.Reads)),
			Target: "none without it, < 1 % 503", OK: r.Blind == 0 && behind < 0.01,
		}}, nil
	})
}
