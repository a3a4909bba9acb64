package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"weir"
)

// Hiding keeps what is being erased from readers, from the moment on at which it
// was ordered. Every process has one.
type Hiding struct {
	Erasures func(ctx context.Context) ([]weir.Erasure, error)
	Hide     func(underWay []weir.Erasure) // these, and nothing else
	Logger   *slog.Logger
}

// Refresh hides what is to be hidden now.
func (h *Hiding) Refresh(ctx context.Context) error {
	all, err := h.Erasures(ctx)
	if err != nil {
		return err
	}
	h.Hide(slices.DeleteFunc(all, func(e weir.Erasure) bool { return e.Ended != 0 }))
	return nil
}

// Run hides what is ordered at other processes, within a second.
func (h *Hiding) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	failing := false
	for {
		err := h.Refresh(ctx)
		if err != nil && !failing && !errors.Is(err, context.Canceled) {
			h.Logger.Warn("look for erasures: looking until it can be told", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
