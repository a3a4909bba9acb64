package state

import (
	"context"

	"weir"
)

// Live is what a group, a run or a chunk in state needs of what is kept
// elsewhere: the versions of definitions that it names, and the records that are
// its members. Of a chunk, whose group or run tells the rest, there are only
// Project 0 and members.
type Live struct {
	Project  weir.ProjectID
	Run      weir.RunID // none of a group
	Trigger  string
	Revision uint64 // of Trigger
	Pipeline string // of a run
	PipeRev  uint64 // of Pipeline
	Members  []weir.Member
}

// OfGroup returns what an open group needs.
func OfGroup(g *weir.Group) Live {
	return Live{Project: g.Project, Trigger: g.Trigger, Revision: g.Revision, Members: g.Tail}
}

// OfRun returns what a run needs.
func OfRun(r *weir.Run) Live {
	f := &r.Firing
	return Live{
		Project: r.Project, Run: r.ID, Trigger: f.Trigger, Revision: f.Revision, Pipeline: r.Pipeline, PipeRev: f.PipeRev,
		Members: f.Members,
	}
}

// Walker calls each for all that is live, in one snapshot, and returns the cursor
// that it is as of.
type Walker func(ctx context.Context, each func(*Live) error) (weir.Seq, error)

// Members calls each for the members in [low, high] of all that walk meets. One
// that is in several batches comes several times.
func (walk Walker) Members(ctx context.Context, low, high weir.Seq, each func(weir.Seq) error) error {
	_, err := walk(ctx, func(l *Live) error {
		for _, m := range l.Members {
			if m.Seq < low || m.Seq > high {
				continue
			}
			if err := each(m.Seq); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// Version is one version of a definition, without its body.
type Version struct {
	Project  weir.ProjectID
	Kind     weir.DefinitionKind
	Name     string
	Revision uint64
	Deletes  bool // it takes the name out of force
}
