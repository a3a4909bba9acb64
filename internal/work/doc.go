// Package work is the loop that tries runs: it takes leases, does the steps
// that are not done yet, and ends each try by appending one batch, the change
// and the events that the finished steps emitted. Appending is all it does; what
// an outcome makes of the run is the fold's business, and which run may start
// is dispatch's.
//
// Runs that have no step which waits for the outside are done by a couple of
// goroutines, many at a time, with one append for all of them. Any other gets a
// goroutine of its own; the journal writes appends that come together in one
// go.
//
// What ended is handed to dispatch only once it is durable. An append that the
// journal cannot take for a while is repeated; the steps never are, in this
// process. A try that came second, because the run was cancelled or its lease
// given to another, leaves a stale change and nothing else.
package work
