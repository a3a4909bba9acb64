package node

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir"
)

func options(t testing.TB, db *database) Options {
	return Options{Registry: db, Logger: logger(t), Name: "a", Version: "v1", Duties: []weir.Duty{weir.DutyWork}, Drain: func() {}, Resume: func() {}}
}

func TestNodeIsSeenUntilItLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		o := options(t, db)
		o.Slots, o.Free, o.Share = 8, func() int { return 5 }, func() int64 { return 7 }
		r, err := Register(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, r.Run)

		pass(time.Minute)

		n, _ := db.node("a")
		if age := time.Since(n.Seen.Std()); age > beatEvery || n.Free != 5 || n.Share != 7 || n.Slots != 8 || n.Draining {
			t.Errorf("seen %v ago: %+v", age, n)
		}
		r.Draining()
		synctest.Wait()
		if n, _ := db.node("a"); !n.Draining {
			t.Error("does not show that it drains")
		}
		stop()
		if _, ok := db.node("a"); ok {
			t.Error("is still registered")
		}
	})
}

func TestSecondProcessOfANameIsRefusedWhileTheFirstLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		r, err := Register(t.Context(), options(t, db))
		if err != nil {
			t.Fatal(err)
		}
		start(t, r.Run)

		_, err = Register(t.Context(), options(t, db))

		if weir.CodeOf(err) != weir.Conflict || !strings.Contains(err.Error(), `node "a"`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNameOfADeadNodeIsTakenAsSoonAsItIsSeenToBeDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		first, err := Register(t.Context(), options(t, db)) // and dies
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()

		r, err := Register(t.Context(), options(t, db))

		if took := time.Since(began); err != nil || took < dead || took > dead+beatEvery {
			t.Errorf("after %v: %v", took, err)
		}
		start(t, r.Run)
		pass(beatEvery)
		if err := first.Run(t.Context()); weir.CodeOf(err) != weir.Conflict {
			t.Errorf("the first, which was only stopped, got %v", err)
		}
	})
}

func TestNodeThatWaitsForItsNameGoesOnWaitingWhenTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		if _, err := Register(t.Context(), options(t, db)); err != nil { // and dies
			t.Fatal(err)
		}
		registered := make(chan error, 1)
		go func() {
			_, err := Register(t.Context(), options(t, db))
			registered <- err
		}()
		pass(beatEvery)

		db.set(func() { db.away = weir.E("", weir.Unavailable, "away") })
		pass(beatEvery)
		db.set(func() { db.away = nil })

		if err := <-registered; err != nil {
			t.Error(err)
		}
	})
}

func TestNodeFollowsTheOrderToDrainWithItsNextBeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		var got []string
		o := options(t, db)
		o.Drain = func() { got = append(got, "drain") }
		o.Resume = func() { got = append(got, "resume") }
		r, err := Register(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, r.Run)

		for _, order := range []bool{false, true, true, false} {
			db.set(func() { db.order["a"] = order })
			pass(beatEvery)
		}

		stop()
		if strings.Join(got, " ") != "drain resume" {
			t.Errorf("got %v", got)
		}
	})
}

func TestNodeThatWasAwayForADayIsRegisteredAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		r, err := Register(t.Context(), options(t, db))
		if err != nil {
			t.Fatal(err)
		}
		start(t, r.Run)
		db.set(func() { db.away = weir.E("", weir.Unavailable, "away") })
		pass(24 * time.Hour)

		db.set(func() { db.away, db.nodes = nil, map[string]*weir.Node{} })
		pass(beatEvery)

		if _, ok := db.node("a"); !ok {
			t.Error("is not registered")
		}
	})
}
