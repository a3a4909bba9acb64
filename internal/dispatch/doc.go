// Package dispatch is the loop that turns a shard's journal into state and
// says which runs may start.
//
// A pass reads the records after the cursor, folds them, puts the runs that
// were made or changed into their lanes, leases what the gates let through to
// the workers, and flushes what changed now and then. One goroutine does all of
// it; others talk to it through the inbox. It appends ticks, and the changes of
// runs whose lease died with a process or ran out, or that were skipped; it never
// acts.
//
// # Tenures
//
// Where several processes share a journal, one of them dispatches a shard, and a
// Dispatcher lives as long as its tenure: it begins with what is in state and
// ends by forgetting everything. Options.Held says whether the tenure lasts. It is
// asked in each pass, and again before runs are handed over, and turns false by a
// clock, not by a timer that a process that was stopped has yet to run; so nothing
// is begun after another may have begun, but for what was handed over in the
// microseconds before. Then the tries of the workers here are cancelled, and
// nothing is flushed. A flush that is under way all the same names a token that is
// not in force any more, and state refuses it; an outcome that comes all the same
// meets the identity of the run's next change.
//
// So at a hand-over limits, rates and the order of keys can be exceeded by the
// steps in flight, and by nothing else: the next dispatcher counts the gates anew
// from the leases that other nodes go on with, and starts nothing before it has
// folded up to the head that it found.
//
// # Leases
//
// A lease of a worker here is written only where a crash must not leave a try
// uncounted, or when it is not young any more; it ends with the worker's word, or
// with the tenure, and is lost then. A lease of another node is given by writing
// it, in a flush that also holds the run, and that begins at once. Its end is the
// run's next change, whoever made it: with that the try can change nothing. That
// a node gave a lease back, never took it, or did not renew it, is seen by looking
// at state every second.
package dispatch
