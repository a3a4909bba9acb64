// Package statetest is what every engine of state must do, as a test suite: one
// function for one rule. The engines' own tests call Run.
package statetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

// Live is the part of an engine that the fold and dispatch use.
type Live interface {
	Load(ctx context.Context) (*fold.Checkpoint, error)
	Flush(ctx context.Context, l *fold.Layer) error
	Groups(ctx context.Context, ids []weir.GroupID) ([]*weir.Group, error)
	Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error)
	Chunks(ctx context.Context, groups []weir.GroupID) ([]weir.Chunk, error)
	RowsWritten() int64
	Close() error
}

// Lists is the part that people read.
type Lists interface {
	Cursor(ctx context.Context) (weir.Seq, weir.Time, error)
	ListGroups(ctx context.Context, f state.GroupFilter) ([]*weir.Group, state.Listed, error)
	ListRuns(ctx context.Context, f state.RunFilter) ([]*weir.Run, state.Listed, error)
	Definitions(ctx context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error)
	Definition(ctx context.Context, project weir.ProjectID, kind weir.DefinitionKind, name string, revision uint64) (weir.Definition, error)
	Counters(ctx context.Context, project weir.ProjectID) (map[string]weir.TriggerCounters, error)
}

// Tenants is the part that keeps tenants, and what the server notes.
type Tenants interface {
	Projects(ctx context.Context) ([]weir.Project, error)
	ProjectByName(ctx context.Context, name string) (weir.Project, error)
	CreateProject(ctx context.Context, name string) (weir.Project, error)
	Meta(ctx context.Context, name string) ([]byte, error)
	PutMeta(ctx context.Context, name string, value []byte) error
}

// Sealed is the part that keeps sealed values.
type Sealed interface {
	PutSecret(ctx context.Context, project weir.ProjectID, name string, sealed []byte) error
	FindSecret(ctx context.Context, project weir.ProjectID, name string) ([]byte, error)
	Secrets(ctx context.Context, project weir.ProjectID) ([]state.Secret, error)
	SecretNames(ctx context.Context, project weir.ProjectID) ([]string, error)
	DeleteSecret(ctx context.Context, project weir.ProjectID, name string) error
}

// Rights is the part that keeps the rights to call the API.
type Rights interface {
	PutToken(ctx context.Context, t state.Token) error
	TokenByHash(ctx context.Context, hash state.TokenHash) (state.Token, error)
	Tokens(ctx context.Context) ([]state.Token, error)
	UseToken(ctx context.Context, id string, at weir.Time) error
	DeleteToken(ctx context.Context, id string) error
}

// Refusals is the part that keeps what was turned away.
type Refusals interface {
	AddRefusals(ctx context.Context, refusals []weir.Refusal) error
	ListRefusals(ctx context.Context, project weir.ProjectID, before int64, limit int) ([]weir.Refusal, error)
	RefusalCounts(ctx context.Context, project weir.ProjectID) ([]state.RefusalCount, error)
}

// Engine is an open state; all parts are the same one.
type Engine struct {
	Live
	Lists
	Tenants
	Sealed
	Rights
	Refusals
	Forgetting
	Needing
}

// Open opens the state at a place, which is the path of a directory that the
// test has for itself: what was written there before is there again.
type Open func(ctx context.Context, place string) (Engine, error)

// suite opens states for one test.
type suite struct{ open Open }

