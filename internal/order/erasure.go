package order

import (
	"context"
	"time"

	"weir"
)

// Erasures keeps orders to forget.
type Erasures interface {
	AddErasure(ctx context.Context, e weir.Erasure) (weir.Erasure, error)
	// DeleteProject makes a project one that is not there, and orders that what it
	// had is forgotten.
	DeleteProject(ctx context.Context, name string, e weir.Erasure) (weir.Erasure, error)
}

// Erase orders that the events of a subject are forgotten, as far as they were
// accepted until now. From then on nobody is shown them.
func (o *Orders) Erase(ctx context.Context, project weir.ProjectID, subject, by string) (weir.Erasure, error) {
	if subject == "" {
		return weir.Erasure{}, weir.E("erase", weir.Invalid, "is required").WithField("subject")
	}
	e, err := o.upToNow(ctx, by)
	if err != nil {
		return e, err
	}
	e.Project, e.Subject = project, subject
	if e, err = o.Erasures.AddErasure(ctx, e); err != nil {
		return e, err
	}
	return e, o.Hide(ctx)
}

// DeleteProject deletes a project: nobody finds it any more, and its name is free.
// What it had is forgotten bit by bit. NotFound where it was deleted already;
// Conflict for the default one.
func (o *Orders) DeleteProject(ctx context.Context, p weir.Project, by string) error {
	if p.ID == weir.DefaultProject {
		return weir.E("delete project", weir.Conflict, "the project %q is there for who names none, and stays", p.Name).WithField("name")
	}
	e, err := o.upToNow(ctx, by)
	if err != nil {
		return err
	}
	if _, err := o.Erasures.DeleteProject(ctx, p.Name, e); err != nil {
		return err
	}
	return o.Hide(ctx)
}

// upToNow makes an erasure of what is on record now, which the fold must have
// seen before readers do not: it reads like all others.
func (o *Orders) upToNow(ctx context.Context, by string) (weir.Erasure, error) {
	head := o.Journal.Head()
	return weir.Erasure{UpTo: head, By: by, Ordered: weir.TimeOf(time.Now())}, o.Dispatcher.Settle(ctx, head)
}
