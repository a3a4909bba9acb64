package work

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestTheDataOfBlobsWaitsForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(10)
		ctx, cancel := context.WithCancelCause(t.Context())
		if err := r.take(ctx, 7); err != nil {
			t.Fatal(err)
		}
		waits := make(chan error, 1)
		go func() { waits <- r.take(ctx, 5) }()
		synctest.Wait()
		if err := r.take(ctx, 3); err != nil { // a small one passes
			t.Fatal(err)
		}
		r.give(3)
		synctest.Wait()
		if len(waits) > 0 {
			t.Error("there were only three")
		}

		r.give(7)

		if err := <-waits; err != nil {
			t.Error(err)
		}
		go func() { waits <- r.take(ctx, 6) }()
		synctest.Wait()
		cancel(errStopping)
		if err := <-waits; !errors.Is(err, errStopping) {
			t.Error(err)
		}
		r.give(5)
		if r.left != 10 {
			t.Errorf("%d are left", r.left)
		}
	})
}
