// Package track is the read side: it answers what happened from the journal and
// what is live from state, in the shapes of the API. It writes nothing.
//
// Lists are as of the flushed cursor: what is live comes from one snapshot of
// state, what has ended from the journal up to the same place. A look by id
// also reads the journal past it.
package track
