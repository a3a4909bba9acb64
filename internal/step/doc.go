// Package step says what every kind of step is given and what it answers. The
// kinds are in the rooms below it, one each; work calls them through an
// interface of its own:
//
//	Run(ctx, *Input) (Outcome, error)
//
// An outcome with a Failure is an answer like any other. An error means that
// nobody can tell whether the step had its effect; a step returns it also when
// ctx ends for another reason than its own time-out.
package step