// Run tests the engine that open opens.
func Run(t *testing.T, open Open) {
	s := suite{open}
	for name, test := range map[string]func(*testing.T, suite){
		"ANewStateHasTheDefaultProjectAndNothingElse": newState,
		"AFlushIsThereAfterReopening":                 reopened,
		"AFlushIsWholeOrNothing":                      wholeOrNothing,
		"AFlushThatDoesNotBeginAtTheCursorIsRefused":  fenced,
		"ALayerIsWrittenOnce":                         notTwice,
		"OneOfTwoRacingFlushesWins":                   racing,
		"AFlushOfManyRowsOfEveryNumberIsComplete":     manyRows,
		"RowsWrittenCountsRowsAndNotEvents":           rowsWritten,
		"AGroupComesBackWithEverything":               groupRoundTrip,
		"ARunComesBackWithEverything":                 runRoundTrip,
		"ChunksCollectOverFlushesInOrder":             chunksCollect,
		"ChunksGoOnlyWhenTheyAreSaidToGo":             chunksGo,
		"WhatIsNotThereIsLeftOut":                     absentLeftOut,
		"LoadRefersToAllThatIsLive":                   loadRefers,
		"LeasesAreThoseOfTheLastFlush":                leasesReplaced,
		"BreakersAreThoseOfTheLastFlush":              breakersReplaced,
		"FlushesLeaveWhatAPlainModelHas":              likeAModel,
		"VersionsOfDefinitionsStay":                   versionsStay,
		"ADeletedDefinitionIsNotInForce":              deletedNotInForce,
		"CountersAdd":                                 countersAdd,
		"RunsPageNewestFirst":                         runsPage,
		"RunsAreFiltered":                             runsFiltered,
		"RunsMoveBetweenTheListsOfStates":             runsMove,
		"ARunWithALeaseIsRunning":                     leasedIsRunning,
		"GroupsPageNewestFirst":                       groupsPage,
		"PagesDoNotShiftWhenRowsComeAndGo":            pagesDoNotShift,
		"ReadersSeeOneSnapshotWhileFlushesGoOn":       oneSnapshot,
		"ProjectsHaveNamesAndNumbersOfTheirOwn":       projectsOwn,
		"NotesAreReplaced":                            notesReplaced,
		"SecretsAreReplacedAndDeletedByProject":       secretsByProject,
		"TokensAreFoundByHashAndDeletedByID":          tokensByHash,
		"RefusalsAreNumberedAndCountedByProject":      refusalsNumbered,
		"OfRefusalsTheLastAreKeptAndAllAreCounted":    refusalsRing,
		"ProjectsKeepForATimeOfTheirOwn":              retentionOwn,
		"ADeletedProjectIsNotThereAndItsNameIsFree":   projectDeleted,
		"ErasuresAreNotedAndForgotten":                erasuresNoted,
		"MembersAreThoseOfAllThatIsLive":              membersOfAll,
		"VersionsThatNothingNamesGo":                  versionsDropped,
		"OldRefusalsGoButTheNewest":                   oldRefusalsDropped,
		"ACancelledReadLeavesTheStateUsable":          cancelledRead,
		"AClosedStateIsUnavailable":                   closedUnavailable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// new opens a state of its own for t.
func (s suite) new(t *testing.T) Engine {
	t.Helper()
	return s.at(t, t.TempDir())
}

// at opens the state at a place until t ends.
func (s suite) at(t *testing.T, place string) Engine {
	t.Helper()
	e, err := s.open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// flush writes a layer from the cursor on, one record further.
func flush(t testing.TB, e Engine, l fold.Layer) weir.Seq {
	t.Helper()
	at, _, err := e.Cursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.From, l.To, l.At = at, at+1, start+weir.Time(at)+1
	if err := e.Flush(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	return l.To
}

// must returns the value of a call, or ends the test: must(f())(t).
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// must2 is must for calls that return two values.
func must2[T, U any](v T, u U, err error) func(testing.TB) (T, U) {
	return func(t testing.TB) (T, U) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v, u
	}
}

// wantCode reports an error that has not the code.
func wantCode(t testing.TB, err error, code weir.Code) {
	t.Helper()
	if got := weir.CodeOf(err); got != code {
		t.Errorf("error is %q (%v), want %q", got, err, code)
	}
}

const start = weir.Time(1_750_000_000_000_000)

// runID and groupID make ids whose order is that of n.
func runID(n int) weir.RunID     { return weir.RunID(id(n)) }
func groupID(n int) weir.GroupID { return weir.GroupID(id(n)) }

func id(n int) (u [16]byte) {
	binary.BigEndian.PutUint64(u[:8], uint64(n))
	binary.BigEndian.PutUint64(u[8:], 0x8000_0000_0000_0000|uint64(n)*0x9e37)
	return u
}

func fromRunID(u weir.RunID) int     { return int(binary.BigEndian.Uint64(u[:8])) }
func fromGroupID(u weir.GroupID) int { return int(binary.BigEndian.Uint64(u[:8])) }

// plainRun is a pending run of one event.
func plainRun(n int) weir.Run {
	r := weir.Run{
		ID: runID(n), Project: weir.DefaultProject, State: weir.RunPending, Pipeline: "notify", Due: start + weir.Time(n),
		Firing: weir.Firing{
			Reason: weir.Matched, Trigger: "orders", Revision: 1, PipeRev: 1, Made: start + weir.Time(n),
			Executions: []string{fmt.Sprintf("exe-%d", n)}, Members: []weir.Member{{Time: start, Seq: weir.Seq(n)}},
		},
	}
	r.Lane = weir.Lane{Project: r.Project, Pipeline: r.Pipeline, Origin: "https://hooks.example:443"}
	return r
}

// plainGroup is an open group of one event.
func plainGroup(n int) weir.Group {
	return weir.Group{
		ID: groupID(n), Project: weir.DefaultProject, Trigger: "usage", Revision: 1, Key: fmt.Sprintf(`{"n":%d}`, n),
		KeyHash: weir.Fingerprint('g', 1, uint64(n), "", ""), Opened: start, Joined: start, First: start, Last: start,
		Count: 1, Have: []int{1}, Due: start + weir.Time(n), DueReason: weir.Expired, Tail: []weir.Member{{Time: start, Seq: weir.Seq(n)}},
	}
}
