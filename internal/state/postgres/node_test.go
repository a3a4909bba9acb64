package postgres

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/fold"
)

// grant flushes leases of runs, as the dispatching node does.
func grant(t testing.TB, s *Tenure, at weir.Seq, rows ...fold.LeaseRow) {
	t.Helper()
	if err := s.Flush(t.Context(), &fold.Layer{From: at, To: at + 1, Leases: rows}); err != nil {
		t.Fatal(err)
	}
}

func granted(n byte, node string) fold.LeaseRow {
	return fold.LeaseRow{Run: weir.RunID{15: n}, Node: node, Try: 1, Began: weir.Time(n)}
}

func runsOf(rows []fold.LeaseRow) (ids []byte) {
	for _, l := range rows {
		ids = append(ids, l.Run[15])
	}
	slices.Sort(ids)
	return ids
}

func TestNodeTakesWhatItWasGrantedOnceAndOldestFirst(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	own := granted(9, "a")
	own.Begun = true
	grant(t, held(t, s), 0, granted(3, "b"), granted(1, "b"), granted(2, "b"), granted(4, "c"), own)

	first, err := s.TakeLeases(t.Context(), "b", 2)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.TakeLeases(t.Context(), "b", 2)
	if err != nil {
		t.Fatal(err)
	}

	if !cmp.Equal(runsOf(first), []byte{1, 2}) || !cmp.Equal(runsOf(second), []byte{3}) || !first[0].Begun {
		t.Errorf("took %+v, then %+v", first, second)
	}
	all, err := s.Leases(t.Context())
	if err != nil || !cmp.Equal(runsOf(all), []byte{1, 2, 3, 4}) {
		t.Errorf("granted are %v, %v", runsOf(all), err)
	}
	running, err := s.LeasedRuns(t.Context())
	if err != nil || len(running) != 5 {
		t.Errorf("running are %v, %v", running, err)
	}
}

func TestLeaseThatIsOverIsNeitherTakenNorRenewed(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{Lease: time.Millisecond})
	grant(t, held(t, s), 0, granted(1, "b"), granted(2, "b"))
	taken, err := s.TakeLeases(t.Context(), "b", 1)
	if err != nil {
		t.Fatal(err)
	}
	for over := 0; over < 2; {
		all, err := s.Leases(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		over = 0
		for _, l := range all {
			if l.Over {
				over++
			}
		}
	}

	renewed, err := s.RenewLeases(t.Context(), "b", taken)
	if err != nil || len(renewed) != 0 {
		t.Errorf("renewed %v, %v", renewed, err)
	}
	taken, err = s.TakeLeases(t.Context(), "b", 2)
	if err != nil || len(taken) != 0 {
		t.Errorf("took %v, %v", taken, err)
	}
}

