package api

import (
	"cmp"
	"context"
	"net/http/httptest"
	"slices"
	"testing"

	"weir"
	"weir/client"
)

// tenants are the projects behind the API besides those that it begins with, and
// what is to be forgotten.
type tenants struct {
	made     []weir.Project
	deleted  []string
	erasures []weir.Erasure
	forgot   int // how often tokens were to be looked up anew
}

func (w *world) Forget() { w.forgot++ }

func (w *world) Projects(ctx context.Context) ([]weir.Project, error) {
	all := slices.Clone(w.made)
	for _, name := range []string{"default", "shop"} {
		if p, err := w.ProjectByName(ctx, name); err == nil {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b weir.Project) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (w *world) CreateProject(_ context.Context, name string) (weir.Project, error) {
	w.made = append(w.made, weir.Project{ID: weir.ProjectID(3 + len(w.made)), Name: name})
	return w.made[len(w.made)-1], nil
}

func (w *world) SetRetention(_ context.Context, id weir.ProjectID, keep weir.Duration) error {
	for i := range w.made {
		if w.made[i].ID == id {
			w.made[i].Retention = keep
		}
	}
	return nil
}

func (w *world) Erasures(context.Context) ([]weir.Erasure, error) {
	return slices.Clone(w.erasures), nil
}

func (w *world) Erase(_ context.Context, project weir.ProjectID, subject, by string) (weir.Erasure, error) {
	e := weir.Erasure{ID: int64(len(w.erasures) + 1), Project: project, Subject: subject, UpTo: 40, By: by, Ordered: start}
	w.erasures = slices.Insert(w.erasures, 0, e)
	return e, nil
}

func (w *world) DeleteProject(_ context.Context, p weir.Project, _ string) error {
	if p.ID == weir.DefaultProject {
		return weir.E("", weir.Conflict, "the project %q stays", p.Name).WithField("name")
	}
	w.deleted = append(w.deleted, p.Name)
	w.made = slices.DeleteFunc(w.made, func(m weir.Project) bool { return m.ID == p.ID })
	return nil
}

func TestTheClientMakesSetsAndDeletesProjects(t *testing.T) {
	t.Parallel()
	a, w := newAPI(t)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	c := &client.Client{URL: server.URL, Token: "weir_admin", HTTP: server.Client()}
	ctx := t.Context()

	made, err := c.CreateProject(ctx, "bank", client.ProjectSettings{})
	if want := (client.Project{Name: "bank", Retention: w30, Inherited: true}); err != nil || made != want {
		t.Errorf("made: %+v, %v", made, err)
	}
	if _, err := c.CreateProject(ctx, "bank", client.ProjectSettings{}); weir.CodeOf(err) != weir.Conflict {
		t.Errorf("made twice: %v", err)
	}
	if _, err := c.SetProject(ctx, "none", client.ProjectSettings{Retention: "9d"}); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("set one that is not there: %v", err)
	}
	set, err := c.SetProject(ctx, "bank", client.ProjectSettings{Retention: "90d"})
	shown, failed := c.ProjectNamed(ctx, "bank")
	if want := (client.Project{Name: "bank", Retention: 3 * w30}); err != nil || failed != nil || set != want || shown != want {
		t.Errorf("set: %+v, %+v, %v, %v", set, shown, err, failed)
	}
	if all, err := c.Projects(ctx); err != nil || len(all.Items) != 3 || all.Items[0] != shown {
		t.Errorf("listed: %+v, %v", all, err)
	}
	if err := c.DeleteProject(ctx, "bank"); err != nil || !slices.Equal(w.deleted, []string{"bank"}) || w.forgot != 1 {
		t.Errorf("deleted: %v, %v, %d", w.deleted, err, w.forgot)
	}
	if err := c.DeleteProject(ctx, "bank"); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("deleted twice: %v", err)
	}
	erasure, err := c.Erase(ctx, "ann")
	if err != nil || erasure.Subject != "ann" || erasure.State != "running" || erasure.UpTo != 40 {
		t.Errorf("%+v, %v", erasure, err)
	}
	if all, err := c.Erasures(ctx); err != nil || len(all.Items) != 1 || all.Items[0] != erasure {
		t.Errorf("%+v, %v", all, err)
	}
}
