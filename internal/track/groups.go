package track

import (
	"bytes"
	"context"
	"encoding/json"

	"weir"
	"weir/client"
	"weir/internal/journal"
	"weir/internal/state"
)

// Groups lists groups: the open ones, newest first, or those that ended, last
// ended first. Of those, the ones come first whose run has not begun.
func (r *Reader) Groups(ctx context.Context, project weir.ProjectID, f client.GroupFilter, p client.Paging) (client.Page[client.Group], error) {
	none := client.Page[client.Group]{}
	key, err := parseKey(f.Key)
	if err != nil {
		return none, err
	}
	w := groupWish{reader: r, project: project, trigger: f.Trigger, key: key}
	switch f.State {
	case "", "open":
		return w.open(ctx, p)
	case "ended":
	case weir.Fired.String(), weir.Expired.String(), weir.Late.String(), weir.Full.String(), weir.Dropped.String():
		w.state = f.State
	default:
		return none, weir.E("", weir.Invalid, "%q is no state of a group: use open, ended, fired, expired, late, full or dropped", f.State).
			WithField("state")
	}
	changes := journal.Query{Project: project, Only: journal.Changes}
	if f.Trigger != "" {
		changes.Kind, changes.Value = journal.ByTrigger, f.Trigger
	}
	l := list[client.Group]{
		reader: r, stays: true, changes: changes, lookUp: changes, live: w.untried, past: w.past,
		state: state.RunFilter{Project: project, Trigger: f.Trigger, Having: key.part(), Limit: limit(p)},
	}
	return l.page(ctx, p.After)
}

// groupWish is which groups a list has.
type groupWish struct {
	reader  *Reader
	project weir.ProjectID
	trigger string
	key     keyParts
	state   string // "" is any ended
}

// open lists open groups.
func (w *groupWish) open(ctx context.Context, p client.Paging) (client.Page[client.Group], error) {
	page := client.Page[client.Group]{Items: []client.Group{}}
	f := state.GroupFilter{Project: w.project, Trigger: w.trigger, Having: w.key.part(), Limit: limit(p)}
	if p.After != "" {
		var err error
		if f.After, err = weir.ParseGroupID(p.After); err != nil {
			return page, badAfter(p.After)
		}
	}
	for b := newBudget(); ; {
		f.Look = b.left()
		groups, listed, err := w.reader.State.ListGroups(ctx, f)
		if err != nil {
			return page, err
		}
		page.AsOf = listed.AsOf
		for _, g := range groups {
			if !w.key.in(g.Key) {
				continue
			}
			page.Items = append(page.Items, w.reader.openGroup(ctx, g))
			if len(page.Items) == f.Limit {
				page.Next = g.ID.String()
				return page, nil
			}
		}
		if !listed.More() {
			return page, nil
		}
		f.After = listed.Reached
		if b.looked += listed.Looked; b.spent() {
			cut(&page, f.After.String(), b, weir.MadeAt(f.After))
			return page, nil
		}
	}
}

// untried shows the group that made a run to which nothing happened yet: only
// state has it.
func (w *groupWish) untried(ctx context.Context, run *weir.Run) (client.Group, bool, error) {
	f := &run.Firing
	if run.N > 0 || !w.fits(f) {
		return client.Group{}, false, nil
	}
	if whole, err := w.reader.join(ctx, f); err != nil || whole {
		return endedGroup(f, run.ID), err == nil, err
	}
	// It has ended since, and is on record.
	first, err := w.reader.firstChange(ctx, w.project, run.ID)
	if err != nil || first == nil || first.Change.Firing == nil {
		return client.Group{}, false, err
	}
	return endedGroup(first.Change.Firing, run.ID), true, nil
}

// past shows the group whose run has its first change.
func (w *groupWish) past(_ context.Context, rec *weir.Record) (client.Group, bool, error) {
	c := rec.Change
	if c.Firing == nil || !w.fits(c.Firing) {
		return client.Group{}, false, nil
	}
	return endedGroup(c.Firing, c.Run), true, nil
}

func (w *groupWish) fits(f *weir.Firing) bool {
	return !f.Group.IsZero() && (w.trigger == "" || w.trigger == f.Trigger) &&
		(w.state == "" || w.state == f.Reason.String()) && w.key.in(f.Key)
}

// keyParts are parts of a group's key, each as compact JSON.
type keyParts map[string]string

func parseKey(text string) (keyParts, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no parts are in every key
	}
	parts := readKey(text)
	if parts == nil {
		return nil, weir.E("", weir.Invalid, `a key is a JSON object, such as {"user": "u1"}`).WithField("key")
	}
	return parts, nil
}

// readKey returns the parts of a key, or nil where it is none. Text is written
// as JSON writes it, so that two ways to escape it are one.
func readKey(text string) keyParts {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil || raw == nil {
		return nil
	}
	parts := keyParts{}
	for name, value := range raw {
		var s string
		if json.Unmarshal(value, &s) == nil && value[0] == '"' {
			value, _ = json.Marshal(s) // a string always has a JSON form
		}
		parts[name] = string(bytes.TrimSpace(value))
	}
	return parts
}

// in reports whether a key has all the parts.
func (k keyParts) in(key string) bool {
	if len(k) == 0 {
		return true
	}
	parts := readKey(key)
	for name, value := range k {
		if parts[name] != value {
			return false
		}
	}
	return true
}

// part returns the longest value that every key with these parts has in it as it
// is, or "".
func (k keyParts) part() (longest string) {
	for _, value := range k {
		plain := true
		for _, c := range []byte(value) {
			plain = plain && c >= ' ' && c < 0x7f && c != '\\' && c != '<' && c != '>' && c != '&'
		}
		if plain && len(value) > len(longest) {
			longest = value
		}
	}
	return longest
}
