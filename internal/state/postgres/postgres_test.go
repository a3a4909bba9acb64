package postgres

import (
	"context"
	"sync"
	"testing"
	"time"

	"weir/internal/pg"
	"weir/internal/pg/pgtest"
	"weir/internal/state/statetest"
)

type engine struct {
	*Tenure
	close func()
}

func (e engine) Close() error {
	e.close()
	return nil
}

func TestStateConforms(t *testing.T) {
	t.Parallel()
	var places sync.Map
	statetest.Run(t, func(ctx context.Context, place string) (statetest.Engine, error) {
		url, ok := places.Load(place)
		if !ok {
			url = pgtest.New(t)
			places.Store(place, url)
		}
		db, err := pg.Open(ctx, pg.Options{URL: url.(string)})
		if err != nil {
			return statetest.Engine{}, err
		}
		s := held(t, New(Options{DB: db}))
		e := engine{s, sync.OnceFunc(db.Close)}
		return statetest.Engine{Live: e, Lists: s, Tenants: s, Sealed: s, Rights: s, Refusals: s, Forgetting: s, Needing: s}, nil
	})
}

func openTest(t testing.TB, o Options) *State { return openAt(t, pgtest.New(t), o) }

func openAt(t testing.TB, url string, o Options) *State {
	t.Helper()
	db, err := pg.Open(t.Context(), pg.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	o.DB = db
	return New(o)
}

// held returns a tenure with a hold of its own.
func held(t testing.TB, s *State) *Tenure {
	t.Helper()
	token, err := s.Holds().Acquire(t.Context(), holdName(s.shard), "a", time.Minute, -time.Hour)
	if err != nil || token == 0 {
		t.Fatal(token, err)
	}
	return s.Tenure(token)
}
