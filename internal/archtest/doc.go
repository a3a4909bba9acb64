// Package archtest holds the rules that keep Weir readable, as a test: who may
// import whom, how long things may be, which names and calls are not used, and
// that the documents name files that exist.
//
// It reads the source in process with go/parser. It asks no go command, whose
// cached answers may be stale, and it is imported by nobody: `go test
// ./internal/archtest` is its only caller.
//
// A rule that must be broken is broken where it is broken, with a reason: a
// comment directly above a declaration that says
//
//	// archtest:long the states stand beside each other, as in the drawing
//
// exempts it from one rule (long, params, bool or wide). An exemption without
// a reason, or one that is not needed, is a finding too.
package archtest
