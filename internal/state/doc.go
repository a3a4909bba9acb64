// Package state holds what is live: groups, runs that have not ended, the
// definitions in all their versions, and the control data that is in no
// journal (projects, secrets, tokens, refusals).
//
// Live state is a checkpoint of the journal: it changes only by flushes of
// fold.Layer, each in one transaction with the cursor up to which the records
// are folded. So after a crash the fold goes on from the stored cursor and
// arrives where it was.
//
// This package has what the engines below it share: filters and rows, the
// compact form of what no query looks into, and the judgement over migrations.
// The engines have the SQL. They are tested by statetest.
package state

import "errors"

// ErrCursorMoved is returned by a flush whose layer does not begin at the
// stored cursor: the layer was written before, or another dispatcher wrote.
// Nothing was written.
var ErrCursorMoved = errors.New("state: the stored cursor is not where the layer begins")
