package fold

import (
	"bytes"
	"slices"

	"weir"
)

// away is the ids of runs that only state has, which may be a million: those of
// the checkpoint in order, which costs a start nothing but their memory, less
// those that came to hand since, and those that went away since.
type away struct {
	first []weir.RunID
	came  map[weir.RunID]struct{} // of first
	went  map[weir.RunID]struct{} // besides first
}

func newAway(runs []RunRef) away {
	a := away{first: make([]weir.RunID, len(runs)), came: map[weir.RunID]struct{}{}, went: map[weir.RunID]struct{}{}}
	for i := range runs {
		a.first[i] = runs[i].ID
	}
	if !slices.IsSortedFunc(a.first, compareRuns) {
		slices.SortFunc(a.first, compareRuns)
	}
	return a
}

func compareRuns(a, b weir.RunID) int { return bytes.Compare(a[:], b[:]) }

func (a *away) isFirst(id weir.RunID) bool {
	_, ok := slices.BinarySearchFunc(a.first, id, compareRuns)
	return ok
}

// has reports whether only state has a run.
func (a *away) has(id weir.RunID) bool {
	if _, ok := a.went[id]; ok {
		return true
	}
	if _, ok := a.came[id]; ok {
		return false
	}
	return a.isFirst(id)
}

// take takes out a run that comes to hand, and reports whether it was away.
func (a *away) take(id weir.RunID) bool {
	if !a.has(id) {
		return false
	}
	if _, ok := a.went[id]; ok {
		delete(a.went, id)
	} else {
		a.came[id] = struct{}{}
	}
	return true
}

// put takes in a run that is no longer at hand.
func (a *away) put(id weir.RunID) {
	if a.isFirst(id) {
		delete(a.came, id)
	} else {
		a.went[id] = struct{}{}
	}
}
