// Package track is the read side: it answers what happened from the journal and
// what is live from state, in the shapes of the API. It writes nothing.
//
// Lists are as of the flushed cursor: what is live comes from one snapshot of
// state, what has ended from the journal up to the same place. A look by id
// also reads the journal past it.
package track

import (
	"context"
	"strconv"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/state"
)

// Journal is what happened.
type Journal interface {
	Records(ctx context.Context, seqs []weir.Seq) ([]*weir.Record, error)
	Find(ctx context.Context, q journal.Query) (journal.Found, error)
	Place(ctx context.Context, id weir.Identity) (weir.Item, bool)
}

// State is what is live.
type State interface {
	Cursor(ctx context.Context) (weir.Seq, weir.Time, error)
	Groups(ctx context.Context, ids []weir.GroupID) ([]*weir.Group, error)
	Runs(ctx context.Context, ids []weir.RunID) ([]*weir.Run, error)
	Chunks(ctx context.Context, groups []weir.GroupID) ([]weir.Chunk, error)
	ListGroups(ctx context.Context, f state.GroupFilter) ([]*weir.Group, state.Listed, error)
	ListRuns(ctx context.Context, f state.RunFilter) ([]*weir.Run, state.Listed, error)
	Definition(ctx context.Context, project weir.ProjectID, kind weir.DefinitionKind, name string, revision uint64) (weir.Definition, error)
}

// Dispatcher knows what is being tried at this moment, and what others wait for.
type Dispatcher interface {
	Running(ctx context.Context, run weir.RunID) bool
	Why(ctx context.Context, run weir.RunID) string
}

// Reader answers the API's questions.
type Reader struct {
	Journal    Journal
	State      State
	Dispatcher Dispatcher
	Blobs      Blobs // nil: there are none
	Shard      weir.Shard
}

// uids returns the uids of a batch, and how many members are no longer there.
func (r *Reader) uids(ctx context.Context, members []weir.Member) (uids []string, missing int, err error) {
	seqs := make([]weir.Seq, len(members))
	for i, m := range members {
		seqs[i] = m.Seq
	}
	records, err := r.Journal.Records(ctx, seqs)
	if err != nil {
		return nil, 0, err
	}
	uids = make([]string, 0, len(records))
	for _, rec := range records {
		if rec != nil {
			uids = append(uids, rec.UID(r.Shard).String())
		}
	}
	return uids, len(members) - len(uids), nil
}

func badAfter(after string) error {
	return weir.E("", weir.Invalid, "%s is no place that a page of this list gave", strconv.Quote(after)).WithField("after")
}

// limit returns how many items a page has.
func limit(p client.Paging) int {
	if p.Limit <= 0 {
		return state.DefaultLimit
	}
	return p.Limit
}
