package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"weir/internal/state/sqlite"
	"weir/internal/state/statetest"
)

func TestStateConforms(t *testing.T) {
	t.Parallel()
	statetest.Run(t, func(ctx context.Context, place string) (statetest.Engine, error) {
		s, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(place, "state.db"), DataID: [16]byte{1}})
		if err != nil {
			return statetest.Engine{}, err
		}
		return statetest.Engine{Live: s, Lists: s, Tenants: s, Sealed: s, Rights: s, Refusals: s, Forgetting: s, Needing: s}, nil
	})
}
