// Package dispatch is the loop that turns a shard's journal into state and
// says which runs may start.
//
// A pass reads the records after the cursor, folds them, puts the runs that
// were made or changed into their lanes, leases what the gates let through to
// the workers, and flushes what changed now and then. One goroutine does all of
// it; others talk to it through the inbox. It appends ticks, and the changes of
// runs whose lease died with a process or that were skipped; it never acts.
package dispatch
