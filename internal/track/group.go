package track

import (
	"context"
	"encoding/json"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/state"
)

// Groups lists open groups, newest first.
func (r *Reader) Groups(ctx context.Context, project weir.ProjectID, f client.GroupFilter, p client.Paging) (client.Page[client.Group], error) {
	page := client.Page[client.Group]{Items: []client.Group{}}
	var after weir.GroupID
	if p.After != "" {
		var err error
		if after, err = weir.ParseGroupID(p.After); err != nil {
			return page, badAfter(p.After)
		}
	}
	groups, _, err := r.State.ListGroups(ctx, state.GroupFilter{Project: project, Trigger: f.Trigger, After: after, Limit: limit(p)})
	if err != nil {
		return page, err
	}
	for _, g := range groups {
		page.Items = append(page.Items, r.openGroup(ctx, g))
	}
	if len(groups) == limit(p) {
		page.Next = groups[len(groups)-1].ID.String()
	}
	return page, nil
}

// Group returns one group with its events: open, or as the run that it made
// tells of it.
func (r *Reader) Group(ctx context.Context, project weir.ProjectID, id weir.GroupID) (client.Group, error) {
	groups, err := r.State.Groups(ctx, []weir.GroupID{id})
	if err != nil {
		return client.Group{}, err
	}
	if len(groups) == 0 {
		return r.endedGroup(ctx, project, id)
	}
	g := groups[0]
	if g.Project != project {
		return client.Group{}, noGroup(id)
	}
	v := r.openGroup(ctx, g)
	members, err := r.members(ctx, &weir.Firing{Group: g.ID, Chunks: g.Chunks, Members: g.Tail})
	if err != nil {
		return v, err
	}
	v.Events, err = r.uids(ctx, members)
	return v, err
}

func (r *Reader) endedGroup(ctx context.Context, project weir.ProjectID, id weir.GroupID) (client.Group, error) {
	found, _, err := r.Journal.Find(ctx, journal.Query{
		Project: project, Kind: journal.ByGroup, Value: id.String(), Only: journal.Changes, Limit: 1,
	})
	if err != nil {
		return client.Group{}, err
	}
	if len(found) == 0 {
		return client.Group{}, noGroup(id)
	}
	c := found[0].Change
	v := client.Group{
		ID:      id.String(),
		Trigger: c.Trigger,
		Key:     json.RawMessage(c.Firing.Key),
		State:   c.Firing.Reason.String(),
		Late:    c.Firing.Reason == weir.Late,
		Opened:  weir.MadeAt(id),
		Count:   len(c.Firing.Members),
		Run:     c.Run.String(),
	}
	if n := len(c.Firing.Members); n > 0 {
		v.First, v.Last = c.Firing.Members[0].Time, c.Firing.Members[n-1].Time
	}
	v.Events, err = r.uids(ctx, c.Firing.Members)
	return v, err
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
