package upkeep

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir"
)

func TestAStateThatIsAwayIsLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		asked := 0
		h := &Hiding{
			Erasures: func(context.Context) ([]weir.Erasure, error) {
				if asked++; asked%5 != 0 {
					return nil, errors.New("away")
				}
				return nil, nil
			},
			Hide: func([]weir.Erasure) {}, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		}
		ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
		defer cancel()

		err := h.Run(ctx)

		if n := strings.Count(logged.String(), "\n"); err != nil || asked != 10 || n != 2 {
			t.Errorf("%v; of %d looks, with two outages, %d lines:\n%s", err, asked, n, &logged)
		}
	})
}
