package work

import (
	"context"
	"time"

	"weir"
)

// defaultPatience is as long as the lease of a run on another node.
const defaultPatience = 30 * time.Second

// patiently gets what a try needs of a store, again and again while the store is
// not able to, for so long: that a database was restarted must not count as a try,
// which may be the only one.
func patiently[T any](ctx context.Context, limit time.Duration, get func() (T, error)) (T, error) {
	began := time.Now()
	for gap := firstPause; ; gap = min(2*gap, lastPause) {
		got, err := get()
		if weir.CodeOf(err) != weir.Unavailable || time.Since(began)+gap > limit {
			return got, err
		}
		if !pause(ctx, gap) {
			return got, context.Cause(ctx)
		}
	}
}
