package app

import (
	"context"
	"time"

	"weir"
	"weir/internal/blob"
	"weir/internal/journal"
	"weir/internal/state"
	"weir/internal/upkeep"
)

const aDay = weir.Duration(24 * time.Hour)

// keptJournal is what upkeep asks of a journal.
type keptJournal interface {
	Trim(ctx context.Context, k journal.Keep) (journal.Trimmed, error)
	Erase(ctx context.Context, e journal.Erasure) (journal.Trimmed, error)
	Hide(erasures []journal.Erasure)
}

// keptState is what upkeep asks of a state, and the orders that it obeys.
type keptState interface {
	upkeep.Erasures
	Walk(ctx context.Context, each func(*state.Live) error) (weir.Seq, error)
	Versions(ctx context.Context) ([]state.Version, error)
	DropVersions(ctx context.Context, olderThan []state.Version) error
	DropOld(ctx context.Context, project weir.ProjectID, before weir.Time) error
	DropErasures(ctx context.Context, before weir.Time) error
}

// wireUpkeep makes what forgets, and what hides meanwhile.
func (a *App) wireUpkeep(ctx context.Context) error {
	a.hiding = &upkeep.Hiding{Erasures: a.kept.Erasures, Hide: a.hide, Logger: a.log}
	a.upkeep = upkeep.New(upkeep.Options{
		Journal: upkeepJournal{a.journal, a.past}, State: upkeepState{a.control, a.kept}, Erasures: a.kept, Hiding: a.hiding,
		Settle: func(ctx context.Context, seq weir.Seq) error { return a.rooms.dispatch.Settle(ctx, seq) },
		Sweep:  a.sweeper(a.named), Prepare: a.prepare, Clock: a.clock, Retention: a.config.Retention.Std(), Logger: a.log, Metrics: a.metrics,
	})
	return a.hiding.Refresh(ctx)
}

func (a *App) hide(underWay []weir.Erasure) {
	hidden := make([]journal.Erasure, len(underWay))
	for i, e := range underWay {
		hidden[i] = meant(e)
	}
	a.past.Hide(hidden)
}

func meant(e weir.Erasure) journal.Erasure {
	return journal.Erasure{Project: e.Project, Subject: e.Subject, UpTo: e.UpTo}
}

// named reports whether a record names a blob.
func (a *App) named(ctx context.Context, id string) (bool, error) {
	found, err := a.journal.Find(ctx, journal.Query{Kind: journal.ByBlob, Value: id, Limit: 1})
	return len(found.Records) > 0, err
}

// sweeperOf returns what looks for orphans in a directory of blobs.
func sweeperOf(b *blob.Store) func(named) sweep {
	return func(is named) sweep { return (&blob.Sweeper{Store: b, Named: is}).Sweep }
}

type (
	named = func(ctx context.Context, id string) (bool, error)          // whether a record names a blob
	sweep = func(ctx context.Context, again weir.Time) (n int, _ error) // removes blobs that no record names
)

// upkeepJournal is the journal in upkeep's words: neither room knows the other.
type upkeepJournal struct {
	journalStore
	keptJournal
}

func (j upkeepJournal) Trim(ctx context.Context, k upkeep.Keep) (upkeep.Trimmed, error) {
	done, err := j.keptJournal.Trim(ctx, journal.Keep(k))
	return upkeep.Trimmed(done), err
}

func (j upkeepJournal) Erase(ctx context.Context, e weir.Erasure) (upkeep.Trimmed, error) {
	done, err := j.keptJournal.Erase(ctx, meant(e))
	return upkeep.Trimmed(done), err
}

func (j upkeepJournal) Newest(ctx context.Context, before weir.Time) (weir.Seq, error) {
	found, err := j.Find(ctx, journal.Query{To: before, Limit: 1})
	if err != nil || len(found.Records) == 0 {
		return 0, err
	}
	return found.Records[0].Seq, nil
}

// upkeepState is the state in upkeep's words.
type upkeepState struct {
	controlStore
	keptState
}

func (s upkeepState) Walk(ctx context.Context, each func(*upkeep.Live) error) (weir.Seq, error) {
	return s.keptState.Walk(ctx, func(l *state.Live) error { return each((*upkeep.Live)(l)) })
}

func (s upkeepState) Versions(ctx context.Context) ([]upkeep.Version, error) {
	all, err := s.keptState.Versions(ctx)
	out := make([]upkeep.Version, len(all))
	for i, v := range all {
		out[i] = upkeep.Version(v)
	}
	return out, err
}

func (s upkeepState) DropVersions(ctx context.Context, olderThan []upkeep.Version) error {
	all := make([]state.Version, len(olderThan))
	for i, v := range olderThan {
		all[i] = state.Version(v)
	}
	return s.keptState.DropVersions(ctx, all)
}