func TestRenewalReturnsOnlyWhatIsStillTheNodes(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	d := held(t, s)
	grant(t, d, 0, granted(1, "b"), granted(2, "b"), granted(3, "b"))
	taken, err := s.TakeLeases(t.Context(), "b", 3)
	if err != nil {
		t.Fatal(err)
	}
	kept, again := granted(1, "b"), granted(2, "b")
	kept.Written = true
	again.Began = 50 // another lease of the same run; 3 was cancelled
	grant(t, d, 1, kept, again)

	renewed, err := s.RenewLeases(t.Context(), "b", taken)

	if err != nil || !cmp.Equal(runsOf(renewed), []byte{1}) {
		t.Errorf("renewed %v, %v", runsOf(renewed), err)
	}
	if err := s.GiveBackLeases(t.Context(), "b", taken[:]); err != nil {
		t.Fatal(err)
	}
	left, err := s.Leases(t.Context())
	if err != nil || len(left) != 1 || left[0].Began != 50 || left[0].Begun {
		t.Errorf("left %+v, %v", left, err)
	}
	if err := s.GiveBackGranted(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Leases(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left %+v, %v", left, err)
	}
}

func node(name string) weir.Node {
	return weir.Node{Name: name, Duties: []weir.Duty{weir.DutyDispatch, weir.DutyWork}, Version: "v1", Slots: 4, Free: 4}
}

func TestNodesAreListedWithWhatTheySayAndHold(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	a, ours, err := s.Register(t.Context(), node("a"))
	if err != nil || !ours || a.Started == 0 {
		t.Fatal(a, ours, err)
	}
	held(t, s)
	a.Free, a.Share, a.Draining = 1, 12, true
	if drain, err := s.Beat(t.Context(), a); err != nil || drain {
		t.Fatal(drain, err)
	}

	all, err := s.Nodes(t.Context())

	if err != nil || len(all) != 1 || all[0].Seen < a.Seen {
		t.Fatal(all, err)
	}
	a.Seen, a.Holds = all[0].Seen, []string{"shard 0"}
	if diff := cmp.Diff([]weir.Node{a}, all); diff != "" {
		t.Error(diff)
	}
	if err := s.Leave(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Nodes(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("left: %v, %v", all, err)
	}
	if _, err := s.Beat(t.Context(), a); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("beat of one that left: %v", err)
	}
}

func TestNameIsTakenOnlyFromADeadNodeAndItsTriesAreOverThen(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	first, _, err := s.Register(t.Context(), node("b"))
	if err != nil {
		t.Fatal(err)
	}
	grant(t, held(t, s), 0, granted(1, "b"), granted(2, "b"))
	if _, err := s.TakeLeases(t.Context(), "b", 1); err != nil {
		t.Fatal(err)
	}

	other, ours, err := s.Register(t.Context(), node("b"))
	if err != nil || ours || other.Started != first.Started {
		t.Errorf("while the first lives: %+v, %v, %v", other, ours, err)
	}
	age(t, s, "b", 11*time.Second)
	if all, err := s.Nodes(t.Context()); err != nil || !all[0].Dead {
		t.Errorf("shown as %+v, %v", all, err)
	}
	second, ours, err := s.Register(t.Context(), node("b"))
	if err != nil || !ours || second.Started <= first.Started {
		t.Errorf("when it is dead: %+v, %v, %v", second, ours, err)
	}

	if _, err := s.Beat(t.Context(), first); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("the first beats on: %v", err)
	}
	all, err := s.Leases(t.Context())
	slices.SortFunc(all, func(a, b fold.LeaseRow) int { return int(a.Run[15]) - int(b.Run[15]) })
	if err != nil || len(all) != 2 || !all[0].Over || all[1].Over {
		t.Errorf("leases %+v, %v", all, err)
	}
	age(t, s, "b", 25*time.Hour)
	if _, _, err := s.Register(t.Context(), node("c")); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Nodes(t.Context()); err != nil || len(all) != 1 || all[0].Name != "c" {
		t.Errorf("after a day: %v, %v", all, err)
	}
}

func TestOrderToDrainStaysUntilItIsTakenBackOrTheNodeIsNew(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	if err := s.Drain(t.Context(), "a"); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("drain of none: %v", err)
	}
	a, _, err := s.Register(t.Context(), node("a"))
	if err != nil {
		t.Fatal(err)
	}
	sees := func(want bool) {
		t.Helper()
		drain, err := s.Beat(t.Context(), a)
		all, failed := s.Nodes(t.Context())
		if err != nil || failed != nil || drain != want || all[0].Draining != want {
			t.Errorf("drain %v, shown %v, %v, %v", drain, all, err, failed)
		}
	}

	if err := s.Drain(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	sees(true)
	if err := s.Undrain(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	sees(false)
	if err := s.Drain(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	age(t, s, "a", 11*time.Second)
	if a, _, err = s.Register(t.Context(), node("a")); err != nil {
		t.Fatal(err)
	}
	sees(false)
}

// age makes the last beat of a node older.
func age(t testing.TB, s *State, name string, by time.Duration) {
	t.Helper()
	if _, err := s.exec(t.Context(), "age", `UPDATE nodes SET seen_us = seen_us - $1 WHERE name = $2`, by.Microseconds(), name); err != nil {
		t.Fatal(err)
	}
}
