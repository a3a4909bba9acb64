package track

import (
	"context"
	"encoding/json"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/state"
)

// Group returns one group with its events: open, or as the run that it made
// tells of it.
func (r *Reader) Group(ctx context.Context, project weir.ProjectID, id weir.GroupID) (client.Group, error) {
	groups, err := r.State.Groups(ctx, []weir.GroupID{id})
	if err != nil {
		return client.Group{}, err
	}
	if len(groups) == 0 {
		return r.pastGroup(ctx, project, id)
	}
	g := groups[0]
	if g.Project != project {
		return client.Group{}, noGroup(id)
	}
	v := r.openGroup(ctx, g)
	f := weir.Firing{Group: g.ID, Chunks: g.Chunks, Members: g.Tail}
	whole, err := r.join(ctx, &f)
	if err != nil {
		return v, err
	}
	if !whole {
		return r.pastGroup(ctx, project, id)
	}
	v.Events, v.Missing, err = r.uids(ctx, f.Members)
	return v, err
}

// pastGroup shows a group that is not in state, or ended since that was read.
// What it became is told by the first change of its run or, before that, by the
// run in state; a run may leave state between the two looks, so the journal has
// the last word.
func (r *Reader) pastGroup(ctx context.Context, project weir.ProjectID, id weir.GroupID) (client.Group, error) {
	for _, look := range []func(context.Context, weir.ProjectID, weir.GroupID) (*weir.Firing, weir.RunID, error){
		r.firingOnRecord, r.firingInState, r.firingOnRecord,
	} {
		f, run, err := look(ctx, project, id)
		if err != nil {
			return client.Group{}, err
		}
		if f != nil {
			return r.groupOf(ctx, f, run)
		}
	}
	return client.Group{}, noGroup(id)
}

// firingOnRecord looks for the first change of a group's run.
func (r *Reader) firingOnRecord(ctx context.Context, project weir.ProjectID, id weir.GroupID) (*weir.Firing, weir.RunID, error) {
	found, err := r.Journal.Find(ctx, journal.Query{
		Project: project, Kind: journal.ByGroup, Value: id.String(), Only: journal.Changes, Limit: 1,
	})
	if err != nil || len(found.Records) == 0 {
		return nil, weir.RunID{}, err
	}
	first := found.Records[0].Change
	return first.Firing, first.Run, nil
}

// firingInState looks for a group's run among those to which nothing happened
// yet. None was made before the group.
func (r *Reader) firingInState(ctx context.Context, project weir.ProjectID, id weir.GroupID) (*weir.Firing, weir.RunID, error) {
	for _, st := range []weir.RunState{weir.RunPending, weir.RunRunning} {
		f := state.RunFilter{Project: project, State: st, Having: string(id[:]), Limit: 1000, Look: maxLooked}
		for more := true; more; {
			runs, listed, err := r.State.ListRuns(ctx, f)
			if err != nil {
				return nil, weir.RunID{}, err
			}
			for _, run := range runs {
				if run.N > 0 || run.Firing.Group != id {
					continue
				}
				if whole, err := r.join(ctx, &run.Firing); !whole || err != nil {
					return nil, run.ID, err // it has ended meanwhile
				}
				return &run.Firing, run.ID, nil
			}
			f.After = listed.Reached
			more = listed.More() && weir.MadeAt(f.After) >= weir.MadeAt(id)
		}
	}
	return nil, weir.RunID{}, nil
}

// groupOf shows a group with its events, as the firing that ended it tells.
func (r *Reader) groupOf(ctx context.Context, f *weir.Firing, run weir.RunID) (v client.Group, err error) {
	v = endedGroup(f, run)
	v.Events, v.Missing, err = r.uids(ctx, f.Members)
	return v, err
}

// endedGroup shows a group as the firing that ended it tells.
func endedGroup(f *weir.Firing, run weir.RunID) client.Group {
	v := client.Group{
		ID:      f.Group.String(),
		Trigger: f.Trigger,
		Key:     json.RawMessage(f.Key),
		State:   f.Reason.String(),
		Late:    f.Reason == weir.Late,
		Opened:  weir.MadeAt(f.Group),
		Ended:   f.Made,
		Count:   len(f.Members),
		Run:     run.String(),
	}
	if n := len(f.Members); n > 0 {
		v.First, v.Last = f.Members[0].Time, f.Members[n-1].Time
	}
	return v
}

func noGroup(id weir.GroupID) error {
	return weir.E("", weir.NotFound, "there is no group %s in this project", id)
}

func (r *Reader) openGroup(ctx context.Context, g *weir.Group) client.Group {
	v := client.Group{
		ID:      g.ID.String(),
		Trigger: g.Trigger,
		Key:     json.RawMessage(g.Key),
		State:   "open",
		Late:    g.Late,
		Opened:  g.Opened,
		First:   g.First,
		Last:    g.Last,
		Expires: g.Due,
		Count:   g.Count,
	}
	for i, need := range r.needs(ctx, g) {
		if i < len(g.Have) {
			v.Criteria = append(v.Criteria, client.Criterion{Have: g.Have[i], Need: need})
		}
	}
	return v
}

// needs returns how many events each criterion of the group's trigger asks for;
// nil where that version is gone.
func (r *Reader) needs(ctx context.Context, g *weir.Group) []int {
	d, err := r.State.Definition(ctx, g.Project, weir.KindTrigger, g.Trigger, g.Revision)
	if err != nil {
		return nil
	}
	var t weir.Trigger
	if err := json.Unmarshal(d.Body, &t); err != nil {
		return nil
	}
	needs := make([]int, len(t.Fire))
	for i := range t.Fire {
		needs[i] = t.Fire[i].Need()
	}
	return needs
}
